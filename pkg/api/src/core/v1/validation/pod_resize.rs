//! Resources of a pod that runs.

use std::collections::BTreeMap;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

use super::options::Options;
use super::pod::metadata_and_spec;
use super::pod_update::{is_mirror, specs};
use crate::check::{equal, list};
use crate::gates::{Gate, on};
use crate::meta;

/// Changed resources (`ValidatePodResize`): only CPU and memory, nothing removed. `class_changes`
/// says that the pod's class of service would become another one, given as the pod's own class.
pub fn pod_resize(new: &Pod, old: &Pod, class_changes: Option<&str>) -> ErrorList {
    let empty = PodSpec::default();
    let (after, before) = specs(new, old, &empty);
    let mut errs = meta::update(&new.metadata, &old.metadata);
    errs.extend(metadata_and_spec(new, after, Options::of_pod(old)));
    let whole = Path::new("[]");
    if is_mirror(old) {
        return vec![Error::forbidden(&whole, "static pods cannot be resized")];
    }
    if before.os.as_ref().is_some_and(|os| os.name == "windows") {
        return vec![Error::forbidden(&whole, "windows pods cannot be resized")];
    }
    let path = Path::new("spec");
    if let Some(class) = class_changes {
        let rule = "Pod QOS Class may not change as a result of resizing";
        errs.push(Error::invalid(&path, class, rule));
    }
    if !node_supports(old) {
        let rule = "Pod running on node without support for resize";
        errs.push(Error::forbidden(&path, rule));
    }
    let mut munged = after.clone();
    let sized = |r: &Option<ResourceRequirements>| {
        let some = |l: &Option<BTreeMap<String, RawQuantity>>| l.as_ref().is_some_and(|l| !l.is_empty());
        r.as_ref().is_some_and(|r| some(&r.requests) || some(&r.limits))
    };
    if sized(&before.resources) || sized(&after.resources) {
        pod_level(&mut errs, after, before, &mut munged, &path);
    }
    let allocatable = old
        .status
        .as_ref()
        .map(|s| list(&s.node_allocatable_resource_claim_statuses));
    if allocatable.is_some_and(|a| !a.is_empty()) {
        let rule = "pods with node allocatable resource claims cannot be resized";
        errs.push(Error::forbidden(&path, rule));
    }
    if !same_containers(&mut errs, after, before, &path) {
        return errs;
    }
    let lists = [
        (
            "initContainers",
            list(&after.init_containers),
            list(&before.init_containers),
        ),
        ("containers", &after.containers[..], &before.containers[..]),
    ];
    for (field, new, old) in lists {
        for (index, (new, old)) in new.iter().zip(old).enumerate() {
            if field == "initContainers" && !resizes(old) {
                continue;
            }
            let path = path.child(field).index(index).child("resources");
            let (new, old) = (new.resources.as_ref(), old.resources.as_ref());
            let removed = removed(new, old);
            for (field, what, removed) in [
                ("requests", "resource requests cannot be removed", removed.0),
                ("limits", "resource limits cannot be removed", removed.1),
            ] {
                if removed {
                    errs.push(Error::forbidden(&path.child(field), what));
                }
            }
        }
    }
    for (new, old) in munged.containers.iter_mut().zip(&before.containers) {
        keep_compute(&mut new.resources, &old.resources);
        if !equal(new, old) {
            errs.push(Error::forbidden(&path, "only cpu and memory resources are mutable"));
        }
    }
    init_containers(&mut errs, &mut munged, before, &path);
    if errs.is_empty() && !equal(&munged, before) {
        errs.push(Error::forbidden(&path, "only cpu and memory resources are mutable"));
    }
    errs
}

/// A kubelet that can resize reports resources of running containers (`isPodResizeRequestSupported`).
fn node_supports(pod: &Pod) -> bool {
    let statuses = pod.status.as_ref().map_or(&[][..], |s| list(&s.container_statuses));
    let running = |s: &&k8s_openapi::api::core::v1::ContainerStatus| {
        s.state.as_ref().is_some_and(|state| state.running.is_some())
    };
    statuses.iter().find(running).is_none_or(|s| s.resources.is_some())
}

