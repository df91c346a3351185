//! RuntimeClass: a pod's class must exist, and brings overhead and scheduling constraints.
//!
//! Upstream: `plugin/pkg/admission/runtimeclass/admission.go`.

use std::sync::Arc;

use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Attributes, Operation, Plugin, World};
use crate::objects::{Objects, find, items, text};

/// The plugin.
pub(crate) struct RuntimeClass {
    objects: Arc<dyn Objects>,
}

impl RuntimeClass {
    /// Looks classes up in `world`.
    pub(crate) fn new(world: &World) -> Self {
        RuntimeClass {
            objects: world.objects.clone(),
        }
    }

    async fn class(&self, a: &Attributes<'_>, pod: &Value) -> Result<Option<Arc<Value>>, ApiError> {
        let name = text(pod, "/spec/runtimeClassName");
        if !a.is("", "pods", "") || name.is_empty() {
            return Ok(None);
        }
        let class = find(&*self.objects, "node.k8s.io", "runtimeclasses", "", name).await?;
        class
            .map(Some)
            .ok_or_else(|| a.forbidden(pod, format!("pod rejected: RuntimeClass {name:?} not found")))
    }
}

#[async_trait]
impl Plugin for RuntimeClass {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    async fn admit(&self, a: &Attributes<'_>, pod: &mut Value) -> Result<(), ApiError> {
        let Some(class) = self.class(a, pod).await? else {
            return Ok(());
        };
        if let Some(fixed) = class.pointer("/overhead/podFixed") {
            let given = pod["spec"].get("overhead");
            if given.is_some_and(|g| g != fixed) {
                return Err(a.forbidden(
                    pod,
                    "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
                ));
            }
            pod["spec"]["overhead"] = fixed.clone();
        }
        for (key, value) in class
            .pointer("/scheduling/nodeSelector")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let given = pod["spec"]["nodeSelector"].get(key);
            if given.is_some_and(|g| g != value) {
                return Err(a.forbidden(
                    pod,
                    "conflict: runtimeClass.scheduling.nodeSelector and pod.spec.nodeSelector have a conflict on the same key",
                ));
            }
            pod["spec"]["nodeSelector"][key] = value.clone();
        }
        let more: Vec<Value> = items(&class, "/scheduling/tolerations")
            .iter()
            .filter(|t| !items(pod, "/spec/tolerations").contains(t))
            .cloned()
            .collect();
        if !more.is_empty() {
            match pod["spec"].get_mut("tolerations").and_then(Value::as_array_mut) {
                Some(l) => l.extend(more),
                None => pod["spec"]["tolerations"] = json!(more),
            }
        }
        Ok(())
    }

    async fn validate(&self, a: &Attributes<'_>, pod: &Value) -> Result<(), ApiError> {
        if !a.is("", "pods", "") {
            return Ok(());
        }
        let class = self.class(a, pod).await?;
        let fixed = class.as_ref().and_then(|c| c.pointer("/overhead/podFixed"));
        match (pod["spec"].get("overhead"), fixed) {
            (Some(_), None) => Err(a.forbidden(
                pod,
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
            )),
            _ => Ok(()),
        }
    }
}
