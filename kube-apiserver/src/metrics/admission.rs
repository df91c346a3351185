//! How long admission took (upstream `apiserver/pkg/admission/metrics`).

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::HistogramVec;

const BOUNDS: [f64; 6] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5];

static STEPS: LazyLock<HistogramVec> = LazyLock::new(|| {
    component::metrics::histogram_vec(
        "apiserver_admission_step_admission_duration_seconds",
        "Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type (validate or admit).",
        &["type", "operation", "rejected"],
        &BOUNDS,
    )
});
static CONTROLLERS: LazyLock<HistogramVec> = LazyLock::new(|| {
    component::metrics::histogram_vec(
        "apiserver_admission_controller_admission_duration_seconds",
        "Admission controller latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).",
        &["name", "type", "operation", "rejected"],
        &BOUNDS,
    )
});

/// One plugin did its part of a pass (`admit` or `validate`).
pub(crate) fn plugin(name: &str, pass: &str, operation: &str, rejected: bool, took: Duration) {
    CONTROLLERS
        .with_label_values(&[name, pass, operation, word(rejected)])
        .observe(took.as_secs_f64());
}

/// All plugins did.
pub(crate) fn step(pass: &str, operation: &str, rejected: bool, took: Duration) {
    STEPS
        .with_label_values(&[pass, operation, word(rejected)])
        .observe(took.as_secs_f64());
}

fn word(rejected: bool) -> &'static str {
    if rejected { "true" } else { "false" }
}