/// `validatePodLevelResourcesResize`.
fn pod_level(errs: &mut ErrorList, new: &PodSpec, old: &PodSpec, munged: &mut PodSpec, path: &Path) {
    let at = path.child("resources");
    if old.resources.is_some() && new.resources.is_none() {
        errs.push(Error::forbidden(&at, "pod-level resources cannot be removed"));
        return;
    }
    let removed = removed(new.resources.as_ref(), old.resources.as_ref());
    if removed.0 {
        let rule = "pod-level resource requests cannot be removed";
        errs.push(Error::forbidden(&at.child("requests"), rule));
    }
    if removed.1 {
        let rule = "pod-level resource limits cannot be removed";
        errs.push(Error::forbidden(&at.child("limits"), rule));
    }
    keep_compute(&mut munged.resources, &old.resources);
    let is_empty = munged
        .resources
        .as_ref()
        .is_some_and(|r| equal(r, &ResourceRequirements::default()));
    if old.resources.is_none() && is_empty {
        munged.resources = None;
    }
    if !equal(&munged.resources, &old.resources) {
        let rule = "only cpu and memory resources are mutable at pod-level";
        errs.push(Error::forbidden(path, rule));
    }
}

/// `validatePodResizeContainerOrdering`.
fn same_containers(errs: &mut ErrorList, new: &PodSpec, old: &PodSpec, path: &Path) -> bool {
    let before = errs.len();
    for (field, new, old) in [
        ("containers", &new.containers[..], &old.containers[..]),
        ("initContainers", list(&new.init_containers), list(&old.init_containers)),
    ] {
        let path = path.child(field);
        if new.len() != old.len() {
            let rule = format!("{field} may not be added or removed on resize");
            errs.push(Error::forbidden(&path, rule));
            continue;
        }
        for (index, _) in new.iter().zip(old).enumerate().filter(|(_, (n, o))| n.name != o.name) {
            let rule = format!("{field} may not be renamed or reordered on resize");
            errs.push(Error::forbidden(&path.index(index).child("name"), rule));
        }
    }
    errs.len() == before
}

/// Whether an init container may be resized: sidecars, and with the gate the others, too.
fn resizes(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always") || on(Gate::ResizeOfInitContainers)
}

/// Init containers may be resized, too.
fn init_containers(errs: &mut ErrorList, munged: &mut PodSpec, before: &PodSpec, spec_path: &Path) {
    let all = munged.init_containers.as_deref_mut().unwrap_or_default();
    for (index, (new, old)) in all.iter_mut().zip(list(&before.init_containers)).enumerate() {
        let path = spec_path.child("initContainers").index(index);
        let modified = !equal(new, old);
        if !resizes(new) {
            if modified {
                let rule = "resources for non-sidecar init containers are immutable";
                errs.push(Error::forbidden(spec_path, rule));
            }
            continue;
        }
        keep_compute(&mut new.resources, &old.resources);
        if !equal(new, old) {
            let rule = "only cpu and memory resources for init or sidecar containers are mutable";
            errs.push(Error::forbidden(&path, rule));
        }
        let restarts = |c: &Container| {
            let policies = list(&c.resize_policy).iter();
            policies.filter(|p| p.restart_policy == "RestartContainer").count()
        };
        if modified && new.restart_policy.as_deref() != Some("Always") {
            for _ in 0..restarts(new) {
                let rule = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized";
                errs.push(Error::forbidden(&path, rule));
            }
        }
    }
}

/// Whether an amount is gone from the requests, and from the limits (`resourcesRemoved`).
fn removed(new: Option<&ResourceRequirements>, old: Option<&ResourceRequirements>) -> (bool, bool) {
    let gone = |new: Option<&BTreeMap<String, RawQuantity>>, old: Option<&BTreeMap<String, RawQuantity>>| {
        let kept = |name: &String| new.is_some_and(|n| n.contains_key(name));
        old.into_iter().flatten().any(|(name, _)| !kept(name))
    };
    (
        gone(
            new.and_then(|r| r.requests.as_ref()),
            old.and_then(|r| r.requests.as_ref()),
        ),
        gone(new.and_then(|r| r.limits.as_ref()), old.and_then(|r| r.limits.as_ref())),
    )
}

/// Puts the old amounts of CPU and memory back, and drops claims for devices
/// (`dropCPUMemoryResourcesFromContainer`, `dropCPUMemoryResourceRequirementsUpdates`).
fn keep_compute(new: &mut Option<ResourceRequirements>, old: &Option<ResourceRequirements>) {
    let none = ResourceRequirements::default();
    let old = old.as_ref().unwrap_or(&none);
    let Some(new) = new else { return };
    // Upstream compares requests and limits only.
    new.claims = None;
    for (new, old) in [(&mut new.requests, &old.requests), (&mut new.limits, &old.limits)] {
        for name in ["cpu", "memory"] {
            match old.as_ref().and_then(|o| o.get(name)) {
                Some(amount) => {
                    new.get_or_insert_default().insert(name.to_string(), amount.clone());
                }
                None => {
                    if let Some(new) = new {
                        new.remove(name);
                    }
                }
            }
        }
    }
}
