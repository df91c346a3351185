//! What a pod asks for and may use (component-helpers `resource/helpers.go`).
//!
//! Objects carry quantities as text; everything here works on parsed [`Quantity`] values, keyed by
//! resource name. A quantity that does not parse counts as zero: validation refused it long ago.

use std::collections::BTreeMap;

use apimachinery::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec, PodStatus, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

/// Parsed resource amounts by name.
pub type ResourceList = BTreeMap<String, Quantity>;
/// Resource amounts as the API objects carry them.
pub type RawResourceList = BTreeMap<String, RawQuantity>;

/// CPU a container counts with in scores when it requests none, in thousandths of a core
/// (pkg/scheduler/util `DefaultMilliCPURequest`).
pub const DEFAULT_MILLI_CPU_REQUEST: i64 = 100;
/// Memory a container counts with in scores when it requests none, in bytes
/// (pkg/scheduler/util `DefaultMemoryRequest`).
pub const DEFAULT_MEMORY_REQUEST: i64 = 200 * 1024 * 1024;

/// How to count (`PodResourcesOptions`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Take allocated and actual resources from the status into account (in-place resize).
    pub use_status: bool,
    /// Leave the pod's `overhead` out.
    pub exclude_overhead: bool,
    /// Ignore `spec.resources`.
    pub skip_pod_level: bool,
    /// Requests a container counts with for resources it does not mention.
    pub non_missing: Option<&'a ResourceList>,
}

/// Parses one amount; zero when it is malformed.
pub fn parse_quantity(raw: &RawQuantity) -> Quantity {
    Quantity::from_api(raw).unwrap_or_default()
}

/// Parses a whole list; absent is empty.
pub fn parse_list(raw: Option<&RawResourceList>) -> ResourceList {
    raw.into_iter()
        .flatten()
        .map(|(name, q)| (name.clone(), parse_quantity(q)))
        .collect()
}

/// Total requests of a pod: sum of containers and restartable init containers, at least what the
/// widest moment of initialisation needs, pod-level requests over both, plus overhead
/// (`PodRequests`).
pub fn pod_requests(pod: &Pod, options: Options<'_>) -> ResourceList {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let infeasible = options.use_status && is_resize_infeasible(pod.status.as_ref());
    let from_spec = aggregate(spec, None, &options, &|c, _| requests_of(c));
    let mut total = if options.use_status {
        let status = pod.status.as_ref();
        let allocated = aggregate(spec, status, &options, &|c, s| allocated(c, s, infeasible));
        let actuated = aggregate(spec, status, &options, &|c, s| actuated(c, s, infeasible));
        let mut widest = if infeasible { ResourceList::new() } else { from_spec };
        max_into(&mut widest, &allocated);
        max_into(&mut widest, &actuated);
        widest
    } else {
        from_spec
    };
    if !options.skip_pod_level {
        apply_pod_level(&mut total, spec.resources.as_ref().and_then(|r| r.requests.as_ref()));
    }
    if !options.exclude_overhead {
        add_into(&mut total, &parse_list(spec.overhead.as_ref()));
    }
    total
}

/// Total limits of a pod, by the same formula; overhead is added only to limits that exist and are
/// not zero (`PodLimits`).
pub fn pod_limits(pod: &Pod, options: Options<'_>) -> ResourceList {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let options = Options {
        non_missing: None,
        ..options
    };
    let mut total = aggregate(spec, None, &options, &|c, _| {
        parse_list(c.resources.as_ref().and_then(|r| r.limits.as_ref()))
    });
    if !options.skip_pod_level {
        apply_pod_level(&mut total, spec.resources.as_ref().and_then(|r| r.limits.as_ref()));
    }
    if !options.exclude_overhead {
        for (name, extra) in parse_list(spec.overhead.as_ref()) {
            if let Some(limit) = total.get_mut(&name).filter(|l| **l != Quantity::default()) {
                *limit += extra;
            }
        }
    }
    total
}

