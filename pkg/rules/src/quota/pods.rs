//! Pods (pkg/quota/v1/evaluator/core/pods.go).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::number;
use crate::pods::is_pod_terminal;
use crate::resources::{self, Options, ResourceList, parse_list};

/// Names of resources that pods use, other than by prefix.
const NAMES: [&str; 11] = [
    "count/pods",
    "pods",
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];

/// What every container has to say when a quota limits it. It stays as it is: see `validationSet`.
const DEMANDED: [&str; 6] = [
    "cpu",
    "memory",
    "requests.cpu",
    "requests.memory",
    "limits.cpu",
    "limits.memory",
];

/// Before the name of a device class: a resource of containers that devices of that class give.
pub(super) const DEVICE_CLASS: &str = "deviceclass.resource.kubernetes.io/";

/// Whether a quota's resource is one that pods use (`podEvaluator.MatchingResources`).
pub fn uses(name: &str) -> bool {
    NAMES.contains(&name)
        || name.starts_with("hugepages-")
        || name.starts_with("requests.hugepages-")
        || is_extended(name)
}

/// `requests.<extended resource>` (`isExtendedResourceNameForQuota`).
pub(super) fn is_extended(name: &str) -> bool {
    name.strip_prefix("requests.")
        .is_some_and(|name| name.starts_with(DEVICE_CLASS) || resources::is_extended_resource(name))
}

/// What a pod uses; once it is at its end, only a place in the store (`PodUsageFunc`).
pub fn usage(pod: &Pod, now: Timestamp) -> ResourceList {
    let mut used = ResourceList::from([("count/pods".to_owned(), number(1))]);
    if is_pod_terminal(pod) || is_overdue(pod, now) {
        return used;
    }
    let options = Options {
        use_status: true,
        ..Options::default()
    };
    let (requests, limits) = (
        resources::pod_requests(pod, options),
        resources::pod_limits(pod, options),
    );
    used.extend(compute(&requests, &limits));
    used
}

/// The compute resources of a pod or a container (`podComputeUsageHelper`).
fn compute(requests: &ResourceList, limits: &ResourceList) -> ResourceList {
    let is_native = |name: &str| matches!(name, "cpu" | "memory" | "ephemeral-storage");
    let mut used = ResourceList::from([("pods".to_owned(), number(1))]);
    for (name, amount) in requests {
        let huge = name.starts_with("hugepages-");
        if huge || is_native(name) {
            used.insert(name.clone(), *amount);
        }
        if huge || is_native(name) || resources::is_extended_resource(name) || name.starts_with(DEVICE_CLASS) {
            used.insert(format!("requests.{name}"), *amount);
        }
    }
    for (name, amount) in limits.iter().filter(|(name, _)| is_native(name)) {
        used.insert(format!("limits.{name}"), *amount);
    }
    used
}

/// A pod whose node is lost must not keep its owner from making another one (`QuotaV1Pod`).
fn is_overdue(pod: &Pod, now: Timestamp) -> bool {
    let (Some(deleted), Some(grace)) = (
        &pod.metadata.deletion_timestamp,
        pod.metadata.deletion_grace_period_seconds,
    ) else {
        return false;
    };
    let end = deleted.0.checked_add(SignedDuration::from_secs(grace));
    end.is_ok_and(|end| now > end)
}

/// Whether the pod ends by itself, which scopes ask for (`IsTerminating`).
pub fn is_terminating(spec: &PodSpec) -> bool {
    spec.active_deadline_seconds.is_some_and(|seconds| seconds >= 0)
}

/// What containers leave out although a quota limits it: `must specify limits.cpu for: a,b; memory for: b`
/// (`podEvaluator.Constraints`).
pub fn missing<'a>(pod: &Pod, limited: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    if resources::has_pod_level_resources(spec) {
        return None;
    }
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
        let own = container.resources.as_ref();
        let said = compute(
            &parse_list(own.and_then(|own| own.requests.as_ref())),
            &parse_list(own.and_then(|own| own.limits.as_ref())),
        );
        for name in limited.clone().filter(|name| DEMANDED.contains(name)) {
            if !said.contains_key(name) {
                missing.entry(name).or_default().insert(&container.name);
            }
        }
    }
    if missing.is_empty() {
        return None;
    }
    let one = |(name, containers): (&str, BTreeSet<&str>)| {
        let containers: Vec<&str> = containers.into_iter().collect();
        format!("{name} for: {}", containers.join(","))
    };
    let all: Vec<String> = missing.into_iter().map(one).collect();
    Some(format!("must specify {}", all.join("; ")))
}
