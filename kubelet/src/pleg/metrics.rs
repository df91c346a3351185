//! What the lists of the runtime say in numbers (upstream: pkg/kubelet/metrics/metrics.go).

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use component::metrics::{gauge, gauge_vec, histogram};
use prometheus::{Histogram, IntGauge, IntGaugeVec};

use super::{Pod, SANDBOX};

struct Metrics {
    duration: Histogram,
    pods: IntGauge,
    containers: IntGaugeVec,
}

fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| Metrics {
        duration: histogram(
            "kubelet_pleg_relist_duration_seconds",
            "[ALPHA] Duration in seconds for relisting pods in PLEG.",
            &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
        ),
        pods: gauge(
            "kubelet_running_pods",
            "[BETA] Number of pods that have a running pod sandbox",
        ),
        containers: gauge_vec(
            "kubelet_running_containers",
            "[BETA] Number of containers currently running",
            &["container_state"],
        ),
    })
}

/// Notes one list and how long it took.
pub(super) fn relisted(took: Duration, pods: &HashMap<String, Pod>) {
    let metrics = metrics();
    metrics.duration.observe(took.as_secs_f64());
    let states = || pods.values().flat_map(|pod| pod.values().copied());
    let count = |wanted: i32| i64::try_from(states().filter(|state| *state == wanted).count()).unwrap_or(i64::MAX);
    metrics.pods.set(count(SANDBOX));
    for (name, state) in [("created", 0), ("running", 1), ("exited", 2), ("unknown", 3)] {
        metrics.containers.with_label_values(&[name]).set(count(state));
    }
}
