//! DaemonSets.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{
    at_most_all, decremented, int_or_percent, lasting_template, not_empty, number, same_selector, selects_template,
};
use crate::check::{non_negative, text, to_value};
use crate::internal::shown;
use crate::meta;

/// A new DaemonSet (`ValidateDaemonSet`).
pub fn daemon_set_create(obj: &DaemonSet) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let empty = DaemonSetSpec::default();
    spec(&mut errs, obj.spec.as_ref().unwrap_or(&empty), None);
    errs
}

/// A changed DaemonSet (`ValidateDaemonSetUpdate`).
pub fn daemon_set_update(new: &DaemonSet, old: &DaemonSet) -> ErrorList {
    let empty = DaemonSetSpec::default();
    let (after, before) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    let mut errs = meta::update(&new.metadata, &old.metadata);
    same_selector(&mut errs, &after.selector, &before.selector);
    spec(&mut errs, after, Some(before));
    errs
}

/// `ValidateDaemonSetSpec`.
fn spec(errs: &mut ErrorList, spec: &DaemonSetSpec, old: Option<&DaemonSetSpec>) {
    let path = Path::new("spec");
    meta::label_selector(errs, Some(&spec.selector), &path.child("selector"));
    selects_template(errs, &spec.selector, &spec.template, None);
    not_empty(errs, &spec.selector, "daemonset");
    lasting_template(errs, &spec.template, old.map(|o| &o.template), "DaemonSet");
    let seconds = spec.min_ready_seconds.map(i64::from);
    non_negative(errs, &path.child("minReadySeconds"), seconds);
    if let Some(strategy) = &spec.update_strategy {
        update_strategy(errs, strategy, &path.child("updateStrategy"));
    }
    let history = spec.revision_history_limit.map(i64::from);
    non_negative(errs, &path.child("revisionHistoryLimit"), history);
}

/// `ValidateDaemonSetUpdateStrategy`, `ValidateRollingUpdateDaemonSet`.
fn update_strategy(errs: &mut ErrorList, strategy: &DaemonSetUpdateStrategy, path: &Path) {
    let rolling_path = path.child("rollingUpdate");
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => errs.push(Error::required(&rolling_path, "")),
        ("RollingUpdate", Some(rolling)) => {
            let zero = IntOrString::Int(0);
            let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
            let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
            let unavailable_path = rolling_path.child("maxUnavailable");
            let surge_path = rolling_path.child("maxSurge");
            int_or_percent(errs, unavailable, &unavailable_path);
            int_or_percent(errs, surge, &surge_path);
            at_most_all(errs, unavailable, &unavailable_path);
            at_most_all(errs, surge, &surge_path);
            match (number(unavailable) != 0, number(surge) != 0) {
                (true, true) => {
                    let rule = "may not be set when maxUnavailable is non-zero";
                    errs.push(Error::invalid(&surge_path, &to_value(surge), rule));
                }
                (false, false) => {
                    let rule = "cannot be 0 when maxSurge is 0";
                    errs.push(Error::required(&unavailable_path, rule));
                }
                _ => {}
            }
        }
        _ => {
            let known = ["RollingUpdate", "OnDelete"];
            errs.push(Error::not_supported(
                path,
                shown("apps.DaemonSetUpdateStrategy", strategy),
                &known,
            ));
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
