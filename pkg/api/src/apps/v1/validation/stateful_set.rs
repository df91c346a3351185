//! StatefulSets.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};

use super::deployment::decremented;
use super::{at_most_all, int_or_percent, number, selector_and_template};
use crate::check::{equal, non_negative, one_of, text, to_value};
use crate::meta;

/// A new StatefulSet (`ValidateStatefulSet`).
pub fn stateful_set_create(obj: &StatefulSet) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_label);
    let empty = StatefulSetSpec::default();
    spec(&mut errs, obj.spec.as_ref().unwrap_or(&empty));
    errs
}

/// `ValidateStatefulSetSpec`.
fn spec(errs: &mut ErrorList, spec: &StatefulSetSpec) {
    let path = Path::new("spec");
    match text(&spec.pod_management_policy) {
        "" => errs.push(Error::required(&path.child("podManagementPolicy"), "")),
        "OrderedReady" | "Parallel" => {}
        other => errs.push(Error::invalid(
            &path.child("podManagementPolicy"),
            other,
            "must be 'OrderedReady' or 'Parallel'",
        )),
    }
    let strategy = spec.update_strategy.clone().unwrap_or_default();
    let strategy_path = path.child("updateStrategy");
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("", _) => errs.push(Error::required(&strategy_path, "")),
        ("OnDelete", Some(rolling)) => errs.push(Error::invalid(
            &strategy_path.child("rollingUpdate"),
            &to_value(rolling),
            "only allowed for updateStrategy 'RollingUpdate'",
        )),
        ("RollingUpdate", Some(rolling)) => {
            let path = strategy_path.child("rollingUpdate");
            non_negative(errs, &path.child("partition"), rolling.partition.map(i64::from));
            if let Some(limit) = &rolling.max_unavailable {
                let path = path.child("maxUnavailable");
                int_or_percent(errs, limit, &path);
                if number(limit) == 0 {
                    errs.push(Error::invalid(&path, &to_value(limit), "cannot be 0"));
                }
                at_most_all(errs, limit, &path);
            }
        }
        ("OnDelete" | "RollingUpdate", None) => {}
        (_, _) => errs.push(Error::invalid(
            &strategy_path,
            &to_value(&strategy),
            "must be 'RollingUpdate' or 'OnDelete'",
        )),
    }
    if let Some(retention) = &spec.persistent_volume_claim_retention_policy {
        let path = path.child("persistentVolumeClaimRetentionPolicy");
        for (field, value) in [
            ("whenDeleted", &retention.when_deleted),
            ("whenScaled", &retention.when_scaled),
        ] {
            one_of(errs, &path.child(field), text(value), &["Retain", "Delete"]);
        }
    }
    non_negative(errs, &path.child("replicas"), spec.replicas.map(i64::from));
    non_negative(
        errs,
        &path.child("minReadySeconds"),
        spec.min_ready_seconds.map(i64::from),
    );
    if let Some(ordinals) = &spec.ordinals {
        let path = path.child("ordinals").child("start");
        non_negative(errs, &path, ordinals.start.map(i64::from));
    }
    selector_and_template(errs, &spec.selector, &spec.template, "statefulset", "StatefulSet");
}

/// A changed StatefulSet: a few fields only (`ValidateStatefulSetUpdate`).
pub fn stateful_set_update(new: &StatefulSet, old: &StatefulSet) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let mut after = new.spec.clone().unwrap_or_default();
    let before = old.spec.clone().unwrap_or_default();
    spec(&mut errs, &after);
    after.replicas = before.replicas;
    after.ordinals.clone_from(&before.ordinals);
    after.template = before.template.clone();
    after.update_strategy.clone_from(&before.update_strategy);
    after.min_ready_seconds = before.min_ready_seconds;
    after.revision_history_limit = before.revision_history_limit;
    after
        .persistent_volume_claim_retention_policy
        .clone_from(&before.persistent_volume_claim_retention_policy);
    if !equal(&after, &before) {
        let rule = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errs.push(Error::forbidden(&Path::new("spec"), rule));
    }
    errs
}

/// A changed StatefulSet status (`ValidateStatefulSetStatusUpdate`).
pub fn stateful_set_status_update(new: &StatefulSet, old: &StatefulSet) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let status = new.status.clone().unwrap_or_default();
    let path = Path::new("status");
    let ready = status.ready_replicas.unwrap_or(0);
    let available = status.available_replicas.unwrap_or(0);
    for (field, value) in [
        ("replicas", status.replicas),
        ("readyReplicas", ready),
        ("currentReplicas", status.current_replicas.unwrap_or(0)),
        ("updatedReplicas", status.updated_replicas.unwrap_or(0)),
        ("availableReplicas", available),
    ] {
        non_negative(&mut errs, &path.child(field), i64::from(value));
        if value > status.replicas {
            let rule = "cannot be greater than status.replicas";
            errs.push(Error::invalid(&path.child(field), value, rule));
        }
    }
    if available > ready {
        let rule = "cannot be greater than status.readyReplicas";
        errs.push(Error::invalid(&path.child("availableReplicas"), available, rule));
    }
    let collisions = |s: &StatefulSet| s.status.as_ref().and_then(|s| s.collision_count);
    decremented(&mut errs, collisions(new), collisions(old));
    errs
}
