//! ExtendedResourceToleration: pods that ask for a device tolerate the taint of the nodes that have it.
//!
//! Upstream: `plugin/pkg/admission/extendedresourcetoleration/admission.go`.

use std::collections::BTreeSet;

use apimachinery::status::ApiError;
use async_trait::async_trait;
use rules::resources::is_extended_resource;
use serde_json::{Value, json};

use super::{Attributes, Operation, Plugin};
use crate::objects::{items, text};

/// The plugin.
pub(crate) struct ExtendedResourceToleration;

#[async_trait]
impl Plugin for ExtendedResourceToleration {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn admit(&self, a: &Attributes<'_>, pod: &mut Value) -> Result<(), ApiError> {
        if !a.is("", "pods", "") {
            return Ok(());
        }
        let containers = ["/spec/containers", "/spec/initContainers"];
        let requested: BTreeSet<String> = containers
            .iter()
            .flat_map(|list| items(pod, list))
            .filter_map(|container| container.pointer("/resources/requests")?.as_object())
            .flat_map(|requests| requests.keys())
            .filter(|name| is_extended_resource(name))
            .cloned()
            .collect();
        if requested.is_empty() {
            return Ok(());
        }
        let mut tolerations = items(pod, "/spec/tolerations").to_vec();
        for resource in requested {
            let is_there = |t: &Value| {
                let said = ["/key", "/operator", "/effect", "/value"].map(|field| text(t, field));
                said == [resource.as_str(), "Exists", "NoSchedule", ""]
            };
            let wanted = json!({"key": resource, "operator": "Exists", "effect": "NoSchedule"});
            let mut there = tolerations.iter_mut().filter(|t| is_there(t)).peekable();
            if there.peek().is_some() {
                there.for_each(|t| t.clone_from(&wanted));
            } else {
                drop(there);
                tolerations.push(wanted);
            }
        }
        pod["spec"]["tolerations"] = json!(tolerations);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::request::RequestContext;

    #[tokio::test]
    async fn a_pod_tolerates_the_devices_it_asks_for_once() {
        let ctx = RequestContext::internal_for("create", "", "v1", "pods", "ns", "p");
        let attrs = Attributes {
            ctx: &ctx,
            operation: Operation::Create,
            old: None,
        };
        let tolerated = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoSchedule"});
        let other = json!({"key": "example.com/gpu", "operator": "Equal", "value": "a", "effect": "NoSchedule"});
        let asks = |name: &str, resource: &str| json!({"name": name, "resources": {"requests": {"cpu": "1", "hugepages-2Mi": "2Mi", resource: "1"}}});
        let mut pod = json!({"spec": {"containers": [asks("a", "example.com/gpu"), asks("b", "example.com/nic")],
            "initContainers": [asks("c", "example.com/gpu")],
            "tolerations": [other, tolerated("example.com/nic")]}});
        let wanted = json!([other, tolerated("example.com/nic"), tolerated("example.com/gpu")]);
        for _ in 0..2 {
            ExtendedResourceToleration.admit(&attrs, &mut pod).await.unwrap();
            assert_eq!(pod["spec"]["tolerations"], wanted);
        }
        // One that tolerates for a time only, which no pod may, gives way.
        pod["spec"]["tolerations"][1]["tolerationSeconds"] = json!(5);
        ExtendedResourceToleration.admit(&attrs, &mut pod).await.unwrap();
        assert_eq!(pod["spec"]["tolerations"], wanted);
        let mut plain = json!({"spec": {"containers": [{"name": "a"}]}});
        ExtendedResourceToleration.admit(&attrs, &mut plain).await.unwrap();
        assert_eq!(plain["spec"].get("tolerations"), None);
    }
}
