//! What may change in a pod and in its ephemeral containers.

use std::collections::BTreeMap;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::inclusive_range_error;
use k8s_openapi::api::core::v1::{Container, NodeSelectorTerm, Pod, PodSpec, Toleration};

use super::options::Options;
use super::pod::{APP_ARMOR, annotations, metadata_and_spec, trimmed_image};
use super::scheduling;
use crate::check::{equal, list, required, text, to_value};
use crate::core::v1::MIRROR_ANNOTATION;
use crate::internal::{difference, shown};
use crate::meta;

/// Fields an update may touch, as the message lists them (`updatablePodSpecFields`).
const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,\
`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(super) fn specs<'a>(new: &'a Pod, old: &'a Pod, empty: &'a PodSpec) -> (&'a PodSpec, &'a PodSpec) {
    (new.spec.as_ref().unwrap_or(empty), old.spec.as_ref().unwrap_or(empty))
}

/// A changed pod (`ValidatePodUpdate`).
pub fn pod_update(new: &Pod, old: &Pod) -> ErrorList {
    let empty = PodSpec::default();
    let (new_spec, old_spec) = specs(new, old, &empty);
    let path = Path::new("spec");
    let mut errs = meta::update(&new.metadata, &old.metadata);
    errs.extend(metadata_and_spec(new, new_spec, Options::of_pod(old)));
    annotation_changes(&mut errs, new, old, new_spec);
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
            let at = path.child(field).index(index);
            let path = at.child("image");
            required(&mut errs, &path, text(&container.image));
            trimmed_image(&mut errs, text(&container.image), &at);
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
        Options::of_pod(old),
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
    let init = munged.init_containers.as_deref_mut().unwrap_or_default();
    keep_images(init, list(&old.init_containers));
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
            difference("core.PodSpec", old, &munged)
        );
        errs.push(Error::forbidden(path, rule));
    }
}

fn keep_images(new: &mut [Container], old: &[Container]) {
    for (new, old) in new.iter_mut().zip(old) {
        new.image.clone_from(&old.image);
    }
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
            let new_terms = required(&new_affinity).map(|r| r.node_selector_terms);
            errs.push(Error::invalid(
                &path,
                shown("[]core.NodeSelectorTerm", &new_terms),
                rule,
            ));
        } else {
            for (index, (new, old)) in new_terms.iter().zip(&old_terms).enumerate() {
                if !only_additions(new, old) {
                    let rule = "only additions are allowed (no mutations or deletions)";
                    let value = shown("core.NodeSelectorTerm", new);
                    errs.push(Error::invalid(&path.index(index), value, rule));
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
fn only_added_tolerations(errs: &mut ErrorList, new: &[Toleration], old: &[Toleration], path: &Path, options: Options) {
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
    scheduling::stored_tolerations(errs, new, path, options.comparing_tolerations);
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

/// Annotations that name profiles or a static pod are fixed (`ValidatePodSpecificAnnotationUpdates`).
pub(super) fn annotation_changes(errs: &mut ErrorList, new: &Pod, old: &Pod, spec: &PodSpec) {
    let none = BTreeMap::new();
    let after = new.metadata.annotations.as_ref().unwrap_or(&none);
    let before = old.metadata.annotations.as_ref().unwrap_or(&none);
    let path = Path::new("metadata").child("annotations");
    let what = |key: &str| {
        if key.starts_with(APP_ARMOR) {
            Some("AppArmor annotations")
        } else {
            (key == MIRROR_ANNOTATION).then_some("mirror pod annotation")
        }
    };
    for (key, _) in before.iter().filter(|(key, value)| after.get(*key) != Some(value)) {
        if let Some(what) = what(key) {
            errs.push(Error::forbidden(
                &path.key(key),
                format!("may not remove or update {what}"),
            ));
        }
    }
    for key in after.keys().filter(|key| !before.contains_key(*key)) {
        if let Some(what) = what(key) {
            errs.push(Error::forbidden(&path.key(key), format!("may not add {what}")));
        }
    }
    annotations(errs, &new.metadata, spec, &path, Options::of_pod(old));
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
    errs.extend(metadata_and_spec(new, new_spec, Options::of_pod(old)));
    annotation_changes(&mut errs, new, old, new_spec);
    let path = Path::new("spec").child("ephemeralContainers");
    for before in list(&old_spec.ephemeral_containers) {
        let after = list(&new_spec.ephemeral_containers)
            .iter()
            .find(|c| c.name == before.name);
        let rule = match after {
            None => format!("existing ephemeral containers {:?} may not be removed\n", before.name),
            Some(after) if !equal(after, before) => {
                format!(
                    "existing ephemeral containers {:?} may not be changed\n{}",
                    before.name,
                    difference("core.EphemeralContainer", before, after)
                )
            }
            Some(_) => continue,
        };
        errs.push(Error::forbidden(&path, rule));
    }
    errs
}

pub(super) fn is_mirror(pod: &Pod) -> bool {
    pod.metadata
        .annotations
        .as_ref()
        .is_some_and(|a| a.contains_key(MIRROR_ANNOTATION))
}
