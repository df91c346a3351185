//! What may change in a pod, its status, its ephemeral containers and its resources.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::inclusive_range_error;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, NodeSelectorTerm, Pod, PodSpec, PodStatus, Toleration};

use super::pod::{MIRROR_ANNOTATION, metadata_and_spec};
use super::scheduling;
use crate::check::{IMMUTABLE, equal, ip, list, qualified_name, required, text, to_value};
use crate::meta;

/// Fields an update may touch, as the message lists them (`updatablePodSpecFields`).
const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,\
`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

fn specs<'a>(new: &'a Pod, old: &'a Pod, empty: &'a PodSpec) -> (&'a PodSpec, &'a PodSpec) {
    (new.spec.as_ref().unwrap_or(empty), old.spec.as_ref().unwrap_or(empty))
}

/// A changed pod (`ValidatePodUpdate`).
pub fn pod_update(new: &Pod, old: &Pod) -> ErrorList {
    let empty = PodSpec::default();
    let (new_spec, old_spec) = specs(new, old, &empty);
    let path = Path::new("spec");
    let mut errs = meta::update(&new.metadata, &old.metadata);
    errs.extend(metadata_and_spec(new, new_spec));
    annotation_changes(&mut errs, new, old);
    for (field, new, old) in [
        ("containers", &new_spec.containers[..], &old_spec.containers[..]),
        (
            "initContainers",
            list(&new_spec.init_containers),
            list(&old_spec.init_containers),
        ),
    ] {
        if new.len() != old.len() {
            let rule = "pod updates may not add or remove containers";
            errs.push(Error::forbidden(&path.child(field), rule));
            return errs;
        }
        for (index, container) in new.iter().enumerate() {
            let path = path.child(field).index(index).child("image");
            required(&mut errs, &path, text(&container.image));
        }
    }
    let deadline = path.child("activeDeadlineSeconds");
    match (new_spec.active_deadline_seconds, old_spec.active_deadline_seconds) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => {
            let rule = inclusive_range_error(0, i64::from(i32::MAX));
            errs.push(Error::invalid(&deadline, new, rule));
            return errs;
        }
        (Some(new), Some(old)) if old < new => {
            errs.push(Error::invalid(
                &deadline,
                new,
                "must be less than or equal to previous value",
            ));
            return errs;
        }
        (None, Some(_)) => {
            let rule = "must not update from a positive integer to nil value";
            errs.push(Error::invalid(&deadline, &serde_json::Value::Null, rule));
        }
        _ => {}
    }
    only_added_tolerations(
        &mut errs,
        list(&new_spec.tolerations),
        list(&old_spec.tolerations),
        &path.child("tolerations"),
    );
    only_deleted_gates(&mut errs, new_spec, old_spec, &path.child("schedulingGates"));
    if !equal(new_spec, old_spec) {
        rest_is_unchanged(&mut errs, new_spec, old_spec, &path);
    }
    errs
}

/// Puts the old values into the fields that may change, then the specs must be equal.
fn rest_is_unchanged(errs: &mut ErrorList, new: &PodSpec, old: &PodSpec, path: &Path) {
    let mut munged = new.clone();
    keep_images(&mut munged.containers, &old.containers);
    keep_images(
        munged.init_containers.get_or_insert_default(),
        list(&old.init_containers),
    );
    munged.active_deadline_seconds = old.active_deadline_seconds;
    munged.scheduling_gates = old.scheduling_gates.clone();
    munged.tolerations = old.tolerations.clone();
    if old.termination_grace_period_seconds.is_some_and(|s| s < 0) && munged.termination_grace_period_seconds == Some(1)
    {
        munged.termination_grace_period_seconds = old.termination_grace_period_seconds;
    }
    if !list(&old.scheduling_gates).is_empty() {
        gated(errs, &mut munged, old, path);
    }
    if !equal(&munged, old) {
        let rule = format!(
            "pod updates may not change fields other than {UPDATABLE}\n{}",
            diff(&to_value(old), &to_value(&munged))
        );
        errs.push(Error::forbidden(path, rule));
    }
}

fn keep_images(new: &mut [Container], old: &[Container]) {
    for (new, old) in new.iter_mut().zip(old) {
        new.image.clone_from(&old.image);
    }
}

/// The top-level fields that differ, in the manner of upstream's diff: old and new value of each.
fn diff(old: &serde_json::Value, new: &serde_json::Value) -> String {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
        return String::new();
    };
    let mut lines = String::from("  core.PodSpec{\n");
    for (key, value) in old {
        if new.get(key) != Some(value) {
            lines += &format!("-\t{key}: {value},\n");
        }
    }
    for (key, value) in new {
        if old.get(key) != Some(value) {
            lines += &format!("+\t{key}: {value},\n");
        }
    }
    lines + "  }\n"
}

/// Node selector and node affinity of a gated pod may become stricter.
fn gated(errs: &mut ErrorList, munged: &mut PodSpec, old: &PodSpec, path: &Path) {
    let kept = |k: &String, v: &String| munged.node_selector.as_ref().is_some_and(|n| n.get(k) == Some(v));
    if !old.node_selector.iter().flatten().all(|(k, v)| kept(k, v)) {
        let rule = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        let value = to_value(&munged.node_selector);
        errs.push(Error::invalid(&path.child("nodeSelector"), &value, rule));
    }
    munged.node_selector.clone_from(&old.node_selector);

    let affinity = |spec: &PodSpec| spec.affinity.as_ref().and_then(|a| a.node_affinity.clone());
    let (new_affinity, old_affinity) = (affinity(munged), affinity(old));
    if equal(&new_affinity, &old_affinity) {
        return;
    }
    let required = |a: &Option<k8s_openapi::api::core::v1::NodeAffinity>| {
        a.as_ref()
            .and_then(|a| a.required_during_scheduling_ignored_during_execution.clone())
    };
    if let Some(old_required) = required(&old_affinity) {
        let path = path
            .child("affinity")
            .child("nodeAffinity")
            .child("requiredDuringSchedulingIgnoredDuringExecution")
            .child("nodeSelectorTerms");
        let old_terms = old_required.node_selector_terms;
        let new_terms = required(&new_affinity)
            .map(|r| r.node_selector_terms)
            .unwrap_or_default();
        if !old_terms.is_empty() && old_terms.len() != new_terms.len() {
            let rule = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
            errs.push(Error::invalid(&path, &to_value(&new_terms), rule));
        } else {
            for (index, (new, old)) in new_terms.iter().zip(&old_terms).enumerate() {
                if !only_additions(new, old) {
                    let rule = "only additions are allowed (no mutations or deletions)";
                    errs.push(Error::invalid(&path.index(index), &to_value(new), rule));
                }
            }
        }
    }
    let mut restored = munged.affinity.clone().unwrap_or_default();
    restored.node_affinity = old_affinity;
    let others = restored.pod_affinity.is_some() || restored.pod_anti_affinity.is_some();
    munged.affinity = if old.affinity.is_none() && !others {
        None
    } else {
        Some(restored)
    };
}

/// `validateNodeSelectorTermHasOnlyAdditions`.
fn only_additions(new: &NodeSelectorTerm, old: &NodeSelectorTerm) -> bool {
    let (new_e, old_e) = (list(&new.match_expressions), list(&old.match_expressions));
    let (new_f, old_f) = (list(&new.match_fields), list(&old.match_fields));
    let was_empty = old_e.is_empty() && old_f.is_empty();
    let is_empty = new_e.is_empty() && new_f.is_empty();
    (!was_empty || is_empty) && new_e.starts_with(old_e) && new_f.starts_with(old_f)
}

/// `validateOnlyAddedTolerations`.
fn only_added_tolerations(errs: &mut ErrorList, new: &[Toleration], old: &[Toleration], path: &Path) {
    for toleration in old {
        let kept = new.iter().any(|n| {
            let same = Toleration {
                toleration_seconds: n.toleration_seconds,
                ..toleration.clone()
            };
            same == *n
        });
        if !kept {
            let rule = "existing toleration can not be modified except its tolerationSeconds";
            errs.push(Error::forbidden(path, rule));
            return;
        }
    }
    scheduling::tolerations(errs, new, path);
}

/// `validateOnlyDeletedSchedulingGates`.
fn only_deleted_gates(errs: &mut ErrorList, new: &PodSpec, old: &PodSpec, path: &Path) {
    let known = list(&old.scheduling_gates);
    for (index, gate) in list(&new.scheduling_gates).iter().enumerate() {
        if !known.iter().any(|g| g.name == gate.name) {
            let rule = format!(
                "only deletion is allowed, but found new scheduling gate '{}'",
                gate.name
            );
            errs.push(Error::forbidden(&path.index(index).child("name"), rule));
        }
    }
}

/// The mirror annotation is fixed (`ValidatePodSpecificAnnotationUpdates`).
fn annotation_changes(errs: &mut ErrorList, new: &Pod, old: &Pod) {
    let value = |pod: &Pod| {
        pod.metadata
            .annotations
            .as_ref()
            .and_then(|a| a.get(MIRROR_ANNOTATION))
            .cloned()
    };
    let rule = match (value(new), value(old)) {
        (new, Some(old)) if new.as_ref() != Some(&old) => "may not remove or update mirror pod annotation",
        (Some(_), None) => "may not add mirror pod annotation",
        _ => return,
    };
    let path = Path::new("metadata").child("annotations").key(MIRROR_ANNOTATION);
    errs.push(Error::forbidden(&path, rule));
}

/// A changed pod status (`ValidatePodStatusUpdate`).
pub fn pod_status_update(new: &Pod, old: &Pod) -> ErrorList {
    let empty = PodSpec::default();
    let none = PodStatus::default();
    let (new_spec, old_spec) = specs(new, old, &empty);
    let (status, before) = (
        new.status.as_ref().unwrap_or(&none),
        old.status.as_ref().unwrap_or(&none),
    );
    let mut errs = meta::update(&new.metadata, &old.metadata);
    annotation_changes(&mut errs, new, old);
    for (index, condition) in list(&status.conditions).iter().enumerate() {
        if !matches!(condition.type_.as_str(), "PodScheduled" | "Ready" | "Initialized") {
            let path = Path::new("metadata").child("conditions").index(index).child("Type");
            qualified_name(&mut errs, &path, &condition.type_);
        }
    }
    let path = Path::new("status");
    if text(&new_spec.node_name) != text(&old_spec.node_name) {
        errs.push(Error::forbidden(&path.child("nodeName"), "may not be changed directly"));
    }
    let nominated = text(&status.nominated_node_name);
    if nominated != text(&before.nominated_node_name) && !nominated.is_empty() {
        let messages = meta::name_subdomain(nominated, false);
        crate::check::invalid_each(&mut errs, &path.child("nominatedNodeName"), nominated, messages);
    }
    if text(&status.qos_class) != text(&before.qos_class) {
        errs.push(Error::invalid(
            &path.child("qosClass"),
            text(&status.qos_class),
            IMMUTABLE,
        ));
    }
    transitions(&mut errs, status, before, old_spec, &path);
    ips(
        &mut errs,
        list(&status.pod_ips).iter().map(|i| i.ip.as_str()),
        &path.child("podIPs"),
    );
    let host_ips = path.child("hostIPs");
    ips(
        &mut errs,
        list(&status.host_ips).iter().map(|i| i.ip.as_str()),
        &host_ips,
    );
    if let Some(first) = list(&status.host_ips).first()
        && first.ip != text(&status.host_ip)
    {
        let path = host_ips.index(0).child("ip");
        errs.push(Error::invalid(&path, &first.ip, "must be equal to `hostIP`"));
    }
    errs
}

/// A container that ended for good does not come back (`ValidateContainerStateTransition`).
fn transitions(errs: &mut ErrorList, new: &PodStatus, old: &PodStatus, spec: &PodSpec, path: &Path) {
    let policy = text(&spec.restart_policy);
    let per_container = |name: &str| {
        let all = spec.containers.iter().chain(list(&spec.init_containers));
        all.filter(|c| c.name == name).find_map(|c| c.restart_policy.clone())
    };
    let has_rules = |name: &str| {
        let all = spec.containers.iter().chain(list(&spec.init_containers));
        all.filter(|c| c.name == name)
            .any(|c| !list(&c.restart_policy_rules).is_empty())
    };
    for (field, new, old, ephemeral) in [
        (
            "containerStatuses",
            &new.container_statuses,
            &old.container_statuses,
            false,
        ),
        (
            "initContainerStatuses",
            &new.init_container_statuses,
            &old.init_container_statuses,
            false,
        ),
        (
            "ephemeralContainerStatuses",
            &new.ephemeral_container_statuses,
            &old.ephemeral_container_statuses,
            true,
        ),
    ] {
        for (index, before) in list(old).iter().enumerate() {
            let Some(exit_code) = terminated(before) else { continue };
            let own = per_container(&before.name);
            let policy = if ephemeral {
                "Never"
            } else {
                own.as_deref().unwrap_or(policy)
            };
            let may_restart = policy == "Always"
                || (policy == "OnFailure" && exit_code != 0)
                || (!ephemeral && has_rules(&before.name));
            let back = |s: &&ContainerStatus| s.name == before.name && terminated(s).is_none();
            if !may_restart && list(new).iter().any(|s| back(&s)) {
                let path = path.child(field).index(index).child("state");
                let rule = "may not be transitioned to non-terminated state";
                errs.push(Error::forbidden(&path, rule));
            }
        }
    }
}

fn terminated(status: &ContainerStatus) -> Option<i32> {
    status
        .state
        .as_ref()
        .and_then(|s| s.terminated.as_ref())
        .map(|t| t.exit_code)
}

/// At most one valid address per family (`validatePodIPs`, `validateHostIPs`).
fn ips<'a>(errs: &mut ErrorList, ips: impl Iterator<Item = &'a str>, path: &Path) {
    let all: Vec<&str> = ips.collect();
    for (index, address) in all.iter().enumerate() {
        ip(errs, &path.index(index), address);
        if all[..index].contains(address) {
            errs.push(Error::duplicate(&path.index(index), *address));
        }
    }
    let six = all.iter().filter(|a| a.contains(':')).count();
    if all.len() > 1 && (all.len() > 2 || six != 1) {
        let rule = "may specify no more than one IP for each IP family";
        errs.push(Error::invalid(path, &to_value(&all), rule));
    }
}

/// Added ephemeral containers (`ValidatePodEphemeralContainersUpdate`).
pub fn pod_ephemeral_containers_update(new: &Pod, old: &Pod) -> ErrorList {
    let empty = PodSpec::default();
    let (new_spec, old_spec) = specs(new, old, &empty);
    if is_mirror(old) {
        let rule = "static pods do not support ephemeral containers";
        return vec![Error::forbidden(&Path::new("[]"), rule)];
    }
    let mut errs = meta::update(&new.metadata, &old.metadata);
    errs.extend(metadata_and_spec(new, new_spec));
    annotation_changes(&mut errs, new, old);
    let path = Path::new("spec").child("ephemeralContainers");
    for before in list(&old_spec.ephemeral_containers) {
        let after = list(&new_spec.ephemeral_containers)
            .iter()
            .find(|c| c.name == before.name);
        let rule = match after {
            None => format!("existing ephemeral containers {:?} may not be removed\n", before.name),
            Some(after) if !equal(after, before) => {
                format!("existing ephemeral containers {:?} may not be changed\n", before.name)
            }
            Some(_) => continue,
        };
        errs.push(Error::forbidden(&path, rule));
    }
    errs
}

fn is_mirror(pod: &Pod) -> bool {
    pod.metadata
        .annotations
        .as_ref()
        .is_some_and(|a| a.contains_key(MIRROR_ANNOTATION))
}

/// Changed container resources (`ValidatePodResize`): only CPU and memory, nothing removed.
pub fn pod_resize(new: &Pod, old: &Pod) -> ErrorList {
    let empty = PodSpec::default();
    let (new_spec, old_spec) = specs(new, old, &empty);
    let mut errs = meta::update(&new.metadata, &old.metadata);
    errs.extend(metadata_and_spec(new, new_spec));
    if is_mirror(old) {
        return vec![Error::forbidden(&Path::new("[]"), "static pods cannot be resized")];
    }
    let path = Path::new("spec");
    let mut munged = new_spec.clone();
    let all = [(&mut munged.containers, &old_spec.containers[..], "containers")];
    for (new, old, field) in all {
        for (index, (new, old)) in new.iter_mut().zip(old).enumerate() {
            let path = path.child(field).index(index).child("resources");
            let (mut own, before) = (
                new.resources.clone().unwrap_or_default(),
                old.resources.clone().unwrap_or_default(),
            );
            for (field, what, new, old) in [
                ("requests", "resource requests", &mut own.requests, &before.requests),
                ("limits", "resource limits", &mut own.limits, &before.limits),
            ] {
                let list = new.get_or_insert_default();
                if old.iter().flatten().any(|(name, _)| !list.contains_key(name)) {
                    errs.push(Error::forbidden(
                        &path.child(field),
                        format!("{what} cannot be removed"),
                    ));
                }
                for name in ["cpu", "memory"] {
                    match old.as_ref().and_then(|o| o.get(name)) {
                        Some(amount) => list.insert(name.to_string(), amount.clone()),
                        None => list.remove(name),
                    };
                }
            }
            new.resources = Some(own);
            new.resize_policy.clone_from(&old.resize_policy);
        }
    }
    if errs.is_empty() && !equal(&munged, old_spec) {
        errs.push(Error::forbidden(&path, "only cpu and memory resources are mutable"));
    }
    errs
}
