//! ServiceCIDR `kubernetes`: the service network of the flags as an object.
//!
//! Upstream: `pkg/controlplane/controller/defaultservicecidr`.

use apimachinery::status::ApiError;
use serde_json::{Value, json};

use crate::objects::{Objects as _, find, items};
use crate::registry::Registry;

const GROUP: &str = "networking.k8s.io";
/// Name of the object.
pub(crate) const NAME: &str = "kubernetes";

/// Creates the object, and marks it ready. An object with other ranges is left alone: ranges of a
/// cluster change by adding objects.
pub(crate) async fn reconcile(registry: &Registry, cidrs: &[String]) -> Result<(), ApiError> {
    if cidrs.is_empty() {
        return Ok(());
    }
    let have = match find(registry, GROUP, "servicecidrs", "", NAME).await? {
        Some(have) => have,
        None => {
            let object = json!({
                "apiVersion": "networking.k8s.io/v1",
                "kind": "ServiceCIDR",
                "metadata": {"name": NAME, "finalizers": ["networking.k8s.io/service-cidr-finalizer"]},
                "spec": {"cidrs": cidrs},
            });
            match registry.create(GROUP, "servicecidrs", "", object).await {
                Ok(o) => o,
                Err(e) if e.is_already_exists() => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    };
    let mine: Vec<&str> = items(&have, "/spec/cidrs").iter().filter_map(Value::as_str).collect();
    if mine != cidrs.iter().map(String::as_str).collect::<Vec<_>>() {
        tracing::warn!(have = ?mine, flags = ?cidrs, "ServiceCIDR kubernetes differs from --service-cluster-ip-range");
        return Ok(());
    }
    if !items(&have, "/status/conditions").iter().any(|c| c["type"] == "Ready") {
        let change = |old: &Value| {
            let mut new = old.clone();
            new["status"] = ready();
            Ok(new)
        };
        registry.modify_status(GROUP, "servicecidrs", "", NAME, &change).await?;
    }
    Ok(())
}

fn ready() -> Value {
    json!({"conditions": [{
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
        "lastTransitionTime": apimachinery::time::now_rfc3339(),
    }]})
}
