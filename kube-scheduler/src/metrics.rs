//! The scheduler's metrics, under upstream's names (`pkg/scheduler/metrics`).

use std::sync::LazyLock;

use component::metrics::prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec};
use component::metrics::{counter, counter_vec, exponential_buckets, gauge_vec, histogram, histogram_vec};

pub(crate) static ATTEMPTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter_vec(
        "scheduler_schedule_attempts_total",
        "Scheduling cycles by profile and result.",
        &["profile", "result"],
    )
});

pub(crate) static ATTEMPT_DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram_vec(
        "scheduler_scheduling_attempt_duration_seconds",
        "Time from popping a pod to the end of its attempt, binding included.",
        &["profile", "result"],
        &exponential_buckets(0.001, 2.0, 15),
    )
});

pub(crate) static ALGORITHM_DURATION: LazyLock<Histogram> = LazyLock::new(|| {
    histogram(
        "scheduler_scheduling_algorithm_duration_seconds",
        "Time to choose a node.",
        &exponential_buckets(0.001, 2.0, 15),
    )
});

pub(crate) static POD_ATTEMPTS: LazyLock<Histogram> = LazyLock::new(|| {
    histogram(
        "scheduler_pod_scheduling_attempts",
        "Attempts it took to schedule a pod.",
        &exponential_buckets(1.0, 2.0, 5),
    )
});

pub(crate) static PENDING: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauge_vec("scheduler_pending_pods", "Waiting pods by queue.", &["queue"]));

pub(crate) static INCOMING: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter_vec(
        "scheduler_queue_incoming_pods_total",
        "Pods put into a queue, by event.",
        &["queue", "event"],
    )
});

pub(crate) static CACHE_SIZE: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge_vec(
        "scheduler_cache_size",
        "Nodes, pods and assumed pods in the cache.",
        &["type"],
    )
});

pub(crate) static PREEMPTION_ATTEMPTS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("scheduler_preemption_attempts_total", "Preemptions carried out so far."));
