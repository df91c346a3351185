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

use super::limited::Demands;
use super::request::Request;

/// Why there is no room for a write.
#[derive(Debug)]
pub(super) enum NoRoom {
    /// Forbidden, with a reason.
    Forbidden(String),
    /// Upstream has no status for it.
    Uncovered(String),
}

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
pub(super) fn check(ledgers: &[Ledger], request: &Request) -> Result<Vec<(usize, ResourceList)>, NoRoom> {
    let interested = interested(ledgers, request).map_err(NoRoom::Forbidden)?;
    let charges = charges(ledgers, &interested, request);
    let takes = match (interested.is_empty(), &request.old) {
        (false, _) => !charges.is_empty(),
        (true, None) => !request.usage.is_empty(),
        (true, Some((_, used))) => !without_zeros(&growth(&request.usage, used)).is_empty(),
    };
    if !takes {
        return Ok(Vec::new());
    }
    covered(ledgers, &interested, request)?;
    let mut changes = Vec::new();
    for (at, more) in charges {
        let ledger = &ledgers[at];
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
                return Err(NoRoom::Forbidden(format!(
                    "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                    ledger.name,
                    shown(&requested),
                    shown(&ledger.used),
                    shown(&ledger.hard)
                )));
            }
        }
        changes.push((at, used));
    }
    Ok(changes)
}

/// The places of the quotas that look at a write; all of them must know what is used.
fn interested(ledgers: &[Ledger], request: &Request) -> Result<Vec<usize>, String> {
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
    Ok(interested)
}

/// What a write adds, by the place of the quota that looks at it.
fn charges(ledgers: &[Ledger], interested: &[usize], request: &Request) -> Vec<(usize, ResourceList)> {
    let more = |at: &usize| {
        // What was in another scope before is all new here.
        let before = request.old.as_ref().filter(|(old, _)| old.is_in(&ledgers[*at].scopes));
        let more = match before {
            Some((_, used)) => without_zeros(&growth(&request.usage, used)),
            None => without_zeros(&request.usage),
        };
        (*at, more)
    };
    let all = interested.iter().map(more);
    all.filter(|(_, more)| !more.is_empty()).collect()
}

/// Whether there are quotas for all that needs one.
fn covered(ledgers: &[Ledger], interested: &[usize], request: &Request) -> Result<(), NoRoom> {
    let demands = &request.demands;
    let names = demands.names.iter().map(String::as_str);
    let bare: Vec<&str> = names
        .filter(|name| !interested.iter().any(|at| ledgers[*at].hard.contains_key(*name)))
        .collect();
    if !bare.is_empty() {
        let why = format!("insufficient quota to consume: {}", bare.join(","));
        return Err(NoRoom::Forbidden(why));
    }
    let is_covered = |scope: &&ScopedResourceSelectorRequirement| {
        let mut all = ledgers.iter().flat_map(|ledger| &ledger.scopes);
        all.any(|own| own.scope_name == scope.scope_name && request.subject.is_scoped(own))
    };
    let bare: Vec<_> = demands.scopes.iter().filter(|scope| !is_covered(scope)).collect();
    if !bare.is_empty() {
        let why = format!("insufficient quota to match these scopes: {}", Demands::shown(&bare));
        return Err(NoRoom::Uncovered(why));
    }
    Ok(())
}