/// Whether an init container keeps running beside the containers (a sidecar).
pub fn is_restartable_init_container(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Whether the pod carries a pod-level request or limit of a supported resource
/// (`IsPodLevelResourcesSet`).
pub fn has_pod_level_resources(spec: &PodSpec) -> bool {
    let Some(resources) = &spec.resources else { return false };
    let names = |list: &Option<RawResourceList>| list.iter().flatten().any(|(name, _)| is_pod_level_resource(name));
    names(&resources.requests) || names(&resources.limits)
}

/// Whether a resource may be set for the pod as a whole (`IsSupportedPodLevelResource`).
pub fn is_pod_level_resource(name: &str) -> bool {
    name == "cpu" || name == "memory" || name.starts_with("hugepages-")
}

/// Whether a resource is an extended one: qualified, outside `kubernetes.io`, and not a quota name
/// (pkg/apis/core/v1/helper `IsExtendedResourceName`).
pub fn is_extended_resource(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.")
}

fn aggregate(
    spec: &PodSpec,
    status: Option<&PodStatus>,
    options: &Options<'_>,
    of: &dyn Fn(&Container, Option<&ContainerStatus>) -> ResourceList,
) -> ResourceList {
    let resolve = |container: &Container| {
        let mut list = of(container, status.and_then(|s| status_of(s, &container.name)));
        for (name, amount) in options.non_missing.into_iter().flatten() {
            list.entry(name.clone()).or_insert(*amount);
        }
        list
    };
    let mut total = ResourceList::new();
    for container in &spec.containers {
        add_into(&mut total, &resolve(container));
    }
    // Init containers run one after the other, each beside the sidecars started before it.
    let mut sidecars = ResourceList::new();
    let mut widest = ResourceList::new();
    for container in spec.init_containers.iter().flatten() {
        let mut own = resolve(container);
        if is_restartable_init_container(container) {
            add_into(&mut total, &own);
            add_into(&mut sidecars, &own);
            max_into(&mut widest, &sidecars);
        } else {
            add_into(&mut own, &sidecars);
            max_into(&mut widest, &own);
        }
    }
    max_into(&mut total, &widest);
    total
}

fn requests_of(container: &Container) -> ResourceList {
    parse_list(container.resources.as_ref().and_then(|r| r.requests.as_ref()))
}

fn allocated(c: &Container, status: Option<&ContainerStatus>, infeasible: bool) -> ResourceList {
    match status.and_then(|s| s.allocated_resources.as_ref()) {
        Some(list) => parse_list(Some(list)),
        None if infeasible => ResourceList::new(),
        None => requests_of(c),
    }
}

fn actuated(c: &Container, status: Option<&ContainerStatus>, infeasible: bool) -> ResourceList {
    let requests = |r: &ResourceRequirements| r.requests.clone();
    match status.and_then(|s| s.resources.as_ref()).and_then(requests) {
        Some(list) => parse_list(Some(&list)),
        None => allocated(c, status, infeasible),
    }
}

fn status_of<'a>(status: &'a PodStatus, name: &str) -> Option<&'a ContainerStatus> {
    let main = status.container_statuses.iter().flatten();
    main.chain(status.init_container_statuses.iter().flatten())
        .find(|s| s.name == name)
}

fn is_resize_infeasible(status: Option<&PodStatus>) -> bool {
    status
        .and_then(|s| s.conditions.iter().flatten().find(|c| c.type_ == "PodResizePending"))
        .is_some_and(|c| c.reason.as_deref() == Some("Infeasible"))
}

fn apply_pod_level(total: &mut ResourceList, level: Option<&RawResourceList>) {
    for (name, amount) in level.into_iter().flatten() {
        if is_pod_level_resource(name) {
            total.insert(name.clone(), parse_quantity(amount));
        }
    }
}

/// Adds every amount of `more` to `list`.
pub fn add_into(list: &mut ResourceList, more: &ResourceList) {
    for (name, amount) in more {
        match list.get_mut(name) {
            Some(have) => *have += *amount,
            None => {
                list.insert(name.clone(), *amount);
            }
        }
    }
}

/// Raises every amount of `list` to at least that of `other`.
pub fn max_into(list: &mut ResourceList, other: &ResourceList) {
    for (name, amount) in other {
        if list.get(name).is_none_or(|have| amount > have) {
            list.insert(name.clone(), *amount);
        }
    }
}

#[cfg(test)]
mod tests;
