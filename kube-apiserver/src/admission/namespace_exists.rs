//! NamespaceExists and NamespaceAutoProvision: what NamespaceLifecycle does, without its care for namespaces that end;
//! and its opposite, a namespace for whoever writes into it.
//!
//! Upstream: `plugin/pkg/admission/namespace/{exists,autoprovision}/admission.go`.

use std::sync::Arc;

use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Attributes, Operation, Plugin, World};
use crate::objects::{Objects, find};

/// Refuses writes into namespaces that are not there.
pub(crate) struct NamespaceExists {
    objects: Arc<dyn Objects>,
}

impl NamespaceExists {
    /// Looks namespaces up in `world`.
    pub(crate) fn new(world: &World) -> Self {
        NamespaceExists {
            objects: world.objects.clone(),
        }
    }
}

#[async_trait]
impl Plugin for NamespaceExists {
    fn handles(&self, operation: Operation) -> bool {
        operation != Operation::Connect
    }

    async fn validate(&self, a: &Attributes<'_>, _: &Value) -> Result<(), ApiError> {
        if is_elsewhere(a) {
            return Ok(());
        }
        match self.objects.get("", "namespaces", "", a.namespace()).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Err(error),
            Err(error) => Err(ApiError::internal(error)),
        }
    }
}

/// Creates namespaces that are not there.
pub(crate) struct NamespaceAutoProvision {
    objects: Arc<dyn Objects>,
}

impl NamespaceAutoProvision {
    /// Creates them in `world`.
    pub(crate) fn new(world: &World) -> Self {
        NamespaceAutoProvision {
            objects: world.objects.clone(),
        }
    }
}

#[async_trait]
impl Plugin for NamespaceAutoProvision {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    async fn admit(&self, a: &Attributes<'_>, obj: &mut Value) -> Result<(), ApiError> {
        if a.ctx.dry_run || is_elsewhere(a) {
            return Ok(());
        }
        let found = find(&*self.objects, "", "namespaces", "", a.namespace()).await;
        if found.map_err(|error| a.forbidden(obj, error))?.is_some() {
            return Ok(());
        }
        let new = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": a.namespace()}});
        match self.objects.create("", "namespaces", "", new).await {
            Err(error) if !error.is_already_exists() => Err(a.forbidden(obj, error)),
            _ => Ok(()),
        }
    }
}

/// It is about no namespace's content.
fn is_elsewhere(a: &Attributes<'_>) -> bool {
    let i = &a.ctx.info;
    a.namespace().is_empty() || (i.api_group.is_empty() && i.resource == "namespaces")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::authz::Union;
    use crate::objects::memory::MemoryObjects;
    use crate::request::RequestContext;

    #[tokio::test]
    async fn a_namespace_that_is_missing_is_refused_or_made() {
        let objects = MemoryObjects::with(&[("", "namespaces", json!({"metadata": {"name": "there"}}))]);
        let world = World {
            objects: objects.clone(),
            authorizer: Union::default(),
            rbac: None,
            toleration_seconds: Default::default(),
            configurations: Default::default(),
        };
        let (exists, provision) = (NamespaceExists::new(&world), NamespaceAutoProvision::new(&world));
        for (resource, ns, dry_run, was_there, is_there) in [
            ("pods", "there", false, true, true),
            ("namespaces", "missing", false, true, true),
            ("nodes", "", false, true, true),
            ("pods", "missing", true, false, false),
            ("pods", "missing", false, false, true),
        ] {
            let mut ctx = RequestContext::internal_for("create", "", "v1", resource, ns, "p");
            ctx.dry_run = dry_run;
            let attrs = Attributes {
                ctx: &ctx,
                operation: Operation::Create,
                old: None,
            };
            let error = exists.validate(&attrs, &Value::Null).await.err();
            assert_eq!(error.is_none(), was_there, "{resource} {ns}");
            assert!(error.is_none_or(|e| e.message == "namespaces \"missing\" not found"));
            provision.admit(&attrs, &mut Value::Null).await.unwrap();
            assert_eq!(
                exists.validate(&attrs, &Value::Null).await.is_ok(),
                is_there,
                "{resource} {ns}"
            );
        }
        assert_eq!(objects.names("", "namespaces"), ["missing", "there"]);
    }
}
