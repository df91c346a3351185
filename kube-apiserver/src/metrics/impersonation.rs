//! Who asked to act as another (upstream `filters/impersonation/metrics/metrics.go`). `mode`: which way was asked for,
//! empty when none was found.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec};

const LABELS: [&str; 2] = ["mode", "decision"];

fn durations(name: &str, help: &str) -> HistogramVec {
    component::metrics::histogram_vec(
        name,
        help,
        &LABELS,
        &component::metrics::exponential_buckets(0.001, 2.0, 15),
    )
}

static ATTEMPTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "apiserver_impersonation_attempts_total",
        "Total number of impersonation attempts split by mode and decision.",
        &LABELS,
    )
});
static ATTEMPTS_TOOK: LazyLock<HistogramVec> = LazyLock::new(|| {
    durations(
        "apiserver_impersonation_attempts_duration_seconds",
        "Latency of impersonation attempts in seconds split by mode and decision.",
    )
});
static CHECKS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "apiserver_impersonation_authorization_attempts_total",
        "Total number of authorization checks made by the impersonation handler split by mode and decision.",
        &LABELS,
    )
});
static CHECKS_TOOK: LazyLock<HistogramVec> = LazyLock::new(|| {
    durations(
        "apiserver_impersonation_authorization_attempts_duration_seconds",
        "Latency of authorization checks made by the impersonation handler in seconds split by mode and decision.",
    )
});

fn decision(allowed: bool) -> &'static str {
    if allowed { "allowed" } else { "denied" }
}

/// A request asked to act as another; it may by `mode`, or may not.
pub(crate) fn attempt(mode: Option<&str>, took: Duration) {
    let labels = [mode.unwrap_or(""), decision(mode.is_some())];
    ATTEMPTS.with_label_values(&labels).inc();
    ATTEMPTS_TOOK.with_label_values(&labels).observe(took.as_secs_f64());
}

/// One permission was looked up for that.
pub(crate) fn check(mode: &str, allowed: bool, took: Duration) {
    let labels = [mode, decision(allowed)];
    CHECKS.with_label_values(&labels).inc();
    CHECKS_TOOK.with_label_values(&labels).observe(took.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_told_by_mode_and_decision() {
        // Modes of no other test: the counters are the process's.
        attempt(Some("test"), Duration::ZERO);
        check("test", false, Duration::ZERO);
        assert_eq!(ATTEMPTS.with_label_values(&["test", "allowed"]).get(), 1);
        assert_eq!(CHECKS.with_label_values(&["test", "denied"]).get(), 1);
        assert_eq!(CHECKS.with_label_values(&["test", "allowed"]).get(), 0);
    }
}
