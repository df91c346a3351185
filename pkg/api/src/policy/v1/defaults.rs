//! Defaults of policy/v1. Go always writes the counts of a status; so do these.

use k8s_openapi::api::policy::v1::PodDisruptionBudget;

/// Counts of zero.
pub fn pod_disruption_budget(obj: &mut PodDisruptionBudget) {
    let status = obj.status.get_or_insert_default();
    for count in [
        &mut status.disruptions_allowed,
        &mut status.current_healthy,
        &mut status.desired_healthy,
        &mut status.expected_pods,
    ] {
        count.get_or_insert(0);
    }
}
