//! Admission: what the server adds to, or refuses in, a write that authorization let through.
//!
//! Two passes over one chain: `admit` may change the object, `validate` may only refuse. The order
//! is upstream's (`pkg/kubeapiserver/options/plugins.go` `AllOrderedPlugins`): see [`plugins`].

use std::sync::Arc;
use std::time::Instant;

use apimachinery::gvk::GroupResource;
use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::Value;

use crate::authz::Union;
use crate::authz::rbac::Rbac;
use crate::metrics::admission as metrics;
use crate::objects::{Objects, text};
use crate::request::RequestContext;

pub(crate) mod always;
pub(crate) mod always_pull_images;
pub(crate) mod anti_affinity;
pub(crate) mod certificates;
pub(crate) mod claim_resize;
pub(crate) mod config_file;
pub(crate) mod default_classes;
pub(crate) mod default_toleration_seconds;
pub(crate) mod event_rate_limit;
pub(crate) mod extended_resource_toleration;
pub(crate) mod external_ips;
pub(crate) mod limit_ranger;
pub(crate) mod namespace_exists;
pub(crate) mod namespace_lifecycle;
pub(crate) mod node_restriction;
pub(crate) mod owner_permissions;
pub(crate) mod plugins;
pub(crate) mod pod_topology_labels;
pub(crate) mod priority;
pub(crate) mod rbac_escalation;
mod references;
pub(crate) mod resource_quota;
pub(crate) mod runtime_class;
pub(crate) mod service_account;
pub(crate) mod storage_protection;
pub(crate) mod taint_nodes;

pub(crate) use config_file::Configurations;

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// POST, also of subresources, and PUT that creates.
    Create,
    /// PUT and PATCH.
    Update,
    /// DELETE, once per object of a collection.
    Delete,
    /// exec, attach, portforward, proxy.
    Connect,
}

impl Operation {
    /// Its name, as in webhook configurations.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}

/// One write, as plugins see it.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a> {
    /// User, resource, namespace, name, subresource, dry run, warnings.
    pub(crate) ctx: &'a RequestContext,
    /// What is done.
    pub(crate) operation: Operation,
    /// The stored object, on updates and deletes.
    pub(crate) old: Option<&'a Value>,
}

impl Attributes<'_> {
    /// Whether this is about `resource` itself or its `subresource`.
    pub(crate) fn is(&self, group: &str, resource: &str, subresource: &str) -> bool {
        let i = &self.ctx.info;
        i.api_group == group && i.resource == resource && i.subresource == subresource
    }

    /// The namespace of the request.
    pub(crate) fn namespace(&self) -> &str {
        &self.ctx.info.namespace
    }

    /// Upstream's `admission.NewForbidden`.
    pub(crate) fn forbidden(&self, obj: &Value, why: impl std::fmt::Display) -> ApiError {
        let i = &self.ctx.info;
        let name = [
            i.name.as_str(),
            text(obj, "/metadata/name"),
            text(obj, "/metadata/generateName"),
            "Unknown",
        ]
        .into_iter()
        .find(|n| !n.is_empty())
        .unwrap_or("Unknown");
        ApiError::forbidden(&GroupResource::new(i.api_group.clone(), i.resource.clone()), name, why)
    }
}

/// One admission plugin.
#[async_trait]
pub(crate) trait Plugin: Send + Sync {
    /// Whether it wants to see such writes.
    fn handles(&self, operation: Operation) -> bool;
    /// Changes the object or refuses the write. `obj` is null on deletes.
    async fn admit(&self, _attrs: &Attributes<'_>, _obj: &mut Value) -> Result<(), ApiError> {
        Ok(())
    }
    /// Refuses the write; runs after every plugin's `admit`.
    async fn validate(&self, _attrs: &Attributes<'_>, _obj: &Value) -> Result<(), ApiError> {
        Ok(())
    }
}

/// What plugins may ask.
#[derive(Clone)]
pub(crate) struct World {
    /// The cluster's objects.
    pub(crate) objects: Arc<dyn Objects>,
    /// For plugins that check further permissions.
    pub(crate) authorizer: Union,
    /// The RBAC index, when that mode is on: who may grant what.
    pub(crate) rbac: Option<Arc<Rbac>>,
    /// How long pods stay on nodes that fail, unless they say.
    pub(crate) toleration_seconds: default_toleration_seconds::TolerationSeconds,
    /// `--admission-control-config-file`.
    pub(crate) configurations: Configurations,
}

/// The enabled plugins in order.
#[derive(Clone, Default)]
pub(crate) struct Chain {
    plugins: Vec<plugins::Named>,
}

impl Chain {
    /// Builds the chain; unknown names in the flags are an error.
    pub(crate) fn new(world: &World, enable: &[String], disable: &[String]) -> Result<Self, Vec<String>> {
        let names = plugins::enabled(enable, disable)?;
        let mut plugins = plugins::build(world, &names)?;
        // Not a plugin upstream but part of the kinds' storage: no flag turns it off.
        if let Some(rbac) = &world.rbac {
            let check = rbac_escalation::RbacEscalation::new(rbac.clone(), world.authorizer.clone());
            // What it refuses must not be charged to a quota.
            let quota = plugins.iter().position(|(name, _)| *name == "ResourceQuota");
            plugins.insert(quota.unwrap_or(plugins.len()), ("RbacEscalation", Arc::new(check)));
        }
        Ok(Chain { plugins })
    }

    /// Names of the plugins that run, in order.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.plugins.iter().map(|(n, _)| *n).collect()
    }

    /// First pass: plugins change the object.
    pub(crate) async fn admit(&self, attrs: &Attributes<'_>, obj: &mut Value) -> Result<(), ApiError> {
        let step = Instant::now();
        for (name, p) in self.plugins.iter().filter(|(_, p)| p.handles(attrs.operation)) {
            let begun = Instant::now();
            let outcome = p.admit(attrs, obj).await;
            measured(name, "admit", attrs.operation, &outcome, begun, step);
            outcome?;
        }
        metrics::step("admit", attrs.operation.name(), false, step.elapsed());
        Ok(())
    }

    /// Second pass: plugins look at the result.
    pub(crate) async fn validate(&self, attrs: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        let step = Instant::now();
        for (name, p) in self.plugins.iter().filter(|(_, p)| p.handles(attrs.operation)) {
            let begun = Instant::now();
            let outcome = p.validate(attrs, obj).await;
            measured(name, "validate", attrs.operation, &outcome, begun, step);
            outcome?;
        }
        metrics::step("validate", attrs.operation.name(), false, step.elapsed());
        Ok(())
    }
}

/// What one plugin took; its refusal ends the step.
fn measured(
    name: &str,
    pass: &str,
    operation: Operation,
    outcome: &Result<(), ApiError>,
    begun: Instant,
    step: Instant,
) {
    metrics::plugin(name, pass, operation.name(), outcome.is_err(), begun.elapsed());
    if outcome.is_err() {
        metrics::step(pass, operation.name(), true, step.elapsed());
    }
}

#[cfg(test)]
mod tests;
