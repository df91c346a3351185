//! Validation of apps/v1 (pkg/apis/apps/validation/validation.go).

mod daemon_set;
mod deployment;
mod stateful_set;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::labels::Selector;
use apimachinery::validation::is_valid_percent;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::check::{immutable, non_negative, to_value};
use crate::core::v1::validation::pod_template_spec;
use crate::meta;

pub use daemon_set::{daemon_set_create, daemon_set_status_update, daemon_set_update};
pub use deployment::{
    deployment_create, deployment_status_update, deployment_update, replica_set_create, replica_set_status_update,
    replica_set_update,
};
pub use stateful_set::{stateful_set_create, stateful_set_status_update, stateful_set_update};

/// Selector and template of a workload whose pods run for ever. `noun` is the kind in the
/// message about an empty selector, `kind` that in the message about a deadline.
fn selector_and_template(
    errs: &mut ErrorList,
    selector: &LabelSelector,
    template: &PodTemplateSpec,
    noun: &str,
    kind: &str,
) {
    let path = Path::new("spec");
    meta::label_selector(errs, Some(selector), &path.child("selector"));
    if meta::is_empty_selector(selector) {
        let rule = format!("empty selector is invalid for {noun}");
        errs.push(Error::invalid(&path.child("selector"), &to_value(selector), rule));
    }
    let path = path.child("template");
    matches_template(errs, selector, template, &path);
    pod_template_spec(errs, template, &path);
    restart_policy(errs, template, &path, &["Always"]);
    if template
        .spec
        .as_ref()
        .is_some_and(|s| s.active_deadline_seconds.is_some())
    {
        let rule = format!("activeDeadlineSeconds in {kind} is not Supported");
        errs.push(Error::forbidden(
            &path.child("spec").child("activeDeadlineSeconds"),
            rule,
        ));
    }
}

/// The selector selects the pods the template makes.
pub(crate) fn matches_template(
    errs: &mut ErrorList,
    selector: &LabelSelector,
    template: &PodTemplateSpec,
    path: &Path,
) {
    let labels = template
        .metadata
        .as_ref()
        .and_then(|m| m.labels.clone())
        .unwrap_or_default();
    let Ok(parsed) = Selector::from_label_selector(selector) else {
        return;
    };
    if !meta::is_empty_selector(selector) && !parsed.matches(&labels) {
        let path = path.child("metadata").child("labels");
        let rule = "`selector` does not match template `labels`";
        errs.push(Error::invalid(&path, &to_value(&labels), rule));
    }
}

fn restart_policy(errs: &mut ErrorList, template: &PodTemplateSpec, path: &Path, allowed: &[&str]) {
    let policy = template
        .spec
        .as_ref()
        .and_then(|s| s.restart_policy.as_deref())
        .unwrap_or("");
    crate::check::one_of(errs, &path.child("spec").child("restartPolicy"), policy, allowed);
}

/// A count or percentage that is not negative (`ValidatePositiveIntOrPercent`).
pub(crate) fn int_or_percent(errs: &mut ErrorList, value: &IntOrString, path: &Path) {
    match value {
        IntOrString::Int(count) => non_negative(errs, path, i64::from(*count)),
        IntOrString::String(text) => {
            for message in is_valid_percent(text) {
                errs.push(Error::invalid(path, text, message));
            }
        }
    }
}

/// `IsNotMoreThan100Percent`.
pub(crate) fn at_most_all(errs: &mut ErrorList, value: &IntOrString, path: &Path) {
    if let IntOrString::String(text) = value
        && number(value) > 100
    {
        errs.push(Error::invalid(path, text, "must not be greater than 100%"));
    }
}

/// The number in front of the percent sign, or the number (`getIntOrPercentValue`).
pub(crate) fn number(value: &IntOrString) -> i64 {
    match value {
        IntOrString::Int(count) => i64::from(*count),
        IntOrString::String(text) => text.trim_end_matches('%').parse().unwrap_or(0),
    }
}

/// A new ControllerRevision (`ValidateControllerRevision`).
pub fn controller_revision_create(obj: &ControllerRevision) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    if obj.data.is_none() {
        errs.push(Error::required(&Path::new("data"), "data is mandatory"));
    }
    non_negative(&mut errs, &Path::new("revision"), obj.revision);
    errs
}

/// A changed ControllerRevision: only metadata and revision (`ValidateControllerRevisionUpdate`).
pub fn controller_revision_update(new: &ControllerRevision, old: &ControllerRevision) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    errs.extend(controller_revision_create(new));
    immutable(&mut errs, &Path::new("data"), &new.data, &old.data);
    errs
}

#[cfg(test)]
mod tests;
