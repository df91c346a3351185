//! Which pods and claims a quota with scopes looks at; nothing else has a scope.
//!
//! Upstream: pkg/quota/v1/evaluator/core `podMatchesScopeFunc`, `pvcMatchesScopeFunc`; generic `Matches`.

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, Pod, PodAffinityTerm, ResourceQuotaSpec, ScopedResourceSelectorRequirement,
    WeightedPodAffinityTerm,
};

use super::pods::is_terminating;
use crate::qos::{BEST_EFFORT, pod_qos};
use crate::volumes::attributes_classes_of_claim;

/// Scopes and scope selectors of a quota, as one list: a scope by itself asks that what it names exists
/// (`getScopeSelectorsFromQuota`).
pub fn of_quota(spec: &ResourceQuotaSpec) -> Vec<ScopedResourceSelectorRequirement> {
    let plain = spec
        .scopes
        .iter()
        .flatten()
        .map(|name| ScopedResourceSelectorRequirement {
            scope_name: name.clone(),
            operator: "Exists".to_owned(),
            values: None,
        });
    let selected = spec
        .scope_selector
        .iter()
        .flat_map(|s| s.match_expressions.iter().flatten().cloned());
    plain.chain(selected).collect()
}

/// Whether all scopes look at the pod.
pub fn include_pod(scopes: &[ScopedResourceSelectorRequirement], pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else {
        return scopes.is_empty();
    };
    let terminating = is_terminating(spec);
    let best_effort = || pod_qos(pod) == BEST_EFFORT;
    scopes.iter().all(|scope| match scope.scope_name.as_str() {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => best_effort(),
        "NotBestEffort" => !best_effort(),
        "PriorityClass" => {
            let class = spec.priority_class_name.as_deref().filter(|class| !class.is_empty());
            selects(scope, class.as_slice())
        }
        "CrossNamespacePodAffinity" => reaches_other_namespaces(pod),
        _ => false,
    })
}

/// Whether all scopes look at the claim; only the one of its attributes does.
pub fn include_claim(scopes: &[ScopedResourceSelectorRequirement], claim: &PersistentVolumeClaim) -> bool {
    let named = attributes_classes_of_claim(claim);
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    scopes
        .iter()
        .all(|scope| scope.scope_name == "VolumeAttributesClass" && selects(scope, &named))
}

/// Upstream: `ScopedResourceSelectorRequirementsAsSelector` over each of the values an object has.
fn selects(scope: &ScopedResourceSelectorRequirement, have: &[&str]) -> bool {
    let listed = |value: &&str| scope.values.iter().flatten().any(|wanted| wanted == value);
    match scope.operator.as_str() {
        "Exists" => !have.is_empty(),
        "DoesNotExist" => have.is_empty(),
        "In" => have.iter().any(listed),
        "NotIn" => have.is_empty() || have.iter().any(|value| !listed(value)),
        _ => false,
    }
}

fn reaches_other_namespaces(pod: &Pod) -> bool {
    let Some(affinity) = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()) else {
        return false;
    };
    let term = |term: &PodAffinityTerm| {
        term.namespace_selector.is_some() || term.namespaces.as_ref().is_some_and(|names| !names.is_empty())
    };
    let any = |required: &Option<Vec<PodAffinityTerm>>, preferred: &Option<Vec<WeightedPodAffinityTerm>>| {
        required.iter().flatten().any(term) || preferred.iter().flatten().any(|w| term(&w.pod_affinity_term))
    };
    let near = affinity.pod_affinity.as_ref().is_some_and(|a| {
        any(
            &a.required_during_scheduling_ignored_during_execution,
            &a.preferred_during_scheduling_ignored_during_execution,
        )
    });
    let far = affinity.pod_anti_affinity.as_ref().is_some_and(|a| {
        any(
            &a.required_during_scheduling_ignored_during_execution,
            &a.preferred_during_scheduling_ignored_during_execution,
        )
    });
    near || far
}
