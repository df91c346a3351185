//! Resources of a whole pod, as far as they follow from its containers' (pkg/apis/core/v1/defaults.go).

use std::collections::BTreeMap;

use apimachinery::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

use crate::check::{list, quantity, text};

type Amounts = BTreeMap<String, RawQuantity>;
type Sums = BTreeMap<String, Quantity>;

/// Limits of huge pages, then requests: what the containers take together, else the limits.
pub(super) fn resources(spec: &mut PodSpec) {
    huge_page_limits(spec);
    requests(spec);
}

/// `defaultHugePagePodLimits`: only for a pod that has resources of its own.
fn huge_page_limits(spec: &mut PodSpec) {
    let sums = aggregate(spec, |r| r.limits.as_ref());
    let Some(resources) = spec
        .resources
        .as_mut()
        .filter(|r| !empty(&r.limits) || !empty(&r.requests))
    else {
        return;
    };
    for (name, sum) in sums.into_iter().filter(|(name, _)| is_huge_pages(name)) {
        let requested = resources.requests.as_ref().is_some_and(|r| r.contains_key(&name));
        if !requested {
            let limits = resources.limits.get_or_insert_default();
            limits.entry(name).or_insert_with(|| sum.to_api());
        }
    }
}

/// `defaultPodRequests`: only for a pod that has limits of its own.
fn requests(spec: &mut PodSpec) {
    let sums = aggregate(spec, |r| r.requests.as_ref());
    let Some(resources) = spec.resources.as_mut().filter(|r| !empty(&r.limits)) else {
        return;
    };
    let limits = resources.limits.iter().flatten();
    let limits = limits.filter(|(name, _)| is_supported(name));
    // Huge pages cannot be overcommitted: their requests are their limits.
    let sums = sums
        .into_iter()
        .filter(|(name, _)| is_supported(name) && !is_huge_pages(name));
    let mut requests = resources.requests.clone().unwrap_or_default();
    for (name, sum) in sums {
        requests.entry(name).or_insert_with(|| sum.to_api());
    }
    for (name, limit) in limits {
        requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
    if !requests.is_empty() {
        resources.requests = Some(requests);
    }
}

fn empty(amounts: &Option<Amounts>) -> bool {
    amounts.as_ref().is_none_or(BTreeMap::is_empty)
}

fn is_huge_pages(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// What a pod can have resources of its own of (component-helpers `IsSupportedPodLevelResource`).
fn is_supported(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || is_huge_pages(name)
}

/// What the containers take at most at one time (component-helpers `AggregateContainerRequests`):
/// together, or one init container beside the sidecars started before it.
fn aggregate(spec: &PodSpec, of: fn(&ResourceRequirements) -> Option<&Amounts>) -> Sums {
    let amounts = |container: &Container| -> Sums {
        let amounts = container.resources.as_ref().and_then(of);
        let amounts = amounts.into_iter().flatten();
        amounts.map(|(name, amount)| (name.clone(), quantity(amount))).collect()
    };
    let mut running = Sums::new();
    for container in &spec.containers {
        add(&mut running, &amounts(container));
    }
    let (mut sidecars, mut starting) = (Sums::new(), Sums::new());
    for container in list(&spec.init_containers) {
        let mut own = amounts(container);
        if text(&container.restart_policy) == "Always" {
            add(&mut running, &own);
            add(&mut sidecars, &own);
            own = sidecars.clone();
        } else {
            add(&mut own, &sidecars);
        }
        at_least(&mut starting, own);
    }
    at_least(&mut running, starting);
    running
}

fn add(sums: &mut Sums, more: &Sums) {
    for (name, amount) in more {
        let sum = sums.entry(name.clone());
        sum.and_modify(|sum| *sum += *amount).or_insert(*amount);
    }
}

fn at_least(sums: &mut Sums, others: Sums) {
    for (name, amount) in others {
        let sum = sums.entry(name).or_insert(amount);
        if amount > *sum {
            *sum = amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_pods_own_resources_follow_its_containers() {
        let cases = [
            ("none of its own", json!({}), json!({})),
            (
                "limits: requests of the containers, else the limits",
                json!({"limits": {"cpu": "4", "memory": "9Gi", "example.com/x": "1"}}),
                json!({"limits": {"cpu": "4", "memory": "9Gi", "hugepages-2Mi": "6Mi", "example.com/x": "1"},
                    "requests": {"cpu": "3500m", "memory": "9Gi", "hugepages-2Mi": "6Mi"}}),
            ),
            (
                "requests: limits of huge pages only",
                json!({"requests": {"cpu": "1"}}),
                json!({"limits": {"hugepages-2Mi": "6Mi"},
                    "requests": {"cpu": "1", "hugepages-2Mi": "6Mi"}}),
            ),
            (
                "huge pages that are requested",
                json!({"limits": {"cpu": "4"}, "requests": {"cpu": "1", "hugepages-2Mi": "8Mi"}}),
                json!({"limits": {"cpu": "4"}, "requests": {"cpu": "1", "hugepages-2Mi": "8Mi"}}),
            ),
        ];
        let container = |name: &str, cpu: &str, pages: &str| json!({"name": name, "resources": {"requests": {"cpu": cpu}, "limits": {"hugepages-2Mi": pages}}});
        let mut sidecar = container("sidecar", "500m", "2Mi");
        sidecar["restartPolicy"] = json!("Always");
        for (name, own, want) in cases {
            let mut spec: PodSpec = serde_json::from_value(json!({"resources": own,
                "initContainers": [sidecar, container("first", "3", "2Mi")],
                "containers": [container("a", "1", "2Mi"), container("b", "1", "2Mi")]}))
            .expect("a spec");
            resources(&mut spec);
            let got: Value = json!(spec.resources);
            assert_eq!(got, want, "{name}");
        }
    }
}
