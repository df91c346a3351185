//! How the server stops: whom it still serves, whom it tells to come back, when watches end.
//!
//! Upstream: `apiserver/pkg/server/genericapiserver.go` `RunWithContext`, `filters/{with_retry_after,waitgroup,
//! watch_termination}.go`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use apimachinery::status::ApiError;
use axum::body::Body;
use component::serving::GoAway;
use http::header::{CONNECTION, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Request, Response, StatusCode, Version};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::endpoints::respond;
use crate::request::RequestInfo;

const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");
/// Paths served to the end (upstream `pathPrefixesExemptFromRetryAfter`).
const EXEMPT: [&str; 4] = ["/readyz", "/livez", "/healthz", "/metrics"];
/// The most time between the ends of two watches: at least 200 end in a second.
const LONGEST_TURN: Duration = Duration::from_millis(5);

/// The flags about stopping.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// `--shutdown-delay-duration`: how long everything is served after the signal.
    pub(crate) delay: Duration,
    /// `--shutdown-send-retry-after`: connections are taken, and their requests refused with 429, while the requests
    /// under way are finished.
    pub(crate) send_retry_after: bool,
    /// `--shutdown-watch-termination-grace-period`: over how long watches are ended, one after the other; 0: at once.
    pub(crate) watch_grace: Duration,
}

/// The requests under way, and whether further ones are taken.
#[derive(Default)]
pub(crate) struct Draining {
    options: Options,
    refusing: CancellationToken,
    short: TaskTracker,
    watches: TaskTracker,
    /// Time between the ends of two watches.
    turn: OnceLock<Duration>,
    turns: AtomicU32,
}

/// A request under way, until it is dropped; `None`: nobody waits for it.
pub(crate) type UnderWay = Option<TaskTrackerToken>;

impl Draining {
    /// Of a server that serves.
    pub(crate) fn new(options: Options) -> Self {
        Draining {
            options,
            ..Default::default()
        }
    }

    /// Takes a request, or answers it with a refusal. `long`: it lives as long as its client wants.
    pub(crate) fn enter(
        &self,
        request: &Request<Body>,
        info: &RequestInfo,
        long: bool,
    ) -> Result<UnderWay, Box<Response<Body>>> {
        let watch = info.is_resource && info.verb == "watch";
        let group = match (long, watch && !self.options.watch_grace.is_zero()) {
            (_, true) => Some(&self.watches),
            (true, false) => None,
            (false, false) => Some(&self.short),
        };
        // Taken first: whoever waits for the end after this sees it.
        let under_way = group.map(TaskTracker::token);
        if !self.refusing.is_cancelled() {
            return Ok(under_way);
        }
        let exempt = is_exempt(request);
        if self.options.send_retry_after && !exempt {
            return Err(Box::new(come_back(request.version())));
        }
        match group {
            Some(_) if watch || !exempt => Err(Box::new(shutting_down())),
            _ => Ok(None),
        }
    }

    /// Waits until a watch has to end: all at once, or each in its turn.
    pub(crate) async fn watch_ends(&self) {
        self.refusing.cancelled().await;
        if let Some(turn) = self.turn.get() {
            let before = self.turns.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(turn.saturating_mul(before)).await;
        }
    }

    /// Takes no more requests and waits for those under way: short ones up to `patience`, watches up to their grace.
    pub(crate) async fn stop(&self, patience: Duration) {
        let grace = self.options.watch_grace;
        if let Ok(watches) = u32::try_from(self.watches.len())
            && watches > 0
        {
            // Only the first of two calls sets the pace.
            let _ = self.turn.set((grace / watches).min(LONGEST_TURN));
        }
        self.refusing.cancel();
        self.short.close();
        self.watches.close();
        let short = tokio::time::timeout(patience, self.short.wait());
        let watches = tokio::time::timeout(grace, self.watches.wait());
        let (short, watches) = tokio::join!(short, watches);
        if short.is_err() || watches.is_err() {
            tracing::info!(
                requests = self.short.len(),
                watches = self.watches.len(),
                "the patience with requests under way is over"
            );
        }
    }
}

/// The answer's body keeps its request under way.
pub(crate) fn until_the_end(under_way: UnderWay, response: Response<Body>) -> Response<Body> {
    use http_body_util::BodyExt as _;
    let Some(under_way) = under_way else { return response };
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &under_way;
            frame
        }))
    })
}

/// Upstream `isRequestExemptFromRetryAfter`.
fn is_exempt(request: &Request<Body>) -> bool {
    let ours = request.headers().get(USER_AGENT);
    ours.is_some_and(|agent| agent.as_bytes().starts_with(b"kube-apiserver/"))
        || EXEMPT.iter().any(|prefix| request.uri().path().starts_with(prefix))
}

