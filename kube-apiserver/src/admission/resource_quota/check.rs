//! Whether quotas have room for a write. Pure. Upstream: apiserver resourcequota `CheckRequest`.

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::quantity::Quantity;
use apimachinery::status::ApiError;
use k8s_openapi::api::core::v1::{ResourceQuota, ScopedResourceSelectorRequirement};
use rules::quota::amounts::{beyond, describe, growth, only, without_zeros};
use rules::quota::scopes;
use rules::resources::{ResourceList, add_into, parse_list};
use serde_json::{Value, json};

use super::request::Request;

/// A quota while writes are charged to it.
#[derive(Clone)]
pub(super) struct Ledger {
    /// As it is stored.
    object: Arc<Value>,
    pub(super) name: String,
    scopes: Vec<ScopedResourceSelectorRequirement>,
    /// What counts is what the controller has seen: the status.
    hard: ResourceList,
    pub(super) used: ResourceList,
}

impl Ledger {
    pub(super) fn new(object: Arc<Value>) -> Result<Self, ApiError> {
        let quota: ResourceQuota = serde_json::from_value((*object).clone()).map_err(ApiError::internal)?;
        let status = quota.status.unwrap_or_default();
        Ok(Ledger {
            object,
            name: quota.metadata.name.unwrap_or_default(),
            scopes: quota.spec.as_ref().map(scopes::of_quota).unwrap_or_default(),
            hard: parse_list(status.hard.as_ref()),
            used: parse_list(status.used.as_ref()),
        })
    }

    /// The quota to store: whoever changed it since makes that a conflict.
    pub(super) fn written(&self) -> Value {
        let used: BTreeMap<&String, String> = self.used.iter().map(|(name, q)| (name, q.to_string())).collect();
        let mut object = (*self.object).clone();
        object["status"]["used"] = json!(used);
        object
    }
}

/// The new amounts of the quotas that a write changes, by their place in `ledgers`; or why there is no room for it.
pub(super) fn check(ledgers: &[Ledger], request: &Request) -> Result<Vec<(usize, ResourceList)>, String> {
    let mut interested = Vec::new();
    for (at, ledger) in ledgers.iter().enumerate() {
        let limited = ledger
            .hard
            .keys()
            .map(String::as_str)
            .filter(|name| request.subject.uses(name));
        if limited.clone().next().is_none() || !request.subject.is_in(&ledger.scopes) {
            continue;
        }
        if let Some(missing) = request.subject.missing(limited.clone()) {
            return Err(format!("failed quota: {}: {missing}", ledger.name));
        }
        if limited.clone().any(|name| !ledger.used.contains_key(name)) {
            let names: Vec<&str> = limited.collect();
            let names = names.join(",");
            return Err(format!("status unknown for quota: {}, resources: {names}", ledger.name));
        }
        interested.push(at);
    }
    let negative = only(&request.usage, |name| {
        request.usage.get(name).is_some_and(|amount| *amount < Quantity::ZERO)
    });
    if !negative.is_empty() {
        let names: Vec<&str> = negative.keys().map(String::as_str).collect();
        return Err(format!("quota usage is negative for resource(s): {}", names.join(",")));
    }
    let mut changes = Vec::new();
    for at in interested {
        let ledger = &ledgers[at];
        // What was in another scope before is all new here.
        let before = request.old.as_ref().filter(|(old, _)| old.is_in(&ledger.scopes));
        let more = match before {
            Some((_, used)) => without_zeros(&growth(&request.usage, used)),
            None => without_zeros(&request.usage),
        };
        let requested = only(&more, |name| ledger.hard.contains_key(name));
        if requested.is_empty() {
            continue;
        }
        let mut used = ledger.used.clone();
        add_into(&mut used, &requested);
        if !request.is_status {
            let new = only(&used, |name| requested.contains_key(name));
            let exceeded = beyond(&new, &ledger.hard);
            if !exceeded.is_empty() {
                let shown = |list: &ResourceList| describe(&only(list, |name| exceeded.contains(&name)));
                return Err(format!(
                    "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                    ledger.name,
                    shown(&requested),
                    shown(&ledger.used),
                    shown(&ledger.hard)
                ));
            }
        }
        changes.push((at, used));
    }
    Ok(changes)
}
