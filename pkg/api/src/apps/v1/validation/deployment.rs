//! Deployments and ReplicaSets.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{
    at_most_all, decremented, int_or_percent, lasting_template, number, required_selector, same_selector,
    selects_template,
};
use crate::check::{non_negative, text, to_value};
use crate::core::v1::validation::replica_counts;
use crate::internal::shown;
use crate::meta;

/// A new Deployment (`ValidateDeployment`).
pub fn deployment_create(obj: &Deployment) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let empty = DeploymentSpec::default();
    spec(&mut errs, obj.spec.as_ref().unwrap_or(&empty), None);
    errs
}

/// A changed Deployment (`ValidateDeploymentUpdate`).
pub fn deployment_update(new: &Deployment, old: &Deployment) -> ErrorList {
    let empty = DeploymentSpec::default();
    let (after, before) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    let mut errs = meta::update(&new.metadata, &old.metadata);
    spec(&mut errs, after, Some(before));
    same_selector(&mut errs, &after.selector, &before.selector);
    errs
}

/// `ValidateDeploymentSpec`.
fn spec(errs: &mut ErrorList, spec: &DeploymentSpec, old: Option<&DeploymentSpec>) {
    let path = Path::new("spec");
    non_negative(errs, &path.child("replicas"), spec.replicas.map(i64::from));
    replica_template(errs, &spec.selector, &spec.template, old.map(|o| &o.template));
    if let Some(strategy) = &spec.strategy {
        self::strategy(errs, strategy, &path.child("strategy"));
    }
    non_negative(
        errs,
        &path.child("minReadySeconds"),
        spec.min_ready_seconds.map(i64::from),
    );
    non_negative(
        errs,
        &path.child("revisionHistoryLimit"),
        spec.revision_history_limit.map(i64::from),
    );
    if let Some(deadline) = spec.progress_deadline_seconds {
        let path = path.child("progressDeadlineSeconds");
        non_negative(errs, &path, i64::from(deadline));
        if deadline <= spec.min_ready_seconds.unwrap_or(0) {
            errs.push(Error::invalid(&path, deadline, "must be greater than minReadySeconds"));
        }
    }
}

/// `ValidateDeploymentStrategy`, `ValidateRollingUpdateDeployment`.
fn strategy(errs: &mut ErrorList, strategy: &DeploymentStrategy, path: &Path) {
    let rolling_path = path.child("rollingUpdate");
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("Recreate", Some(_)) => {
            let rule = "may not be specified when strategy `type` is 'Recreate'";
            errs.push(Error::forbidden(&rolling_path, rule));
        }
        ("Recreate", None) => {}
        ("RollingUpdate", None) => {
            let rule = "this should be defaulted and never be nil";
            errs.push(Error::required(&rolling_path, rule));
        }
        ("RollingUpdate", Some(rolling)) => {
            let zero = IntOrString::Int(0);
            let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
            let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
            let unavailable_path = rolling_path.child("maxUnavailable");
            int_or_percent(errs, unavailable, &unavailable_path);
            int_or_percent(errs, surge, &rolling_path.child("maxSurge"));
            if number(unavailable) == 0 && number(surge) == 0 {
                let rule = "may not be 0 when `maxSurge` is 0";
                errs.push(Error::invalid(&unavailable_path, &to_value(unavailable), rule));
            }
            at_most_all(errs, unavailable, &unavailable_path);
        }
        _ => {
            let known = ["Recreate", "RollingUpdate"];
            errs.push(Error::not_supported(
                path,
                shown("apps.DeploymentStrategy", strategy),
                &known,
            ));
        }
    }
}

/// A changed Deployment status (`ValidateDeploymentStatusUpdate`).
pub fn deployment_status_update(new: &Deployment, old: &Deployment) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let status = new.status.clone().unwrap_or_default();
    let path = Path::new("status");
    for (field, value) in [
        ("observedGeneration", status.observed_generation),
        ("replicas", status.replicas.map(i64::from)),
        ("updatedReplicas", status.updated_replicas.map(i64::from)),
        ("readyReplicas", status.ready_replicas.map(i64::from)),
        ("availableReplicas", status.available_replicas.map(i64::from)),
        ("unavailableReplicas", status.unavailable_replicas.map(i64::from)),
        ("terminatingReplicas", status.terminating_replicas.map(i64::from)),
        ("collisionCount", status.collision_count.map(i64::from)),
    ] {
        non_negative(&mut errs, &path.child(field), value);
    }
    let all = status.replicas.unwrap_or(0);
    let ready = status.ready_replicas.unwrap_or(0);
    let available = status.available_replicas.unwrap_or(0);
    for (field, value) in [
        ("updatedReplicas", status.updated_replicas.unwrap_or(0)),
        ("readyReplicas", ready),
        ("availableReplicas", available),
    ] {
        if value > all {
            let rule = "cannot be greater than status.replicas";
            errs.push(Error::invalid(&path.child(field), value, rule));
        }
    }
    if available > ready {
        let rule = "cannot be greater than readyReplicas";
        errs.push(Error::invalid(&path.child("availableReplicas"), available, rule));
    }
    let collisions = |d: &Deployment| d.status.as_ref().and_then(|s| s.collision_count);
    decremented(&mut errs, collisions(new), collisions(old));
    errs
}

/// A new ReplicaSet (`ValidateReplicaSet`).
pub fn replica_set_create(obj: &ReplicaSet) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let empty = ReplicaSetSpec::default();
    set_spec(&mut errs, obj.spec.as_ref().unwrap_or(&empty), None);
    errs
}

/// A changed ReplicaSet (`ValidateReplicaSetUpdate`).
pub fn replica_set_update(new: &ReplicaSet, old: &ReplicaSet) -> ErrorList {
    let empty = ReplicaSetSpec::default();
    let (after, before) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    let mut errs = meta::update(&new.metadata, &old.metadata);
    set_spec(&mut errs, after, Some(before));
    same_selector(&mut errs, &after.selector, &before.selector);
    errs
}

/// `ValidateReplicaSetSpec`.
fn set_spec(errs: &mut ErrorList, spec: &ReplicaSetSpec, old: Option<&ReplicaSetSpec>) {
    let path = Path::new("spec");
    non_negative(errs, &path.child("replicas"), spec.replicas.map(i64::from));
    non_negative(
        errs,
        &path.child("minReadySeconds"),
        spec.min_ready_seconds.map(i64::from),
    );
    let empty = PodTemplateSpec::default();
    let template = spec.template.as_ref().unwrap_or(&empty);
    replica_template(errs, &spec.selector, template, old.and_then(|o| o.template.as_ref()));
}

/// Selector and template (`ValidatePodTemplateSpecForReplicaSet`).
fn replica_template(
    errs: &mut ErrorList,
    selector: &LabelSelector,
    template: &PodTemplateSpec,
    old: Option<&PodTemplateSpec>,
) {
    required_selector(errs, selector, "deployment");
    let before = errs.len();
    let invalid = "invalid label selector";
    selects_template(errs, selector, template, Some(invalid));
    if errs[before..].iter().all(|e| e.detail != invalid) {
        lasting_template(errs, template, old, "ReplicaSet");
    }
}

/// A changed ReplicaSet status (`ValidateReplicaSetStatusUpdate`).
pub fn replica_set_status_update(new: &ReplicaSet, old: &ReplicaSet) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    replica_counts(&mut errs, &new.status);
    errs
}
