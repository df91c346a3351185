//! Quality-of-service class of a pod (pkg/apis/core/v1/helper/qos `ComputePodQOS`).

use std::collections::BTreeMap;

use apimachinery::quantity::Quantity;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::resources::{RawResourceList, has_pod_level_resources, parse_quantity};

/// Limits and requests are equal for CPU and memory in every container.
pub const GUARANTEED: &str = "Guaranteed";
/// Some CPU or memory is requested or limited.
pub const BURSTABLE: &str = "Burstable";
/// Nothing is requested.
pub const BEST_EFFORT: &str = "BestEffort";

/// The class recorded in the status, computed from the spec when there is none (`GetPodQOS`).
pub fn pod_qos(pod: &Pod) -> &str {
    match pod.status.as_ref().and_then(|s| s.qos_class.as_deref()) {
        Some(class) if !class.is_empty() => class,
        _ => pod.spec.as_ref().map_or(BEST_EFFORT, compute),
    }
}

/// The class that follows from the spec: pod-level resources when set, else those of all init and
/// main containers (`ComputePodQOS`).
pub fn compute(spec: &PodSpec) -> &'static str {
    let mut requests = Totals::default();
    let mut limits = Totals::default();
    let mut every_container_limited = true;
    if has_pod_level_resources(spec) {
        let level = spec.resources.as_ref();
        requests.add(level.and_then(|r| r.requests.as_ref()));
        let limited = limits.add(level.and_then(|r| r.limits.as_ref()));
        every_container_limited = limited == 2;
    } else {
        for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
            let own = container.resources.as_ref();
            requests.add(own.and_then(|r| r.requests.as_ref()));
            let limited = limits.add(own.and_then(|r| r.limits.as_ref()));
            every_container_limited &= limited == 2;
        }
    }
    if requests.0.is_empty() && limits.0.is_empty() {
        BEST_EFFORT
    } else if every_container_limited && requests.agree_with(&limits) {
        GUARANTEED
    } else {
        BURSTABLE
    }
}

/// Sums of the positive CPU and memory amounts.
#[derive(Default)]
struct Totals(BTreeMap<String, Quantity>);

impl Totals {
    /// Adds one list; returns how many of the two resources it had.
    fn add(&mut self, list: Option<&RawResourceList>) -> usize {
        let mut seen = 0;
        for (name, raw) in list.into_iter().flatten() {
            let amount = parse_quantity(raw);
            if (name != "cpu" && name != "memory") || amount <= Quantity::default() {
                continue;
            }
            seen += 1;
            *self.0.entry(name.clone()).or_default() += amount;
        }
        seen
    }

    /// Every request equals its limit, and no limit lacks a request.
    fn agree_with(&self, limits: &Totals) -> bool {
        self.0.len() == limits.0.len() && self.0.iter().all(|(name, amount)| limits.0.get(name) == Some(amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{Container, ResourceRequirements};
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

    type Pairs = &'static [(&'static str, &'static str)];

    fn resources(requests: Pairs, limits: Pairs) -> ResourceRequirements {
        let list = |pairs: Pairs| {
            let map = pairs.iter().map(|(k, v)| (k.to_string(), RawQuantity(v.to_string())));
            Some(map.collect())
        };
        ResourceRequirements {
            requests: list(requests),
            limits: list(limits),
            claims: None,
        }
    }

    fn spec(containers: &[(Pairs, Pairs)]) -> PodSpec {
        let container = |(requests, limits): &(Pairs, Pairs)| Container {
            resources: Some(resources(requests, limits)),
            ..Container::default()
        };
        PodSpec {
            containers: containers.iter().map(container).collect(),
            ..PodSpec::default()
        }
    }

    #[test]
    fn class_follows_requests_and_limits() {
        const FULL: Pairs = &[("cpu", "1"), ("memory", "1Gi")];
        let cases: &[(&[(Pairs, Pairs)], &str)] = &[
            (&[(&[], &[])], BEST_EFFORT),
            (&[(FULL, FULL)], GUARANTEED),
            (&[(FULL, FULL), (&[], &[])], BURSTABLE),
            (&[(FULL, FULL), (FULL, FULL)], GUARANTEED),
            (&[(&[("cpu", "1")], FULL)], BURSTABLE),
            (&[(&[("cpu", "1")], &[("cpu", "1")])], BURSTABLE),
            (&[(&[("cpu", "0")], &[])], BEST_EFFORT),
            (&[(&[("nvidia.com/gpu", "1")], &[])], BEST_EFFORT),
        ];
        for (containers, want) in cases {
            assert_eq!(compute(&spec(containers)), *want, "{containers:?}");
        }
    }

    #[test]
    fn pod_level_resources_decide_when_set() {
        let mut spec = spec(&[(&[], &[])]);
        spec.resources = Some(resources(
            &[("cpu", "1"), ("memory", "1Gi")],
            &[("cpu", "1"), ("memory", "1Gi")],
        ));
        assert_eq!(compute(&spec), GUARANTEED);
    }
}
