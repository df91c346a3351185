//! DaemonSets.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy};

use super::deployment::decremented;
use super::{at_most_all, int_or_percent, number, selector_and_template};
use crate::check::{immutable, non_negative, text, to_value};
use crate::meta;

/// A new DaemonSet (`ValidateDaemonSet`).
pub fn daemon_set_create(obj: &DaemonSet) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let empty = DaemonSetSpec::default();
    spec(&mut errs, obj.spec.as_ref().unwrap_or(&empty));
    errs
}

/// A changed DaemonSet (`ValidateDaemonSetUpdate`; the selector is fixed in apps/v1).
pub fn daemon_set_update(new: &DaemonSet, old: &DaemonSet) -> ErrorList {
    let empty = DaemonSetSpec::default();
    let (after, before) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    let mut errs = meta::update(&new.metadata, &old.metadata);
    spec(&mut errs, after);
    immutable(
        &mut errs,
        &Path::new("spec").child("selector"),
        &after.selector,
        &before.selector,
    );
    errs
}

fn spec(errs: &mut ErrorList, spec: &DaemonSetSpec) {
    let path = Path::new("spec");
    selector_and_template(errs, &spec.selector, &spec.template, "daemonset", "DaemonSet");
    non_negative(
        errs,
        &path.child("minReadySeconds"),
        spec.min_ready_seconds.map(i64::from),
    );
    if let Some(strategy) = &spec.update_strategy {
        update_strategy(errs, strategy, &path.child("updateStrategy"));
    }
    non_negative(
        errs,
        &path.child("revisionHistoryLimit"),
        spec.revision_history_limit.map(i64::from),
    );
}

/// `ValidateDaemonSetUpdateStrategy`, `ValidateRollingUpdateDaemonSet`.
fn update_strategy(errs: &mut ErrorList, strategy: &DaemonSetUpdateStrategy, path: &Path) {
    let rolling_path = path.child("rollingUpdate");
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => errs.push(Error::required(&rolling_path, "")),
        ("RollingUpdate", Some(rolling)) => {
            for (field, value) in [
                ("maxUnavailable", &rolling.max_unavailable),
                ("maxSurge", &rolling.max_surge),
            ] {
                let Some(value) = value else { continue };
                int_or_percent(errs, value, &rolling_path.child(field));
                at_most_all(errs, value, &rolling_path.child(field));
            }
            let unavailable = rolling.max_unavailable.as_ref().map_or(0, number) != 0;
            let surge = rolling.max_surge.as_ref().map_or(0, number) != 0;
            if unavailable && surge {
                let rule = "may not be set when maxUnavailable is non-zero";
                let value = to_value(&rolling.max_surge);
                errs.push(Error::invalid(&rolling_path.child("maxSurge"), &value, rule));
            }
            if !unavailable && !surge {
                let path = rolling_path.child("maxUnavailable");
                errs.push(Error::required(&path, "cannot be 0 when maxSurge is 0"));
            }
        }
        (other, _) => {
            let known = ["RollingUpdate", "OnDelete"];
            errs.push(Error::not_supported(&path.child("type"), other, &known));
        }
    }
}

/// A changed DaemonSet status (`ValidateDaemonSetStatusUpdate`).
pub fn daemon_set_status_update(new: &DaemonSet, old: &DaemonSet) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let status = new.status.clone().unwrap_or_default();
    let path = Path::new("status");
    for (field, value) in [
        (
            "currentNumberScheduled",
            Some(i64::from(status.current_number_scheduled)),
        ),
        ("numberMisscheduled", Some(i64::from(status.number_misscheduled))),
        (
            "desiredNumberScheduled",
            Some(i64::from(status.desired_number_scheduled)),
        ),
        ("numberReady", Some(i64::from(status.number_ready))),
        ("observedGeneration", status.observed_generation),
        ("updatedNumberScheduled", status.updated_number_scheduled.map(i64::from)),
        ("numberAvailable", status.number_available.map(i64::from)),
        ("numberUnavailable", status.number_unavailable.map(i64::from)),
        ("collisionCount", status.collision_count.map(i64::from)),
    ] {
        non_negative(&mut errs, &path.child(field), value);
    }
    let collisions = |d: &DaemonSet| d.status.as_ref().and_then(|s| s.collision_count);
    decremented(&mut errs, collisions(new), collisions(old));
    errs
}
