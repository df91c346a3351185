//! The status of a ResourceQuota from the objects of its namespace. Pure.
//!
//! Upstream: pkg/controller/resourcequota `syncResourceQuota`, apiserver pkg/quota/v1 `CalculateUsage`.

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::quantity::Quantity;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, ResourceQuotaStatus, Service};
use k8s_openapi::jiff::Timestamp;
use rules::resources::{ResourceList, add_into, parse_list};

use super::{scopes, usage};

/// What there is in the namespace.
#[derive(Default)]
pub(super) struct Objects<'a> {
    pub(super) pods: Vec<Arc<Pod>>,
    pub(super) services: Vec<Arc<Service>>,
    pub(super) claims: Vec<Arc<PersistentVolumeClaim>>,
    /// Numbers of what is only counted, by the name that the quota has for it.
    pub(super) counts: BTreeMap<&'a str, usize>,
}

/// `spec.hard`.
pub(super) fn hard(quota: &ResourceQuota) -> ResourceList {
    parse_list(quota.spec.as_ref().and_then(|spec| spec.hard.as_ref()))
}

/// The status to write; `None` when the stored one says the same.
pub(super) fn plan(quota: &ResourceQuota, objects: &Objects<'_>, now: Timestamp) -> Option<ResourceQuotaStatus> {
    let hard = hard(quota);
    let scopes = quota.spec.as_ref().map(scopes::of_quota).unwrap_or_default();
    let mut total = ResourceList::new();
    for pod in objects.pods.iter().filter(|pod| scopes::include_pod(&scopes, pod)) {
        add_into(&mut total, &usage::of_pod(pod, now));
    }
    for claim in objects
        .claims
        .iter()
        .filter(|claim| scopes::include_claim(&scopes, claim))
    {
        add_into(&mut total, &usage::of_claim(claim));
    }
    // Nothing else has a scope.
    if scopes.is_empty() {
        for service in &objects.services {
            add_into(&mut total, &usage::of_service(service));
        }
    }
    let stored = quota.status.clone().unwrap_or_default();
    let (stored_hard, stored_used) = (parse_list(stored.hard.as_ref()), parse_list(stored.used.as_ref()));
    let amount = |name: &str| -> Option<Quantity> {
        if usage::is_of_pods(name) || usage::is_of_services(name) || usage::is_of_claims(name) {
            return Some(total.get(name).copied().unwrap_or_else(|| usage::number(0)));
        }
        match objects.counts.get(name) {
            Some(count) => Some(usage::number(if scopes.is_empty() { *count } else { 0 })),
            // What nobody here can count stays as it was.
            None => stored_used.get(name).copied(),
        }
    };
    let used: ResourceList = hard
        .keys()
        .filter_map(|name| Some((name.clone(), amount(name)?)))
        .collect();
    let same = stored.hard.is_some() && stored.used.is_some() && stored_hard == hard && stored_used == used;
    let written = |list: &ResourceList| {
        list.iter()
            .map(|(name, amount)| (name.clone(), amount.to_api()))
            .collect()
    };
    (!same).then(|| ResourceQuotaStatus {
        hard: Some(written(&hard)),
        used: Some(written(&used)),
    })
}
