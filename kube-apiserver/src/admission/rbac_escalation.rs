//! Writes of roles and bindings: nobody grants permissions they do not hold.
//!
//! Upstream does this in the storage of the kinds (`pkg/registry/rbac/*/policybased/storage.go`); here
//! it is one more check of the chain, which no flag turns off.

use std::sync::Arc;

use apimachinery::gvk::GroupResource;
use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::Value;

use super::{Attributes, Operation, Plugin};
use crate::authz::Union;
use crate::authz::modes::MASTERS;
use crate::authz::rbac::escalation::{aggregates, confirm_no_escalation, everything, wanted_rules};
use crate::authz::rbac::rule::Rule;
use crate::authz::rbac::{GROUP, Rbac};
use crate::objects::text;
use crate::request::RequestInfo;
use apimachinery::meta;

/// The check.
pub(crate) struct RbacEscalation {
    rbac: Arc<Rbac>,
    authorizer: Union,
}

impl RbacEscalation {
    /// Reads held rules from `rbac` and asks `authorizer` for the verbs `escalate` and `bind`.
    pub(crate) fn new(rbac: Arc<Rbac>, authorizer: Union) -> Self {
        RbacEscalation { rbac, authorizer }
    }

    async fn may(&self, a: &Attributes<'_>, verb: &str, resource: &str, name: &str) -> bool {
        let info = RequestInfo {
            verb: verb.to_owned(),
            api_group: GROUP.to_owned(),
            api_version: "v1".to_owned(),
            resource: resource.to_owned(),
            namespace: a.namespace().to_owned(),
            name: name.to_owned(),
            is_resource: true,
            ..Default::default()
        };
        self.authorizer.allows(&a.ctx.user, &info).await
    }

    fn confirm(&self, a: &Attributes<'_>, obj: &Value, wanted: &[Rule]) -> Result<(), ApiError> {
        confirm_no_escalation(&self.rbac, &a.ctx.user, a.namespace(), wanted).map_err(|why| a.forbidden(obj, why))
    }

    async fn role(&self, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        // The name is the request's: a create has none, and so a rule about one name does not cover it.
        if self.may(a, "escalate", &a.ctx.info.resource, &a.ctx.info.name).await {
            return Ok(());
        }
        self.confirm(a, obj, &wanted_rules(obj))?;
        // A role that aggregates may come to hold anything; one that did must not be narrowed by others either.
        if aggregates(obj) || a.old.is_some_and(aggregates) {
            let why = "must have cluster-admin privileges to use the aggregationRule";
            let user = &a.ctx.user;
            return confirm_no_escalation(&self.rbac, user, a.namespace(), &everything())
                .map_err(|_| a.forbidden(obj, why));
        }
        Ok(())
    }

    async fn binding(&self, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        let name = text(obj, "/roleRef/name");
        let (resource, namespace) = match text(obj, "/roleRef/kind") {
            "ClusterRole" => ("clusterroles", ""),
            _ => ("roles", a.namespace()),
        };
        if self.may(a, "bind", resource, name).await {
            return Ok(());
        }
        let rules = self
            .rbac
            .role_rules(namespace, name)
            .ok_or_else(|| ApiError::not_found(&GroupResource::new(GROUP, resource), name))?;
        self.confirm(a, obj, &rules)
    }
}

#[async_trait]
impl Plugin for RbacEscalation {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn validate(&self, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        let i = &a.ctx.info;
        if i.api_group != GROUP || !i.subresource.is_empty() || a.ctx.user.groups.iter().any(|g| g == MASTERS) {
            return Ok(());
        }
        // Labels matter, too: a role is aggregated into others by its labels.
        if a.old.is_some_and(|old| differs_only_for_collection(obj, old)) {
            return Ok(());
        }
        match i.resource.as_str() {
            "roles" | "clusterroles" => self.role(a, obj).await,
            "rolebindings" | "clusterrolebindings" => self.binding(a, obj).await,
            _ => Ok(()),
        }
    }
}

/// Whether only what the garbage collector writes has changed (upstream `IsOnlyMutatingGCFields`).
fn differs_only_for_collection(new: &Value, old: &Value) -> bool {
    let stripped = |object: &Value| {
        let mut object = object.clone();
        for field in [
            "ownerReferences",
            "finalizers",
            "selfLink",
            "managedFields",
            "resourceVersion",
        ] {
            meta::remove(&mut object, field);
        }
        object
    };
    stripped(new) == stripped(old)
}
