//! The system namespaces (upstream `pkg/controlplane/controller/systemnamespaces`).

use apimachinery::status::ApiError;
use serde_json::json;

use crate::objects::{Objects, find};

/// Namespaces every cluster has.
pub(crate) const SYSTEM: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Creates those that are missing.
pub(crate) async fn reconcile(objects: &dyn Objects) -> Result<(), ApiError> {
    for name in SYSTEM {
        if find(objects, "", "namespaces", "", name).await?.is_none() {
            let namespace = json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            });
            match objects.create("", "namespaces", "", namespace).await {
                Err(e) if !e.is_already_exists() => return Err(e),
                _ => {}
            }
        }
    }
    Ok(())
}
