//! Affinity, tolerations, topology spread.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation as rules;
use k8s_openapi::api::core::v1::{
    Affinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, Toleration,
    TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::check::{invalid_each, list, one_of, qualified_name, text};
use crate::meta;

/// `validateAffinity`.
pub(super) fn affinity(errs: &mut ErrorList, affinity: &Affinity, path: &Path) {
    if let Some(node) = &affinity.node_affinity {
        let path = path.child("nodeAffinity");
        if let Some(selector) = &node.required_during_scheduling_ignored_during_execution {
            node_selector(errs, selector, &path.child(REQUIRED));
        }
        let preferred = list(&node.preferred_during_scheduling_ignored_during_execution);
        for (index, term) in preferred.iter().enumerate() {
            let path = path.child(PREFERRED).index(index);
            weight(errs, term.weight, &path);
            node_selector_term(errs, &term.preference, false, &path.child("preference"));
        }
    }
    if let Some(pod) = &affinity.pod_affinity {
        let required = list(&pod.required_during_scheduling_ignored_during_execution);
        let preferred = list(&pod.preferred_during_scheduling_ignored_during_execution);
        pod_terms(errs, required, preferred, &path.child("podAffinity"));
    }
    if let Some(pod) = &affinity.pod_anti_affinity {
        let required = list(&pod.required_during_scheduling_ignored_during_execution);
        let preferred = list(&pod.preferred_during_scheduling_ignored_during_execution);
        pod_terms(errs, required, preferred, &path.child("podAntiAffinity"));
    }
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

fn weight(errs: &mut ErrorList, weight: i32, path: &Path) {
    if !(1..=100).contains(&weight) {
        errs.push(Error::invalid(
            &path.child("weight"),
            weight,
            "must be in the range 1-100",
        ));
    }
}

/// `ValidateNodeSelector`.
pub fn node_selector(errs: &mut ErrorList, selector: &NodeSelector, path: &Path) {
    let path = path.child("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        errs.push(Error::required(&path, "must have at least one node selector term"));
    }
    for (index, term) in selector.node_selector_terms.iter().enumerate() {
        node_selector_term(errs, term, true, &path.index(index));
    }
}

/// `ValidateNodeSelectorTerm`; preferred terms may hold values no label could have.
fn node_selector_term(errs: &mut ErrorList, term: &NodeSelectorTerm, check_values: bool, path: &Path) {
    for (index, requirement) in list(&term.match_expressions).iter().enumerate() {
        let path = path.child("matchExpressions").index(index);
        expression(errs, requirement, check_values, &path);
    }
    for (index, requirement) in list(&term.match_fields).iter().enumerate() {
        field(errs, requirement, &path.child("matchFields").index(index));
    }
}

/// `ValidateNodeSelectorRequirement`.
fn expression(errs: &mut ErrorList, r: &NodeSelectorRequirement, check_values: bool, path: &Path) {
    let values = list(&r.values);
    let values_path = path.child("values");
    match r.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => {
            let rule = "must be specified when `operator` is 'In' or 'NotIn'";
            errs.push(Error::required(&values_path, rule));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let rule = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errs.push(Error::forbidden(&values_path, rule));
        }
        "Gt" | "Lt" if values.len() != 1 => {
            let rule = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            errs.push(Error::required(&values_path, rule));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => invalid_operator(errs, other, path),
    }
    qualified_name(errs, &path.child("key"), &r.key);
    for (index, value) in values.iter().enumerate().filter(|_| check_values) {
        invalid_each(
            errs,
            &values_path.index(index),
            value,
            rules::is_valid_label_value(value),
        );
    }
}

fn invalid_operator(errs: &mut ErrorList, operator: &str, path: &Path) {
    let path = path.child("operator");
    errs.push(Error::invalid(&path, operator, "not a valid selector operator"));
}

/// `ValidateNodeFieldSelectorRequirement`.
fn field(errs: &mut ErrorList, r: &NodeSelectorRequirement, path: &Path) {
    let values = list(&r.values);
    match r.operator.as_str() {
        "In" | "NotIn" if values.len() == 1 => {}
        "In" | "NotIn" => {
            let rule = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            errs.push(Error::required(&path.child("values"), rule));
        }
        other => invalid_operator(errs, other, path),
    }
    if r.key == "metadata.name" {
        for (index, value) in values.iter().enumerate() {
            let path = path.child("values").index(index);
            invalid_each(errs, &path, value, meta::name_subdomain(value, false));
        }
    } else {
        errs.push(Error::invalid(
            &path.child("key"),
            &r.key,
            "not a valid field selector key",
        ));
    }
}

fn pod_terms(errs: &mut ErrorList, required: &[PodAffinityTerm], preferred: &[WeightedPodAffinityTerm], path: &Path) {
    for (index, term) in required.iter().enumerate() {
        pod_term(errs, term, &path.child(REQUIRED).index(index));
    }
    for (index, term) in preferred.iter().enumerate() {
        let path = path.child(PREFERRED).index(index);
        weight(errs, term.weight, &path);
        pod_term(errs, &term.pod_affinity_term, &path.child("podAffinityTerm"));
    }
}

/// `validatePodAffinityTerm`.
fn pod_term(errs: &mut ErrorList, term: &PodAffinityTerm, path: &Path) {
    meta::label_selector(errs, term.label_selector.as_ref(), &path.child("labelSelector"));
    meta::label_selector(errs, term.namespace_selector.as_ref(), &path.child("namespaceSelector"));
    for name in list(&term.namespaces) {
        invalid_each(errs, &path.child("namespace"), name, meta::name_label(name, false));
    }
    let matched = list(&term.match_label_keys);
    let mismatched = list(&term.mismatch_label_keys);
    for (field, keys) in [("matchLabelKeys", matched), ("mismatchLabelKeys", mismatched)] {
        let path = path.child(field);
        if !keys.is_empty() && term.label_selector.is_none() {
            errs.push(Error::forbidden(&path, NEEDS_SELECTOR));
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            qualified_name(errs, &path.index(index), key);
        }
    }
    named_twice(errs, matched, term.label_selector.as_ref(), path);
    for (index, key) in matched.iter().enumerate().filter(|(_, k)| mismatched.contains(k)) {
        let rule = "exists in both matchLabelKeys and mismatchLabelKeys";
        errs.push(Error::invalid(&path.child("matchLabelKeys").index(index), key, rule));
    }
    if term.topology_key.is_empty() {
        errs.push(Error::required(&path.child("topologyKey"), "can not be empty"));
    }
    qualified_name(errs, &path.child("topologyKey"), &term.topology_key);
}

const NEEDS_SELECTOR: &str = "must not be specified when labelSelector is not set";

/// `ValidateTolerations`.
pub fn tolerations(errs: &mut ErrorList, tolerations: &[Toleration], path: &Path) {
    for (index, t) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let (key, operator) = (text(&t.key), text(&t.operator));
        let (value, effect) = (text(&t.value), text(&t.effect));
        let operator_path = path.child("operator");
        if !key.is_empty() {
            qualified_name(errs, &path.child("key"), key);
        } else if operator != "Exists" {
            let rule = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errs.push(Error::invalid(&operator_path, operator, rule));
        }
        if t.toleration_seconds.is_some() && effect != "NoExecute" {
            let rule = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errs.push(Error::invalid(&path.child("effect"), effect, rule));
        }
        match operator {
            "Equal" | "" => {
                let messages = rules::is_valid_label_value(value);
                if !messages.is_empty() {
                    errs.push(Error::invalid(&operator_path, value, messages.join(";")));
                }
            }
            "Exists" if value.is_empty() => {}
            "Exists" => {
                let rule = "value must be empty when `operator` is 'Exists'";
                errs.push(Error::invalid(&operator_path, value, rule));
            }
            other => errs.push(Error::not_supported(&operator_path, other, &["Equal", "Exists"])),
        }
        if !effect.is_empty() {
            taint_effect(errs, effect, &path.child("effect"));
        }
    }
}

/// `validateTaintEffect`.
pub(super) fn taint_effect(errs: &mut ErrorList, effect: &str, path: &Path) {
    one_of(errs, path, effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
}

/// `validateTopologySpreadConstraints`.
pub(super) fn topology_spread(errs: &mut ErrorList, all: &[TopologySpreadConstraint], path: &Path) {
    const POSITIVE: &str = "must be greater than zero";
    for (index, c) in all.iter().enumerate() {
        let path = path.index(index);
        if c.max_skew <= 0 {
            errs.push(Error::invalid(&path.child("maxSkew"), c.max_skew, POSITIVE));
        }
        if c.topology_key.is_empty() {
            errs.push(Error::required(&path.child("topologyKey"), "can not be empty"));
        } else {
            qualified_name(errs, &path.child("topologyKey"), &c.topology_key);
        }
        let action = c.when_unsatisfiable.as_str();
        one_of(
            errs,
            &path.child("whenUnsatisfiable"),
            action,
            &["DoNotSchedule", "ScheduleAnyway"],
        );
        let same = |o: &TopologySpreadConstraint| o.topology_key == c.topology_key && o.when_unsatisfiable == action;
        if all[index + 1..].iter().any(same) {
            let path = path.child("{topologyKey, whenUnsatisfiable}");
            errs.push(Error::duplicate(&path, format!("{{{}, {action}}}", c.topology_key)));
        }
        if let Some(domains) = c.min_domains {
            let path = path.child("minDomains");
            if domains <= 0 {
                errs.push(Error::invalid(&path, domains, POSITIVE));
            }
            if action != "DoNotSchedule" {
                let rule = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                errs.push(Error::invalid(&path, domains, rule));
            }
        }
        for (field, policy) in [
            ("nodeAffinityPolicy", &c.node_affinity_policy),
            ("nodeTaintsPolicy", &c.node_taints_policy),
        ] {
            if let Some(policy) = policy {
                one_of(errs, &path.child(field), policy, &["Honor", "Ignore"]);
            }
        }
        let keys = list(&c.match_label_keys);
        spread_keys(errs, keys, c.label_selector.as_ref(), &path.child("matchLabelKeys"));
        meta::label_selector(errs, c.label_selector.as_ref(), &path.child("labelSelector"));
    }
}

/// `validateMatchLabelKeysInTopologySpread`.
fn spread_keys(errs: &mut ErrorList, keys: &[String], selector: Option<&LabelSelector>, path: &Path) {
    if keys.is_empty() {
        return;
    }
    if selector.is_none() {
        errs.push(Error::forbidden(path, NEEDS_SELECTOR));
    }
    for (index, key) in keys.iter().enumerate() {
        qualified_name(errs, &path.index(index), key);
    }
    named_twice(errs, keys, selector, path);
}

/// A label key's requirement is added to the selector when a pod is created, so that it may be
/// there once; a second one is the user's own
/// (`validateMatchLabelKeysAndMismatchLabelKeys`).
fn named_twice(errs: &mut ErrorList, keys: &[String], selector: Option<&LabelSelector>, path: &Path) {
    let Some(selector) = selector else { return };
    let mut seen: BTreeSet<&String> = selector.match_labels.iter().flatten().map(|(k, _)| k).collect();
    for expression in list(&selector.match_expressions) {
        let index = keys.iter().position(|k| *k == expression.key);
        if !seen.insert(&expression.key)
            && let Some(index) = index
        {
            let rule = "exists in both matchLabelKeys and labelSelector";
            errs.push(Error::invalid(&path.index(index), &expression.key, rule));
        }
    }
}
