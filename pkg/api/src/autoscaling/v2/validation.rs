//! Validation of autoscaling/v2, which autoscaling/v1 is converted to first
//! (pkg/apis/autoscaling/validation/validation.go).

mod metrics;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::is_path_segment_name;
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec,
};

use crate::check::{NEGATIVE, invalid_each, list, non_negative, one_of, quantity, required};
use crate::gates::{Gate, on};
use crate::meta;

/// Longest period of a policy and longest window, in seconds.
const MAX_PERIOD: i32 = 1800;
const MAX_WINDOW: i32 = 3600;

/// Which API versions of a reference pass (`CrossVersionObjectReferenceValidationOptions`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Versions {
    Any,
    Parsed,
    WithGroup,
}

/// A new HorizontalPodAutoscaler (`ValidateHorizontalPodAutoscaler`).
pub fn horizontal_pod_autoscaler_create(obj: &HorizontalPodAutoscaler) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    spec(&mut errs, &obj.spec, None);
    errs
}

/// A changed HorizontalPodAutoscaler (`ValidateHorizontalPodAutoscalerUpdate`).
pub fn horizontal_pod_autoscaler_update(new: &HorizontalPodAutoscaler, old: &HorizontalPodAutoscaler) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    spec(&mut errs, &new.spec, Some(&old.spec));
    errs
}

/// A changed HorizontalPodAutoscaler status (`ValidateHorizontalPodAutoscalerStatusUpdate`).
pub fn horizontal_pod_autoscaler_status_update(
    new: &HorizontalPodAutoscaler,
    old: &HorizontalPodAutoscaler,
) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let Some(status) = &new.status else { return errs };
    let path = Path::new("status");
    let current = status.current_replicas.map(i64::from);
    non_negative(&mut errs, &path.child("currentReplicas"), current);
    let desired = i64::from(status.desired_replicas);
    non_negative(&mut errs, &path.child("desiredReplicas"), desired);
    errs
}

/// `validateHorizontalPodAutoscalerSpec` with the strategy's options
/// (`validationOptionsForHorizontalPodAutoscaler`).
fn spec(errs: &mut ErrorList, spec: &HorizontalPodAutoscalerSpec, old: Option<&HorizontalPodAutoscalerSpec>) {
    let path = Path::new("spec");
    let to_zero = on(Gate::ScaleToZero) || old.is_some_and(|o| o.min_replicas == Some(0));
    let least = i32::from(!to_zero);
    if let Some(min) = spec.min_replicas.filter(|min| *min < least) {
        let rule = format!("must be greater than or equal to {least}");
        errs.push(Error::invalid(&path.child("minReplicas"), min, rule));
    }
    let (max, at) = (spec.max_replicas, path.child("maxReplicas"));
    if max == 0 {
        errs.push(Error::required(&at, "must be set and greater than 0"));
    } else if max < 0 {
        errs.push(Error::invalid(&at, max, "must be greater than or equal to 1"));
    }
    if spec.min_replicas.is_some_and(|min| max < min) {
        let rule = "must be greater than or equal to `minReplicas`";
        errs.push(Error::invalid(&at, max, rule));
    }
    let target = &spec.scale_target_ref;
    let stored = old.map(|o| &o.scale_target_ref);
    let versions = if stored.is_some_and(|s| s.api_version == target.api_version && s.kind == target.kind) {
        Versions::Any
    } else if target.kind == "ReplicationController" {
        Versions::Parsed
    } else {
        Versions::WithGroup
    };
    reference(errs, target, &path.child("scaleTargetRef"), versions);
    let objects = old
        .into_iter()
        .flat_map(|o| list(&o.metrics))
        .filter_map(|m| m.object.as_ref());
    let bad = objects
        .into_iter()
        .any(|o| api_version(&o.described_object, Versions::Parsed).is_some());
    let versions = if bad { Versions::Any } else { Versions::Parsed };
    metrics::metrics(errs, spec, &path.child("metrics"), versions);
    if let Some(behavior) = &spec.behavior {
        let path = path.child("behavior");
        scaling_rules(errs, behavior.scale_up.as_ref(), &path.child("scaleUp"));
        scaling_rules(errs, behavior.scale_down.as_ref(), &path.child("scaleDown"));
    }
}

/// `ValidateCrossVersionObjectReference`.
fn reference(errs: &mut ErrorList, r: &CrossVersionObjectReference, path: &Path, versions: Versions) {
    for (field, value) in [("kind", &r.kind), ("name", &r.name)] {
        let path = path.child(field);
        required(errs, &path, value);
        invalid_each(errs, &path, value, is_path_segment_name(value));
    }
    if let Some(rule) = api_version(r, versions) {
        let value = r.api_version.as_deref().unwrap_or("");
        errs.push(Error::invalid(&path.child("apiVersion"), value, rule));
    }
}

/// `ValidateAPIVersion`.
fn api_version(r: &CrossVersionObjectReference, versions: Versions) -> Option<String> {
    let text = r.api_version.as_deref().unwrap_or("");
    match versions {
        Versions::Any => None,
        _ if text.matches('/').count() > 1 => Some(format!("unexpected GroupVersion string: {text}")),
        Versions::WithGroup if !text.contains('/') || text.starts_with('/') => {
            Some("apiVersion must specify API group".to_string())
        }
        _ => None,
    }
}

/// `validateScalingRules`.
fn scaling_rules(errs: &mut ErrorList, rules: Option<&HPAScalingRules>, path: &Path) {
    let Some(rules) = rules else { return };
    if let Some(seconds) = rules.stabilization_window_seconds {
        let path = path.child("stabilizationWindowSeconds");
        if seconds < 0 {
            errs.push(Error::invalid(&path, seconds, "must be greater than or equal to zero"));
        }
        if seconds > MAX_WINDOW {
            let rule = format!("must be less than or equal to {MAX_WINDOW}");
            errs.push(Error::invalid(&path, seconds, rule));
        }
    }
    if let Some(policy) = &rules.select_policy {
        one_of(errs, &path.child("selectPolicy"), policy, &["Disabled", "Max", "Min"]);
    }
    let policies = list(&rules.policies);
    let at = path.child("policies");
    if policies.is_empty() {
        errs.push(Error::required(&at, "must specify at least one Policy"));
    }
    for (index, policy) in policies.iter().enumerate() {
        let path = at.index(index);
        one_of(errs, &path.child("type"), &policy.type_, &["Percent", "Pods"]);
        for (field, value) in [("value", policy.value), ("periodSeconds", policy.period_seconds)] {
            if value <= 0 {
                errs.push(Error::invalid(&path.child(field), value, "must be greater than zero"));
            }
        }
        if policy.period_seconds > MAX_PERIOD {
            let rule = format!("must be less than or equal to {MAX_PERIOD}");
            errs.push(Error::invalid(
                &path.child("periodSeconds"),
                policy.period_seconds,
                rule,
            ));
        }
    }
    if let Some(amount) = rules.tolerance.as_ref().map(quantity).filter(|q| q.sign() < 0) {
        errs.push(Error::invalid(&path.child("tolerance"), amount.to_string(), NEGATIVE));
    }
}

#[cfg(test)]
mod tests;
