//! Admission as the store calls it: the chain of plugins, bound to one request, and RBAC's rule that
//! nobody grants more than they hold.

use std::sync::Arc;

use apimachinery::gvk::GroupResource;
use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use async_trait::async_trait;
use serde_json::Value;

use super::Api;
use crate::admission::{Attributes, Operation};
use crate::authz::modes::MASTERS;
use crate::authz::rbac::{self, Rbac, escalation};
use crate::objects::text;
use crate::registry::Hooks;
use crate::request::RequestContext;

/// The chain for one request.
pub(crate) struct Admit<'a> {
    api: &'a Api,
    ctx: &'a RequestContext,
    operation: Operation,
}

impl<'a> Admit<'a> {
    /// Binds the server's admission to a request.
    pub(crate) fn new(api: &'a Api, ctx: &'a RequestContext, operation: Operation) -> Self {
        Admit { api, ctx, operation }
    }

    /// PUT and PATCH that create run as creates.
    fn operation(&self, old: Option<&Value>) -> Operation {
        if self.operation == Operation::Update && old.is_none() {
            Operation::Create
        } else {
            self.operation
        }
    }

    /// Roles may hold, and bindings may give, only what the writer has, or has been told to
    /// `escalate` or `bind` (upstream `pkg/registry/rbac/*/policybased/storage.go`).
    async fn grants(&self, rbac: &Arc<Rbac>, obj: &Value, old: Option<&Value>) -> Result<()> {
        let info = &self.ctx.info;
        let user = &self.ctx.user;
        if info.api_group != rbac::GROUP || user.groups.iter().any(|g| g == MASTERS) {
            return Ok(());
        }
        let same = |fields: &[&str]| old.is_some_and(|o| fields.iter().all(|f| o.get(f) == obj.get(f)));
        let (verb, name, resource, wanted) = match info.resource.as_str() {
            "roles" | "clusterroles" if !same(&["rules", "aggregationRule"]) => (
                "escalate",
                meta::name(obj),
                info.resource.as_str(),
                escalation::wanted_rules(obj),
            ),
            "rolebindings" | "clusterrolebindings" if !same(&["subjects", "roleRef"]) => {
                let role = text(obj, "/roleRef/name");
                let cluster = text(obj, "/roleRef/kind") == "ClusterRole";
                let (resource, ns) = if cluster {
                    ("clusterroles", "")
                } else {
                    ("roles", info.namespace.as_str())
                };
                let Some(rules) = rbac.role_rules(ns, role) else {
                    return Err(ApiError::not_found(&GroupResource::new(rbac::GROUP, resource), role));
                };
                ("bind", role, resource, rules.to_vec())
            }
            _ => return Ok(()),
        };
        let mut asked = info.clone();
        asked.verb = verb.to_owned();
        asked.resource = resource.to_owned();
        asked.name = name.to_owned();
        asked.subresource.clear();
        if self.api.authorizer.allows(user, &asked).await {
            return Ok(());
        }
        escalation::confirm_no_escalation(rbac, user, &info.namespace, &wanted).map_err(|why| {
            let gr = GroupResource::new(rbac::GROUP, info.resource.clone());
            ApiError::forbidden(&gr, meta::name(obj), why)
        })
    }
}

#[async_trait]
impl Hooks for Admit<'_> {
    async fn admit(&self, obj: &mut Value, old: Option<&Value>) -> Result<()> {
        let attrs = Attributes {
            ctx: self.ctx,
            operation: self.operation(old),
            old,
        };
        self.api.admission.admit(&attrs, obj).await
    }

    async fn validate(&self, obj: Option<&Value>, old: Option<&Value>) -> Result<()> {
        let mut attrs = Attributes {
            ctx: self.ctx,
            operation: self.operation(old),
            old,
        };
        if let Some(obj) = obj {
            if let Some(rbac) = &self.api.rbac {
                self.grants(rbac, obj, old).await?;
            }
            return self.api.admission.validate(&attrs, obj).await;
        }
        // Deletes: both passes see no object. In a collection each object is asked for by name.
        let named;
        if self.ctx.info.name.is_empty()
            && let Some(old) = old
        {
            let mut ctx = self.ctx.clone();
            ctx.info.name = meta::name(old).to_owned();
            named = ctx;
            attrs.ctx = &named;
        }
        self.api.admission.admit(&attrs, &mut Value::Null).await?;
        self.api.admission.validate(&attrs, &Value::Null).await
    }
}
