//! `/healthz`, `/livez`, `/readyz`: a list of named checks behind one path.
//!
//! Texts are upstream's (`apiserver/pkg/server/healthz/healthz.go` `handleRootHealth`): `ok`; with
//! `?verbose` or on failure one line per check; `?exclude=name` leaves a check out;
//! `/healthz/<name>` asks one check. Why a check failed is logged, never shown.
//!
//! ```
//! # use component::health;
//! # async fn handler(sub: &str, query: &str) {
//! let ready = health::Checks::new("readyz").add("store", || async { Ok(()) });
//! // "/readyz" is sub "", "/readyz/store" is sub "store"
//! let response = ready.respond(sub, query).await;
//! # }
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};

use crate::serving::{Body, full};

type Outcome = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// One named check; the error says why and is logged only.
#[derive(Clone)]
struct Check {
    name: Arc<str>,
    run: Arc<dyn Fn() -> Outcome + Send + Sync>,
}

/// The checks of one path.
#[derive(Clone)]
pub struct Checks {
    path: &'static str,
    checks: Vec<Check>,
}

impl Checks {
    /// No checks yet; `path` is the word in the texts: `healthz`, `livez` or `readyz`.
    #[must_use]
    pub fn new(path: &'static str) -> Self {
        Self {
            path,
            checks: Vec::new(),
        }
    }

    /// The path's word, as given.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Appends the check that always passes.
    #[must_use]
    pub fn ping(self) -> Self {
        self.add("ping", || async { Ok(()) })
    }

    /// Appends a check.
    #[must_use]
    pub fn add<F, Fut>(mut self, name: &str, run: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push(Check {
            name: name.into(),
            run: Arc::new(move || Box::pin(run())),
        });
        self
    }

    /// The names, in order: one route per check.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().map(|check| &*check.name)
    }

    /// Answers `/<path>` (`sub` empty) or `/<path>/<sub>`; 404 for an unknown `sub`.
    pub async fn respond(&self, sub: &str, query: &str) -> Response<Body> {
        if !sub.is_empty() {
            let Some(check) = self.checks.iter().find(|check| &*check.name == sub) else {
                return plain(StatusCode::NOT_FOUND, "404 page not found\n".to_owned());
            };
            return match (check.run)().await {
                Ok(()) => plain(StatusCode::OK, "ok".to_owned()),
                Err(error) => plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("internal server error: {error}\n"),
                ),
            };
        }
        let (verbose, excluded) = read_query(query);
        let mut left_over = excluded.clone();
        let mut lines = String::new();
        let mut failed = Vec::new();
        for check in &self.checks {
            let name = &*check.name;
            if excluded.iter().any(|word| word == name) {
                left_over.retain(|word| word != name);
                lines.push_str(&format!("[+]{name} excluded: ok\n"));
                continue;
            }
            let outcome = (check.run)().await;
            crate::metrics::slis::observe(name, self.path, outcome.is_ok());
            match outcome {
                Ok(()) => lines.push_str(&format!("[+]{name} ok\n")),
                Err(error) => {
                    tracing::info!("{} check failed: {name}: {error}", self.path);
                    lines.push_str(&format!("[-]{name} failed: reason withheld\n"));
                    failed.push(name);
                }
            }
        }
        if !left_over.is_empty() {
            let words: Vec<String> = left_over.iter().map(|word| format!("{word:?}")).collect();
            lines.push_str(&format!(
                "warn: some health checks cannot be excluded: no matches for {}\n",
                words.join(",")
            ));
        }
        if !failed.is_empty() {
            lines.push_str(&format!("{} check failed\n", self.path));
            return plain(StatusCode::INTERNAL_SERVER_ERROR, lines);
        }
        if !verbose {
            return plain(StatusCode::OK, "ok".to_owned());
        }
        lines.push_str(&format!("{} check passed\n", self.path));
        plain(StatusCode::OK, lines)
    }
}

/// `verbose` is on whenever the key is there; `exclude` may repeat and hold comma lists.
fn read_query(query: &str) -> (bool, Vec<String>) {
    let mut verbose = false;
    let mut excluded = Vec::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "verbose" => verbose = true,
            "exclude" => excluded.extend(
                value
                    .replace("%2C", ",")
                    .split(',')
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned),
            ),
            _ => {}
        }
    }
    (verbose, excluded)
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http_body_util::BodyExt as _;

    use super::Checks;

    async fn ask(checks: &Checks, sub: &str, query: &str) -> (u16, String) {
        let response = checks.respond(sub, query).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn passing_checks_say_ok_and_list_when_verbose() {
        let checks = Checks::new("readyz").ping().add("etcd", || async { Ok(()) });
        assert_eq!(ask(&checks, "", "").await, (200, "ok".into()));
        assert_eq!(
            ask(&checks, "", "verbose").await,
            (200, "[+]ping ok\n[+]etcd ok\nreadyz check passed\n".into())
        );
        assert_eq!(ask(&checks, "ping", "").await, (200, "ok".into()));
        assert_eq!(ask(&checks, "none", "").await.0, 404);
    }

    #[tokio::test]
    async fn a_failing_check_fails_the_path_unless_excluded() {
        let checks = Checks::new("livez").ping().add("etcd", || async { Err("down".into()) });
        assert_eq!(
            ask(&checks, "", "").await,
            (
                500,
                "[+]ping ok\n[-]etcd failed: reason withheld\nlivez check failed\n".into()
            )
        );
        assert_eq!(ask(&checks, "", "exclude=etcd").await, (200, "ok".into()));
        assert_eq!(
            ask(&checks, "", "verbose&exclude=etcd&exclude=x").await.1,
            "[+]ping ok\n[+]etcd excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nlivez check passed\n"
        );
    }
}
