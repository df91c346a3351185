//! ReplicationControllers, and the status rules they share with ReplicaSets.

use std::collections::BTreeMap;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{ReplicationController, ReplicationControllerSpec};

use super::pod::pod_template_spec;
use super::pod::restart_policy_among;
use crate::check::{non_negative, to_value};
use crate::meta;

/// A new ReplicationController (`ValidateReplicationController`).
pub fn replication_controller_create(obj: &ReplicationController) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    spec(&mut errs, obj.spec.as_ref(), None);
    errs
}

/// A changed ReplicationController (`ValidateReplicationControllerUpdate`).
pub fn replication_controller_update(new: &ReplicationController, old: &ReplicationController) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    spec(&mut errs, new.spec.as_ref(), old.spec.as_ref());
    errs
}

fn spec(errs: &mut ErrorList, spec: Option<&ReplicationControllerSpec>, old: Option<&ReplicationControllerSpec>) {
    let empty = ReplicationControllerSpec::default();
    let spec = spec.unwrap_or(&empty);
    let path = Path::new("spec");
    non_negative(
        errs,
        &path.child("minReadySeconds"),
        spec.min_ready_seconds.map(i64::from),
    );
    if spec.selector.as_ref().is_none_or(BTreeMap::is_empty) {
        errs.push(Error::required(&path.child("selector"), ""));
    }
    non_negative(errs, &path.child("replicas"), spec.replicas.map(i64::from));
    let path = path.child("template");
    let Some(template) = &spec.template else {
        errs.push(Error::required(&path, ""));
        return;
    };
    let labels = template.metadata.as_ref().and_then(|m| m.labels.as_ref());
    let has = |key: &String, value: &String| labels.is_some_and(|l| l.get(key) == Some(value));
    if !spec.selector.iter().flatten().all(|(k, v)| has(k, v)) {
        let rule = "`selector` does not match template `labels`";
        let path = path.child("metadata").child("labels");
        errs.push(Error::invalid(&path, &to_value(&labels), rule));
    }
    pod_template_spec(errs, template, old.and_then(|o| o.template.as_ref()), &path);
    restart_policy_among(errs, template.spec.as_ref(), &path, &["Always"]);
    if template
        .spec
        .as_ref()
        .is_some_and(|s| s.active_deadline_seconds.is_some())
    {
        let rule = "activeDeadlineSeconds in ReplicationController is not Supported";
        errs.push(Error::forbidden(
            &path.child("spec").child("activeDeadlineSeconds"),
            rule,
        ));
    }
}

/// A changed ReplicationController status (`ValidateReplicationControllerStatusUpdate`).
pub fn replication_controller_status_update(new: &ReplicationController, old: &ReplicationController) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let status = new.status.clone().unwrap_or_default();
    let counts = ReplicaCounts {
        replicas: status.replicas,
        fully_labeled: status.fully_labeled_replicas.unwrap_or(0),
        ready: status.ready_replicas.unwrap_or(0),
        available: status.available_replicas.unwrap_or(0),
        observed_generation: status.observed_generation.unwrap_or(0),
        terminating: None,
    };
    replica_counts(&mut errs, counts);
    errs
}

/// The counts of a ReplicaSet-like status.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplicaCounts {
    /// All pods.
    pub replicas: i32,
    /// Pods with all labels of the template.
    pub fully_labeled: i32,
    /// Ready pods.
    pub ready: i32,
    /// Pods ready for long enough.
    pub available: i32,
    /// The generation the controller saw.
    pub observed_generation: i64,
    /// Pods on their way out, of ReplicaSets.
    pub terminating: Option<i32>,
}

/// Counts are not negative and nest (`ValidateReplicationControllerStatus`, `ValidateReplicaSetStatus`).
pub fn replica_counts(errs: &mut ErrorList, counts: ReplicaCounts) {
    let path = Path::new("status");
    let ReplicaCounts {
        replicas,
        fully_labeled,
        ready,
        available,
        observed_generation,
        terminating,
    } = counts;
    for (field, value) in [
        ("replicas", i64::from(replicas)),
        ("fullyLabeledReplicas", i64::from(fully_labeled)),
        ("readyReplicas", i64::from(ready)),
        ("availableReplicas", i64::from(available)),
        ("observedGeneration", observed_generation),
    ] {
        non_negative(errs, &path.child(field), value);
    }
    non_negative(errs, &path.child("terminatingReplicas"), terminating.map(i64::from));
    for (field, value) in [
        ("fullyLabeledReplicas", fully_labeled),
        ("readyReplicas", ready),
        ("availableReplicas", available),
    ] {
        if value > replicas {
            let rule = "cannot be greater than status.replicas";
            errs.push(Error::invalid(&path.child(field), value, rule));
        }
    }
    if available > ready {
        let rule = "cannot be greater than readyReplicas";
        errs.push(Error::invalid(&path.child("availableReplicas"), available, rule));
    }
}
