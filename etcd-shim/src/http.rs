//! The little of HTTP that etcd speaks beside gRPC.
//! Source: etcd `server/etcdserver/api/etcdhttp` (`version.go`, `health.go`, `metrics.go`).

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::metrics;
use crate::store::Store;
use crate::{CLUSTER_VERSION, STORAGE_VERSION, VERSION};

/// Of the client port: `/version` and what [`metrics_routes`] has.
pub(crate) fn client_routes(store: Arc<Store>) -> Router {
    Router::new()
        .route("/version", get(version))
        .merge(metrics_routes(store))
}

/// Of the metrics port.
pub(crate) fn metrics_routes(store: Arc<Store>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/livez", get(live))
        .route("/livez/{check}", get(live))
        .route("/readyz", get(ready))
        .route("/readyz/{check}", get(ready))
        .route("/metrics", get(show_metrics))
        .with_state(store)
}

#[derive(serde::Deserialize)]
struct HealthQuery {
    exclude: Option<String>,
    verbose: Option<String>,
}

async fn version() -> Response {
    let body =
        format!(r#"{{"etcdserver":"{VERSION}","etcdcluster":"{CLUSTER_VERSION}","storage":"{STORAGE_VERSION}"}}"#);
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn health(State(store): State<Arc<Store>>, Query(query): Query<HealthQuery>) -> Response {
    let (healthy, reason) = if store.is_stopped() {
        (false, "RAFT NO LEADER")
    } else if store.no_space() && query.exclude.as_deref() != Some("NOSPACE") {
        (false, "ALARM NOSPACE")
    } else {
        (true, "")
    };
    let status = if healthy {
        metrics::HEALTH_SUCCESS.inc();
        StatusCode::OK
    } else {
        metrics::HEALTH_FAILURES.inc();
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = format!(r#"{{"health":"{healthy}","reason":"{reason}"}}"#);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn live(State(store): State<Arc<Store>>, Query(query): Query<HealthQuery>) -> Response {
    checks(&[("serializable_read", !store.is_stopped())], &query)
}

async fn ready(State(store): State<Arc<Store>>, Query(query): Query<HealthQuery>) -> Response {
    let up = !store.is_stopped();
    checks(
        &[
            ("data_corruption", true),
            ("serializable_read", up),
            ("linearizable_read", up),
            ("non_learner", true),
        ],
        &query,
    )
}

fn checks(checks: &[(&str, bool)], query: &HealthQuery) -> Response {
    let good = checks.iter().all(|(_, good)| *good);
    let mut text = String::new();
    if query.verbose.is_some() || !good {
        for (name, good) in checks {
            let line = if *good {
                format!("[+]{name} ok\n")
            } else {
                format!("[-]{name} failed\n")
            };
            text.push_str(&line);
        }
    }
    text.push_str(if good { "ok\n" } else { "health check failed\n" });
    let status = if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, text).into_response()
}

async fn show_metrics(State(store): State<Arc<Store>>) -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        metrics::render(&store),
    )
        .into_response()
}
