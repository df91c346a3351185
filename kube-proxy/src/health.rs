//! `/healthz` and `/livez` for load balancers (10256); `/metrics` and friends for operators (10249).
//!
//! Healthy means: no change of the cluster has waited too long to get into the kernel.
//! Source: upstream `pkg/proxy/healthcheck/proxy_health.go`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use component::serving::{Body, full, handler};
use component::{metrics, serving};
use http::{Request, Response, StatusCode, header};
use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// A change may wait so long (upstream: twice the sync period of 30 s).
const TIMEOUT: Duration = Duration::from_secs(60);

/// What the runner tells.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting_since: Option<Instant>,
    updated: Option<Timestamp>,
    eligible: bool,
}

impl Health {
    /// A change waits to be applied.
    pub(crate) fn queued(&self, now: Instant) {
        self.0.lock().waiting_since.get_or_insert(now);
    }

    /// Everything is applied.
    pub(crate) fn updated(&self) {
        let mut state = self.0.lock();
        state.waiting_since = None;
        state.updated = Some(Timestamp::now());
    }

    /// Whether load balancers should use this node.
    pub(crate) fn set_eligible(&self, eligible: bool) {
        self.0.lock().eligible = eligible;
    }

    fn alive(&self, now: Instant) -> bool {
        let state = self.0.lock();
        let waiting = state
            .waiting_since
            .is_some_and(|since| now.duration_since(since) > TIMEOUT);
        state.updated.is_some() && !waiting
    }

    fn report(&self, healthy: bool, show_eligible: bool) -> Response<Body> {
        let state = self.0.lock();
        let now = Timestamp::now();
        let updated = if healthy {
            now
        } else {
            state.updated.unwrap_or(Timestamp::UNIX_EPOCH)
        };
        let mut body = serde_json::json!({"lastUpdated": updated.to_string(), "currentTime": now.to_string()});
        if show_eligible {
            body["nodeEligible"] = state.eligible.into();
        }
        let status = if healthy {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let mut response = text(status, body.to_string());
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        response
    }
}

/// Serves both ports until `shutdown`.
///
/// # Errors
/// A port is taken.
pub(crate) async fn serve(config: &Config, health: Arc<Health>, shutdown: CancellationToken) -> anyhow::Result<()> {
    if let Some(address) = config.healthz_address {
        let server = serving::Server::bind(address)
            .await
            .map_err(|error| anyhow::anyhow!("listen on {address}: {error}"))?;
        let answer = move |request: Request<_>| {
            let health = health.clone();
            async move { health_answer(&health, request.uri().path()) }
        };
        tokio::spawn(server.serve(handler(answer), shutdown.clone()));
    }
    if let Some(address) = config.metrics_address {
        let server = serving::Server::bind(address)
            .await
            .map_err(|error| anyhow::anyhow!("listen on {address}: {error}"))?;
        let shown = serde_json::json!({"kubeproxy.config.k8s.io": config.shown}).to_string();
        let answer = move |request: Request<_>| {
            let shown = shown.clone();
            async move { metrics_answer(request.uri().path(), shown) }
        };
        tokio::spawn(server.serve(handler(answer), shutdown));
    }
    Ok(())
}

fn health_answer(health: &Health, path: &str) -> Response<Body> {
    let alive = health.alive(Instant::now());
    match path {
        "/healthz" => {
            let eligible = health.0.lock().eligible;
            health.report(alive && eligible, true)
        }
        "/livez" => health.report(alive, false),
        _ => text(StatusCode::NOT_FOUND, "404 page not found\n".into()),
    }
}

fn metrics_answer(path: &str, shown: String) -> Response<Body> {
    match path {
        "/metrics" => metrics::response(),
        "/healthz" | "/livez" | "/readyz" => text(StatusCode::OK, "ok".into()),
        "/proxyMode" => text(StatusCode::OK, "nftables".into()),
        "/configz" => {
            let mut response = text(StatusCode::OK, shown);
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
            response
        }
        _ => text(StatusCode::NOT_FOUND, "404 page not found\n".into()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_healthy_once_updated_and_until_a_change_has_waited_too_long() {
        let health = Health::default();
        health.set_eligible(true);
        let start = Instant::now();
        assert!(!health.alive(start));
        health.updated();
        assert!(health.alive(start));
        health.queued(start);
        assert!(health.alive(start + Duration::from_secs(59)));
        health.queued(start + Duration::from_secs(50));
        assert!(!health.alive(start + Duration::from_secs(61)));
        health.updated();
        assert!(health.alive(start + Duration::from_secs(61)));
    }

    #[test]
    fn a_node_going_away_fails_healthz_but_not_livez() {
        let health = Health::default();
        health.updated();
        assert_eq!(
            health_answer(&health, "/healthz").status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(health_answer(&health, "/livez").status(), StatusCode::OK);
        health.set_eligible(true);
        assert_eq!(health_answer(&health, "/healthz").status(), StatusCode::OK);
    }
}
