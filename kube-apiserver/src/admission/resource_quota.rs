//! ResourceQuota: a namespace gets no more than its quotas allow, and what a write takes is in their status before
//! the object is stored.
//!
//! `request.rs` says what a write would take, `check.rs` whether a set of quotas has room for it (pure), `turns.rs`
//! writes what is taken. What is given back (deletes, changes to less, writes that failed later) is counted by
//! resourcequota-controller. Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota.

mod check;
mod limited;
mod request;
#[cfg(test)]
mod tests;
mod turns;

use std::sync::Arc;

use apimachinery::status::ApiError;
use async_trait::async_trait;
use rules::quota;
use serde_json::Value;

use super::{Attributes, Operation, Plugin, World};
use crate::objects::Objects;
use limited::Limited;
use request::Request;
use turns::{Refusal, Turns};

/// The plugin.
pub(crate) struct ResourceQuota {
    objects: Arc<dyn Objects>,
    turns: Arc<Turns>,
    /// What needs a quota.
    rules: Vec<Limited>,
}

impl ResourceQuota {
    /// Charges the quotas of `world`. The error: what is wrong with the configuration.
    pub(crate) fn new(world: &World) -> Result<Self, String> {
        Ok(ResourceQuota {
            objects: world.objects.clone(),
            turns: Turns::new(world.objects.clone()),
            rules: limited::rules(&world.configurations)?,
        })
    }
}

#[async_trait]
impl Plugin for ResourceQuota {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn validate(&self, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        let i = &a.ctx.info;
        if i.namespace.is_empty() || a.is("", "namespaces", "") || quota::is_ignored(&i.api_group, &i.resource) {
            return Ok(());
        }
        if !request::may_charge(a, obj) {
            return Ok(());
        }
        // From memory: most namespaces have no quota, and that must cost nothing.
        let quotas = self.objects.list("", "resourcequotas", &i.namespace).await?;
        if quotas.is_empty() && self.rules.is_empty() {
            return Ok(());
        }
        let request = Request::new(a, obj, &*self.objects, &self.rules).await?;
        match self.turns.charge(&i.namespace, request).await {
            Ok(()) => Ok(()),
            Err(Refusal::Denied(why)) => Err(a.forbidden(obj, why)),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }
}
