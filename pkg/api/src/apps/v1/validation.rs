//! Validation of apps/v1 (pkg/apis/apps/validation/validation.go).

mod daemon_set;
mod deployment;
mod stateful_set;

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::labels::Selector;
use apimachinery::validation::is_valid_percent;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::check::{IMMUTABLE, equal, immutable, non_negative, to_value};
use crate::core::v1::validation::{pod_template_spec, restart_policy_among};
use crate::meta;

pub use daemon_set::{daemon_set_create, daemon_set_status_update, daemon_set_update};
pub use deployment::{
    deployment_create, deployment_status_update, deployment_update, replica_set_create, replica_set_status_update,
    replica_set_update,
};
pub use stateful_set::{stateful_set_create, stateful_set_status_update, stateful_set_update};

/// Whether there is no selector: an empty one that was given has an empty `matchLabels`
/// ([`super::defaults::given_selector`]).
fn is_absent(selector: &LabelSelector) -> bool {
    selector.match_labels.is_none() && meta::is_empty_selector(selector)
}

fn shown_selector(selector: &LabelSelector) -> BadValue {
    match is_absent(selector) {
        true => BadValue::Null,
        false => crate::internal::shown("meta.LabelSelector", selector),
    }
}

/// A selector that must be there and select something; `kind` is named in the message.
fn required_selector(errs: &mut ErrorList, selector: &LabelSelector, kind: &str) {
    let path = Path::new("spec").child("selector");
    if is_absent(selector) {
        errs.push(Error::required(&path, ""));
        return;
    }
    meta::label_selector(errs, Some(selector), &path);
    not_empty(errs, selector, kind);
}

fn not_empty(errs: &mut ErrorList, selector: &LabelSelector, kind: &str) {
    if meta::is_empty_selector(selector) && !is_absent(selector) {
        let rule = format!("empty selector is invalid for {kind}");
        errs.push(Error::invalid(
            &Path::new("spec").child("selector"),
            shown_selector(selector),
            rule,
        ));
    }
}

/// The selector stays (`ValidateImmutableField`).
fn same_selector(errs: &mut ErrorList, new: &LabelSelector, old: &LabelSelector) {
    if !equal(new, old) {
        let path = Path::new("spec").child("selector");
        errs.push(Error::invalid(&path, shown_selector(new), IMMUTABLE));
    }
}

/// The selector selects the pods the template makes; a missing one selects none, an empty one all
/// (`LabelSelectorAsSelector`). `invalid` is what is said of a selector that cannot be read.
fn selects_template(errs: &mut ErrorList, selector: &LabelSelector, template: &PodTemplateSpec, invalid: Option<&str>) {
    let path = Path::new("spec");
    let Ok(parsed) = Selector::from_label_selector(selector) else {
        if let Some(rule) = invalid {
            errs.push(Error::invalid(&path.child("selector"), shown_selector(selector), rule));
        }
        return;
    };
    let labels = template.metadata.as_ref().and_then(|m| m.labels.clone());
    if is_absent(selector) || !parsed.matches(&labels.clone().unwrap_or_default()) {
        let path = path.child("template").child("metadata").child("labels");
        let rule = "`selector` does not match template `labels`";
        errs.push(Error::invalid(&path, &to_value(&labels), rule));
    }
}

/// The template of a workload whose pods run for ever; `kind` is named in the message about a deadline.
fn lasting_template(errs: &mut ErrorList, template: &PodTemplateSpec, old: Option<&PodTemplateSpec>, kind: &str) {
    let path = Path::new("spec").child("template");
    pod_template_spec(errs, template, old, &path);
    runs_for_ever(errs, template, kind);
}

fn runs_for_ever(errs: &mut ErrorList, template: &PodTemplateSpec, kind: &str) {
    let path = Path::new("spec").child("template");
    restart_policy_among(errs, template.spec.as_ref(), &path, &["Always"]);
    let spec = template.spec.as_ref();
    if spec.is_some_and(|s| s.active_deadline_seconds.is_some()) {
        let rule = format!("activeDeadlineSeconds in {kind} is not Supported");
        let path = path.child("spec").child("activeDeadlineSeconds");
        errs.push(Error::forbidden(&path, rule));
    }
}

/// `IsDecremented`: the collision count only grows.
fn decremented(errs: &mut ErrorList, new: Option<i32>, old: Option<i32>) {
    if old.is_some() && new < old {
        let path = Path::new("status").child("collisionCount");
        errs.push(Error::invalid(&path, new.unwrap_or(0), "cannot be decremented"));
    }
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
        && is_valid_percent(text).is_empty()
        && number(value) > 100
    {
        errs.push(Error::invalid(path, text, "must not be greater than 100%"));
    }
}

/// The number in front of the percent sign, or the number (`getIntOrPercentValue`); zero when it is neither.
pub(crate) fn number(value: &IntOrString) -> i64 {
    match value {
        IntOrString::Int(count) => i64::from(*count),
        IntOrString::String(text) => text.strip_suffix('%').unwrap_or(text).parse().unwrap_or(0),
    }
}

/// A new ControllerRevision (`ValidateControllerRevisionCreate`).
pub fn controller_revision_create(obj: &ControllerRevision) -> ErrorList {
    let mut errs = revision(obj);
    let path = Path::new("data");
    match obj.data.as_ref().map(|d| &d.0) {
        None | Some(serde_json::Value::Null) => errs.push(Error::required(&path, "data is mandatory")),
        Some(serde_json::Value::Object(_)) => {}
        Some(_) => errs.push(Error::required(&path, "data must be a valid JSON object")),
    }
    errs
}

/// `validateControllerRevision`.
fn revision(obj: &ControllerRevision) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    non_negative(&mut errs, &Path::new("revision"), obj.revision);
    errs
}

/// A changed ControllerRevision: only metadata and revision (`ValidateControllerRevisionUpdate`).
pub fn controller_revision_update(new: &ControllerRevision, old: &ControllerRevision) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    errs.extend(revision(new));
    immutable(&mut errs, &Path::new("data"), &new.data, &old.data);
    errs
}

#[cfg(test)]
mod tests;
