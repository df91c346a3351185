//! NamespaceLifecycle: no writes into namespaces that are missing or going away.
//!
//! Upstream: `apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go`.

use std::sync::Arc;

use apimachinery::status::{ApiError, Cause};
use async_trait::async_trait;
use serde_json::Value;

use super::{Attributes, Operation, Plugin, World};
use crate::objects::{Objects, text};

/// Namespaces nobody may delete.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// The plugin.
pub(crate) struct NamespaceLifecycle {
    objects: Arc<dyn Objects>,
}

impl NamespaceLifecycle {
    /// Looks namespaces up in `world`.
    pub(crate) fn new(world: &World) -> Self {
        NamespaceLifecycle {
            objects: world.objects.clone(),
        }
    }
}

#[async_trait]
impl Plugin for NamespaceLifecycle {
    fn handles(&self, operation: Operation) -> bool {
        operation != Operation::Connect
    }

    async fn admit(&self, a: &Attributes<'_>, obj: &mut Value) -> Result<(), ApiError> {
        let i = &a.ctx.info;
        let is_namespace = i.api_group.is_empty() && i.resource == "namespaces";
        if is_namespace && a.operation == Operation::Delete && IMMORTAL.contains(&i.name.as_str()) {
            return Err(a.forbidden(obj, "this namespace may not be deleted"));
        }
        if is_namespace || i.namespace.is_empty() || a.operation == Operation::Delete {
            return Ok(());
        }
        if i.resource == "localsubjectaccessreviews" {
            return Ok(());
        }
        let namespace = self.objects.get("", "namespaces", "", &i.namespace).await?;
        if a.operation == Operation::Create && text(&namespace, "/status/phase") == "Terminating" {
            let why = format!(
                "unable to create new content in namespace {} because it is being terminated",
                i.namespace
            );
            return Err(a.forbidden(obj, why).with_cause(Cause {
                reason: "NamespaceTerminating".to_owned(),
                message: format!("namespace {} is being terminated", i.namespace),
                field: "metadata.namespace".to_owned(),
            }));
        }
        Ok(())
    }
}
