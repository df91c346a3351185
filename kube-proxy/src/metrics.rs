//! What is measured; names are upstream's (`pkg/proxy/metrics/metrics.go`).

use std::sync::LazyLock;
use std::time::Duration;

use component::metrics;
use component::metrics::prometheus::{Gauge, Histogram, IntCounter};

/// How long an update took, `full` meaning that the whole table was replaced.
pub(crate) fn synced(took: Duration, full: bool) {
    let seconds = took.as_secs_f64();
    SYNC.observe(seconds);
    let kind = if full { &FULL } else { &PARTIAL };
    kind.observe(seconds);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    LAST_SYNC.set(now.as_secs_f64());
}

/// An update was refused by the kernel.
pub(crate) fn failed() {
    FAILURES.inc();
}

/// A Service or its endpoints changed.
pub(crate) fn changed() {
    LAST_QUEUED.set(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64(),
    );
}

fn histogram(name: &str, help: &str) -> Histogram {
    metrics::histogram(name, help, &metrics::exponential_buckets(0.001, 2.0, 15))
}

static SYNC: LazyLock<Histogram> = LazyLock::new(|| {
    histogram(
        "kubeproxy_sync_proxy_rules_duration_seconds",
        "Seconds an update of the rules took",
    )
});
static FULL: LazyLock<Histogram> = LazyLock::new(|| {
    histogram(
        "kubeproxy_sync_full_proxy_rules_duration_seconds",
        "Seconds a replacement of all rules took",
    )
});
static PARTIAL: LazyLock<Histogram> = LazyLock::new(|| {
    histogram(
        "kubeproxy_sync_partial_proxy_rules_duration_seconds",
        "Seconds a change of some rules took",
    )
});
static LAST_SYNC: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::float_gauge(
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
        "When the rules were last updated",
    )
});
static LAST_QUEUED: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::float_gauge(
        "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
        "When an update of the rules was last asked for",
    )
});
static FAILURES: LazyLock<IntCounter> = LazyLock::new(|| {
    metrics::counter(
        "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
        "Updates the kernel refused",
    )
});