/// Upstream `withRetryAfter`.
fn come_back(version: Version) -> Response<Body> {
    let text = "The apiserver is shutting down, please try again later.\n";
    let mut response = respond::bytes(StatusCode::TOO_MANY_REQUESTS, "text/plain; charset=utf-8", text);
    let headers = response.headers_mut();
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    if version == Version::HTTP_2 {
        response.extensions_mut().insert(GoAway);
    } else {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Upstream `waitGroupWriteRetryAfterToResponse`.
fn shutting_down() -> Response<Body> {
    let status = ApiError::service_unavailable("apiserver is shutting down").to_json();
    let mut response = respond::bytes(StatusCode::SERVICE_UNAVAILABLE, "application/json", status);
    let headers = response.headers_mut();
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;

    const LIST: &str = "/api/v1/pods";
    const WATCH: &str = "/api/v1/pods?watch=true";
    const LOG: &str = "/api/v1/namespaces/n/pods/p/log";

    fn enter(draining: &Draining, uri: &str, agent: &str) -> Result<UnderWay, (u16, Option<String>)> {
        let request = Request::builder().uri(uri).header(USER_AGENT, agent);
        let request = request.body(Body::empty()).unwrap();
        let query = request.uri().query().unwrap_or("");
        let info = RequestInfo::parse(request.method(), request.uri().path(), query);
        let long = info.verb == "watch" || info.subresource == "log";
        let refused = |r: Box<Response<Body>>| {
            let after = r.headers().get(RETRY_AFTER).map(|v| v.to_str().unwrap().to_owned());
            (r.status().as_u16(), after)
        };
        draining.enter(&request, &info, long).map_err(refused)
    }

    #[tokio::test]
    async fn who_comes_too_late_is_told_to_come_back() {
        let code = |c: u16, after: &str| Some((c, Some(after.to_owned())));
        for (send_retry_after, grace, refusals) in [
            (false, 0, [code(503, "1"), None, None, None, None]),
            (false, 1, [code(503, "1"), code(503, "1"), None, None, None]),
            (true, 1, [code(429, "5"), code(429, "5"), code(429, "5"), None, None]),
        ] {
            let draining = Draining::new(Options {
                send_retry_after,
                watch_grace: Duration::from_secs(grace),
                ..Default::default()
            });
            let asked = [
                (LIST, "kubectl"),
                (WATCH, "kubectl"),
                (LOG, "kubectl"),
                ("/readyz", "probe"),
                (LIST, "kube-apiserver/v1.36"),
            ];
            for (uri, agent) in asked {
                assert!(enter(&draining, uri, agent).is_ok(), "{uri} is served before the end");
            }
            draining.stop(Duration::from_secs(1)).await;
            for ((uri, agent), want) in asked.into_iter().zip(refusals) {
                assert_eq!(
                    enter(&draining, uri, agent).err(),
                    want,
                    "{uri} of {agent}, {send_retry_after} {grace}"
                );
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_short_requests_but_not_for_long_ones() {
        let draining = Arc::new(Draining::default());
        let short = enter(&draining, LIST, "").unwrap();
        let _long = (enter(&draining, WATCH, "").unwrap(), enter(&draining, LOG, "").unwrap());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(7)).await;
            drop(short);
        });
        let begun = Instant::now();
        draining.stop(Duration::from_secs(60)).await;
        assert_eq!(begun.elapsed().as_secs(), 7);
        let _stuck = enter(&draining, "/readyz", "").unwrap();
        draining.stop(Duration::from_secs(60)).await;
        assert_eq!(
            begun.elapsed().as_secs(),
            7,
            "what came after the end is not waited for"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn watches_end_one_after_the_other_within_their_grace() {
        for (watches, grace, last) in [(10, 1000, 45), (1000, 500, 500), (3, 0, 0)] {
            let draining = Arc::new(Draining::new(Options {
                watch_grace: Duration::from_millis(grace),
                ..Default::default()
            }));
            let begun = Instant::now();
            let ends = (0..watches).map(|_| {
                let (draining, under_way) = (draining.clone(), enter(&draining, WATCH, "").unwrap());
                tokio::spawn(async move {
                    draining.watch_ends().await;
                    drop(under_way);
                    begun.elapsed()
                })
            });
            let ends: Vec<_> = ends.collect();
            tokio::task::yield_now().await;
            draining.stop(Duration::ZERO).await;
            let mut ended = vec![];
            for end in ends {
                ended.push(end.await.unwrap().as_millis() as u64);
            }
            ended.sort_unstable();
            assert!(
                ended[watches - 1].abs_diff(last) <= 2,
                "{watches} watches: {:?}",
                ended.last()
            );
            assert!(last == 0 || ended[1] > ended[0], "not together");
        }
    }
}
