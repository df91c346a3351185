//! PodTopologyLabels: a pod on a node carries the node's zone and region.
//!
//! Upstream: `plugin/pkg/admission/podtopologylabels/admission.go`.

use std::sync::Arc;

use apimachinery::meta;
use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::Value;

use super::{Attributes, Operation, Plugin, World};
use crate::objects::{Objects, find, text};

const LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

/// The plugin.
pub(crate) struct PodTopologyLabels {
    objects: Arc<dyn Objects>,
}

impl PodTopologyLabels {
    /// Looks nodes up in `world`.
    pub(crate) fn new(world: &World) -> Self {
        PodTopologyLabels {
            objects: world.objects.clone(),
        }
    }
}

#[async_trait]
impl Plugin for PodTopologyLabels {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    /// A Binding hands its labels on to the pod.
    async fn admit(&self, a: &Attributes<'_>, obj: &mut Value) -> Result<(), ApiError> {
        let node = if a.is("", "pods", "") {
            text(obj, "/spec/nodeName")
        } else if a.is("", "pods", "binding") && text(obj, "/target/kind") == "Node" {
            text(obj, "/target/name")
        } else {
            return Ok(());
        };
        if node.is_empty() {
            return Ok(());
        }
        // A node that is not there is for others to refuse.
        if let Some(node) = find(&*self.objects, "", "nodes", "", node).await? {
            for key in LABELS {
                if let Some(value) = meta::label(&node, key) {
                    meta::set_label(obj, key, value);
                }
            }
        }
        Ok(())
    }
}
