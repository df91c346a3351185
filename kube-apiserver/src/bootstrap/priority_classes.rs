//! The two system priority classes (upstream `pkg/apis/scheduling/v1/helpers.go`).

use apimachinery::status::ApiError;
use serde_json::json;

use crate::objects::{Objects, find};

const GROUP: &str = "scheduling.k8s.io";

/// Name, value, description.
const CLASSES: [(&str, i64, &str); 2] = [
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
];

/// Creates those that are missing.
pub(crate) async fn reconcile(objects: &dyn Objects) -> Result<(), ApiError> {
    for (name, value, description) in CLASSES {
        if find(objects, GROUP, "priorityclasses", "", name).await?.is_none() {
            let class = json!({
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": value,
                "description": description,
                "preemptionPolicy": "PreemptLowerPriority",
            });
            match objects.create(GROUP, "priorityclasses", "", class).await {
                Err(e) if !e.is_already_exists() => return Err(e),
                _ => {}
            }
        }
    }
    Ok(())
}
