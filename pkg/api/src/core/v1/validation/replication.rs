//! ReplicationControllers, and the status rules they share with ReplicaSets.

use std::collections::BTreeMap;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{ReplicationController, ReplicationControllerSpec};
use serde::Serialize;
use serde_json::Value;

use super::pod::pod_template_spec;
use super::pod::restart_policy_among;
use crate::check::{non_negative, to_value};
use crate::meta;

/// A new ReplicationController (`ValidateReplicationController`).
pub fn replication_controller_create(obj: &ReplicationController) -> ErrorList {
    let mut errs = meta::create_named(&obj.metadata, true, meta::name_long);
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
    replica_counts(&mut errs, &new.status);
    errs
}

/// The counts of a status are not negative and nest (`ValidateReplicationControllerStatus`,
/// `ValidateReplicaSetStatus`, which have the same fields).
pub fn replica_counts<S: Serialize>(errs: &mut ErrorList, status: &S) {
    const FIELDS: [&str; 6] = [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ];
    let (path, status) = (Path::new("status"), to_value(status));
    let count = |field: &str| status.get(field).and_then(Value::as_i64).unwrap_or(0);
    for field in FIELDS {
        non_negative(errs, &path.child(field), count(field));
    }
    let nested = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
    for field in nested.into_iter().filter(|f| count(f) > count("replicas")) {
        let rule = "cannot be greater than status.replicas";
        errs.push(Error::invalid(&path.child(field), count(field), rule));
    }
    let available = count("availableReplicas");
    if available > count("readyReplicas") {
        let rule = "cannot be greater than readyReplicas";
        errs.push(Error::invalid(&path.child("availableReplicas"), available, rule));
    }
}
