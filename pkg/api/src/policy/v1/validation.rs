//! Validation of policy/v1 (pkg/apis/policy/validation/validation.go).

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use crate::apps::v1::validation::{at_most_all, int_or_percent};
use crate::check::{conditions, list, non_negative, one_of};
use crate::meta;

/// A new PodDisruptionBudget (`ValidatePodDisruptionBudget`): of its metadata nothing, as upstream.
pub fn pod_disruption_budget_create(obj: &PodDisruptionBudget) -> ErrorList {
    let mut errs = ErrorList::new();
    spec(&mut errs, obj, false);
    errs
}

/// A changed PodDisruptionBudget (strategy `ValidateUpdate`): values no label can have stay in the selector.
pub fn pod_disruption_budget_update(new: &PodDisruptionBudget, old: &PodDisruptionBudget) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut stored = ErrorList::new();
    let selector = old.spec.as_ref().and_then(|s| s.selector.as_ref());
    meta::label_selector(&mut stored, selector, &Path::root());
    spec(&mut errs, new, !stored.is_empty());
    errs
}

/// `ValidatePodDisruptionBudgetSpec`.
fn spec(errs: &mut ErrorList, obj: &PodDisruptionBudget, any_values: bool) {
    let Some(spec) = &obj.spec else { return };
    let path = Path::new("spec");
    if spec.min_available.is_some() && spec.max_unavailable.is_some() {
        let rule = "minAvailable and maxUnavailable cannot be both set";
        let value = crate::internal::shown("policy.PodDisruptionBudgetSpec", spec);
        errs.push(Error::invalid(&path, value, rule));
    }
    for (field, value) in [
        ("minAvailable", &spec.min_available),
        ("maxUnavailable", &spec.max_unavailable),
    ] {
        let Some(value) = value else { continue };
        int_or_percent(errs, value, &path.child(field));
        at_most_all(errs, value, &path.child(field));
    }
    meta::stored_label_selector(errs, spec.selector.as_ref(), &path.child("selector"), any_values);
    if let Some(policy) = &spec.unhealthy_pod_eviction_policy {
        let known = ["AlwaysAllow", "IfHealthyBudget"];
        one_of(errs, &path.child("unhealthyPodEvictionPolicy"), policy, &known);
    }
}

/// A changed PodDisruptionBudget status (`ValidatePodDisruptionBudgetStatusUpdate`).
pub fn pod_disruption_budget_status_update(new: &PodDisruptionBudget, _old: &PodDisruptionBudget) -> ErrorList {
    let mut errs = ErrorList::new();
    let Some(status) = &new.status else { return errs };
    let path = Path::new("status");
    conditions(&mut errs, list(&status.conditions), &path.child("conditions"));
    for (field, value) in [
        ("disruptionsAllowed", status.disruptions_allowed),
        ("currentHealthy", status.current_healthy),
        ("desiredHealthy", status.desired_healthy),
        ("expectedPods", status.expected_pods),
    ] {
        non_negative(&mut errs, &path.child(field), value.map(i64::from));
    }
    errs
}

#[cfg(test)]
mod tests;
