//! Writing what was planned.

use client::{Api, Patch, events};
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition};
use serde_json::{Map, Value, json};

use super::{BY_NODE, Controller, plan::Plan};
use crate::controllers::{name, namespace, uid};

pub(super) async fn apply(controller: &Controller, node: &Node, plan: Plan) -> anyhow::Result<()> {
    let nodes = Api::<Node>::all(controller.client.clone());
    if plan.became_not_ready {
        let message = format!("Node {} status is now: NodeNotReady", name(node));
        controller
            .recorder
            .normal(&events::reference(node), "NodeNotReady", message);
    }
    if let Some(conditions) = plan.conditions {
        let patch = Patch::Strategic(json!({"status": {"conditions": conditions}}));
        nodes.patch(name(node), &patch, Some("status")).await?;
    }
    if plan.taints.is_some() || !plan.labels.is_empty() {
        // A merge patch replaces the whole list; the version makes it a compare-and-swap.
        let mut patch = Map::new();
        let labels: Map<String, Value> = plan
            .labels
            .into_iter()
            .map(|(key, value)| (key.to_owned(), Value::String(value)))
            .collect();
        patch.insert(
            "metadata".to_owned(),
            json!({"resourceVersion": node.metadata.resource_version, "labels": labels}),
        );
        if let Some(taints) = plan.taints {
            patch.insert("spec".to_owned(), json!({"taints": taints}));
        }
        match nodes.patch(name(node), &Patch::Merge(Value::Object(patch)), None).await {
            // The change that we lost against brings the key back.
            Err(error) if error.is_conflict() || error.is_not_found() => {}
            other => drop(other?),
        }
    }
    if plan.pods_not_ready {
        for pod in controller.pods.by_index(BY_NODE, name(node)) {
            mark_not_ready(controller, &pod).await?;
        }
    }
    Ok(())
}

/// Upstream: pkg/controller/util/node/controller_utils.go `MarkPodsNotReady`.
async fn mark_not_ready(controller: &Controller, pod: &Pod) -> anyhow::Result<()> {
    let mut status = pod.status.clone().unwrap_or_default();
    let now = k8s_openapi::jiff::Timestamp::now();
    let Some(ready) = rules::pods::status_condition(&status, "Ready").filter(|ready| ready.status == "True") else {
        return Ok(());
    };
    let ready = PodCondition {
        status: "False".to_owned(),
        ..ready.clone()
    };
    rules::pods::update_condition(&mut status, ready, now);
    let conditions = status.conditions.unwrap_or_default();
    let patch = Patch::Strategic(json!({"metadata": {"uid": uid(pod)}, "status": {"conditions": conditions}}));
    let pods = Api::<Pod>::namespaced(controller.client.clone(), namespace(pod));
    match pods.patch(name(pod), &patch, Some("status")).await {
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => {
            controller
                .recorder
                .warning(&events::reference(pod), "NodeNotReady", "Node is not ready");
            Ok(())
        }
    }
}
