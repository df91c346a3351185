//! The status of a ResourceQuota from the objects of its namespace. Pure.
//!
//! Upstream: pkg/controller/resourcequota `syncResourceQuota`, apiserver pkg/quota/v1 `CalculateUsage`.

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::quantity::Quantity;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, ResourceQuotaStatus, Service};
use k8s_openapi::api::resource::v1::ResourceClaim;
use k8s_openapi::jiff::Timestamp;
use rules::quota::resource_claims::Classes;
use rules::quota::{claims, number, pods, resource_claims, scopes, services};
use rules::resources::{ResourceList, add_into, parse_list};

use super::Seen;

/// What there is in the namespace.
#[derive(Default)]
pub(super) struct Objects<'a> {
    pub(super) pods: Vec<Arc<Pod>>,
    pub(super) services: Vec<Arc<Service>>,
    pub(super) claims: Vec<Arc<PersistentVolumeClaim>>,
    pub(super) resource_claims: Vec<Arc<ResourceClaim>>,
    /// The device classes of the cluster.
    pub(super) classes: Classes,
    /// Numbers of what is only counted, by the name that the quota has for it.
    pub(super) counts: BTreeMap<&'a str, usize>,
}

/// `spec.hard`.
pub(super) fn hard(quota: &ResourceQuota) -> ResourceList {
    parse_list(quota.spec.as_ref().and_then(|spec| spec.hard.as_ref()))
}

/// What a look at the objects is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// What is used is what they use.
    All,
    /// What is used is not less than what they use.
    Arrivals,
}

/// Some of the objects with usage of their own use what is called so.
pub(super) fn is_measured(name: &str, classes: &Classes) -> bool {
    pods::uses(name) || services::uses(name) || claims::uses(name) || resource_claims::uses(name, classes)
}

/// An object takes less than before, or other quotas may look at it.
pub(super) fn gives_back(old: &Seen, now: &Seen) -> bool {
    old.1 != now.1
        || old
            .0
            .iter()
            .any(|(name, before)| now.0.get(name).is_none_or(|now| now < before))
}

/// The status to write; `None` when the stored one says the same.
pub(super) fn plan(
    quota: &ResourceQuota,
    objects: &Objects<'_>,
    count: Count,
    now: Timestamp,
) -> Option<ResourceQuotaStatus> {
    let hard = hard(quota);
    let scopes = quota.spec.as_ref().map(scopes::of_quota).unwrap_or_default();
    let mut total = ResourceList::new();
    for pod in objects.pods.iter().filter(|pod| scopes::include_pod(&scopes, pod)) {
        add_into(&mut total, &pods::usage(pod, now));
    }
    for claim in objects
        .claims
        .iter()
        .filter(|claim| scopes::include_claim(&scopes, claim))
    {
        add_into(&mut total, &claims::usage(claim));
    }
    // Nothing else has a scope.
    if scopes.is_empty() {
        for service in &objects.services {
            add_into(&mut total, &services::usage(service));
        }
        for claim in &objects.resource_claims {
            let charged = charged(claim, objects, now);
            add_into(&mut total, &resource_claims::usage(claim, &objects.classes, &charged));
        }
    }
    let stored = quota.status.clone().unwrap_or_default();
    let (stored_hard, stored_used) = (parse_list(stored.hard.as_ref()), parse_list(stored.used.as_ref()));
    let amount = |name: &str| -> Option<Quantity> {
        if is_measured(name, &objects.classes) {
            return Some(total.get(name).copied().unwrap_or_else(|| number(0)));
        }
        match objects.counts.get(name) {
            Some(count) => Some(number(if scopes.is_empty() { *count } else { 0 })),
            // What nobody here can count stays as it was.
            None => stored_used.get(name).copied(),
        }
    };
    let used: ResourceList = hard
        .keys()
        .filter_map(|name| {
            let amount = amount(name)?;
            let stored = stored_used.get(name).filter(|_| count == Count::Arrivals);
            Some((name.clone(), stored.map_or(amount, |stored| amount.max(*stored))))
        })
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

/// What the pod for which the scheduler made a claim has been charged for already.
fn charged(claim: &ResourceClaim, objects: &Objects<'_>, now: Timestamp) -> ResourceList {
    let owner = resource_claims::pod_of(claim).and_then(|(name, _)| {
        objects
            .pods
            .iter()
            .find(|pod| pod.metadata.name.as_deref() == Some(name))
    });
    owner.map_or_else(ResourceList::new, |pod| {
        resource_claims::charged(claim, pod, objects.resource_claims.iter().map(|claim| &**claim), now)
    })
}
