//! What this process tells Prometheus besides what every component does. Names are upstream's
//! (client-go `tools/leaderelection` metrics).

use std::sync::LazyLock;

use component::metrics::prometheus::IntGaugeVec;

static MASTER: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    component::metrics::gauge_vec(
        "leader_election_master_status",
        "Whether this process leads (1) or stands by (0) under the lease of that name.",
        &["name"],
    )
});

/// Starts the counting; call before the first request.
pub(crate) fn register() {
    let _ = component::metrics::registry();
}

/// Tells whether this process leads.
pub(crate) fn leading(lease: &str, leads: bool) {
    MASTER.with_label_values(&[lease]).set(i64::from(leads));
}
