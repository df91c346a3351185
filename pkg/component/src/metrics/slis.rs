//! `/metrics/slis`: how the health checks went, in a registry of their own.
//!
//! Upstream: `component-base/metrics/prometheus/slis`.

use std::sync::LazyLock;

use http::Response;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::serving::Body;

struct Slis {
    registry: Registry,
    last: IntGaugeVec,
    total: IntCounterVec,
}

static SLIS: LazyLock<Slis> = LazyLock::new(|| {
    let last = IntGaugeVec::new(
        Opts::new(
            "kubernetes_healthcheck",
            "[STABLE] This metric records the result of a single healthcheck.",
        ),
        &["name", "type"],
    );
    let total = IntCounterVec::new(
        Opts::new(
            "kubernetes_healthchecks_total",
            "[STABLE] This metric records the results of all healthcheck.",
        ),
        &["name", "type", "status"],
    );
    let slis = Slis {
        registry: Registry::new(),
        last: last.expect("names and labels are constants"),
        total: total.expect("names and labels are constants"),
    };
    let start = super::process::start_time_gauge();
    let registered = slis
        .registry
        .register(Box::new(slis.last.clone()))
        .and_then(|()| slis.registry.register(Box::new(slis.total.clone())))
        .and_then(|()| slis.registry.register(Box::new(start)));
    registered.expect("the first collectors of a new registry do not clash");
    slis
});

/// Records the outcome of a check of `/healthz`, `/livez` or `/readyz` (`kind`).
pub fn observe(check: &str, kind: &str, passed: bool) {
    let status = if passed { "success" } else { "error" };
    SLIS.last.with_label_values(&[check, kind]).set(i64::from(passed));
    SLIS.total.with_label_values(&[check, kind, status]).inc();
}

/// The answer to `GET /metrics/slis`.
#[must_use]
pub fn response() -> Response<Body> {
    super::page(text())
}

fn text() -> String {
    let mut text = String::new();
    // Encoding fails only for families without samples, which the registry does not yield.
    let _ = TextEncoder::new().encode_utf8(&SLIS.registry.gather(), &mut text);
    text
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn health_checks_are_counted_by_outcome() {
        let checks = crate::health::Checks::new("slizted")
            .ping()
            .add("bad", || async { Err("why".to_owned()) });
        for query in ["", "exclude=bad"] {
            checks.respond("", query).await;
        }
        let text = super::text();
        for line in [
            "kubernetes_healthcheck{name=\"bad\",type=\"slizted\"} 0",
            "kubernetes_healthcheck{name=\"ping\",type=\"slizted\"} 1",
            "kubernetes_healthchecks_total{name=\"bad\",status=\"error\",type=\"slizted\"} 1",
            "kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"slizted\"} 2",
            "process_start_time_seconds",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
