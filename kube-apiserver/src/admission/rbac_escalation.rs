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
use crate::authz::rbac::escalation::{confirm_no_escalation, wanted_rules};
use crate::authz::rbac::rule::Rule;
use crate::authz::rbac::{GROUP, Rbac};
use crate::objects::text;
use crate::request::RequestInfo;

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
        if self
            .may(a, "escalate", &a.ctx.info.resource, text(obj, "/metadata/name"))
            .await
        {
            return Ok(());
        }
        self.confirm(a, obj, &wanted_rules(obj))
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
        let same = |fields: [&str; 2]| a.old.is_some_and(|o| fields.iter().all(|f| o.get(*f) == obj.get(*f)));
        match i.resource.as_str() {
            "roles" | "clusterroles" if !same(["rules", "aggregationRule"]) => self.role(a, obj).await,
            "rolebindings" | "clusterrolebindings" if !same(["roleRef", "subjects"]) => self.binding(a, obj).await,
            _ => Ok(()),
        }
    }
}
