//! Affinity, tolerations, topology spread.

use std::collections::BTreeSet;
use std::num::IntErrorKind;

use apimachinery::field::{BadValue, Error, ErrorList, Path, quote};
use apimachinery::validation as rules;
use k8s_openapi::api::core::v1::{
    Affinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, Toleration,
    TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::options::Options;
use crate::check::{invalid_each, list, one_of, qualified_name, text};
use crate::meta;

/// `validateAffinity`.
pub(super) fn affinity(errs: &mut ErrorList, affinity: &Affinity, path: &Path, options: Options) {
    if let Some(node) = &affinity.node_affinity {
        let path = path.child("nodeAffinity");
        if let Some(selector) = &node.required_during_scheduling_ignored_during_execution {
            stored_node_selector(errs, selector, &path.child(REQUIRED), options.any_node_affinity_values);
        }
        let preferred = list(&node.preferred_during_scheduling_ignored_during_execution);
        for (index, term) in preferred.iter().enumerate() {
            let path = path.child(PREFERRED).index(index);
            weight(errs, term.weight, &path);
            node_selector_term(errs, &term.preference, false, &path.child("preference"));
        }
    }
    for (field, required, preferred) in pod_affinities(affinity) {
        let path = path.child(field);
        for (index, term) in required.iter().enumerate() {
            pod_term(errs, term, &path.child(REQUIRED).index(index), options);
        }
        for (index, term) in preferred.iter().enumerate() {
            let path = path.child(PREFERRED).index(index);
            weight(errs, term.weight, &path);
            pod_term(errs, &term.pod_affinity_term, &path.child("podAffinityTerm"), options);
        }
    }
}

type PodTerms<'a> = (&'static str, &'a [PodAffinityTerm], &'a [WeightedPodAffinityTerm]);

/// Affinity and anti-affinity to pods: the field, the required and the preferred terms.
pub(super) fn pod_affinities(affinity: &Affinity) -> Vec<PodTerms<'_>> {
    let mut out: Vec<PodTerms<'_>> = vec![];
    if let Some(a) = &affinity.pod_affinity {
        let required = list(&a.required_during_scheduling_ignored_during_execution);
        let preferred = list(&a.preferred_during_scheduling_ignored_during_execution);
        out.push(("podAffinity", required, preferred));
    }
    if let Some(a) = &affinity.pod_anti_affinity {
        let required = list(&a.required_during_scheduling_ignored_during_execution);
        let preferred = list(&a.preferred_during_scheduling_ignored_during_execution);
        out.push(("podAntiAffinity", required, preferred));
    }
    out
}

/// What is wrong with the selectors of pod affinity (`hasInvalidLabelValueInAffinitySelector`).
pub(super) fn pod_affinity_selectors(errs: &mut ErrorList, affinity: Option<&Affinity>, path: &Path) {
    for (_, required, preferred) in affinity.into_iter().flat_map(pod_affinities) {
        let preferred = preferred.iter().map(|w| &w.pod_affinity_term);
        for term in required.iter().chain(preferred) {
            meta::label_selector(errs, term.label_selector.as_ref(), path);
            meta::label_selector(errs, term.namespace_selector.as_ref(), path);
        }
    }
}

/// What is wrong with the values of required node affinity (`hasInvalidLabelValueInRequiredNodeAffinity`).
pub(super) fn node_affinity_values(errs: &mut ErrorList, affinity: Option<&Affinity>, path: &Path) {
    let node = affinity.and_then(|a| a.node_affinity.as_ref());
    if let Some(selector) = node.and_then(|n| n.required_during_scheduling_ignored_during_execution.as_ref()) {
        node_selector_values(errs, selector, path);
    }
}

/// What is wrong with the values of a node selector (`HasInvalidLabelValueInNodeSelectorTerms`).
pub(super) fn node_selector_values(errs: &mut ErrorList, selector: &NodeSelector, path: &Path) {
    for requirement in selector
        .node_selector_terms
        .iter()
        .flat_map(|t| list(&t.match_expressions))
    {
        for value in list(&requirement.values) {
            invalid_each(errs, path, value, rules::is_valid_label_value(value));
        }
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
    stored_node_selector(errs, selector, path, false);
}

/// [`node_selector`] that may let values pass which no label can have, because the stored object has such.
pub(super) fn stored_node_selector(errs: &mut ErrorList, selector: &NodeSelector, path: &Path, any_values: bool) {
    let path = path.child("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        errs.push(Error::required(&path, "must have at least one node selector term"));
    }
    for (index, term) in selector.node_selector_terms.iter().enumerate() {
        node_selector_term(errs, term, !any_values, &path.index(index));
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
    errs.push(Error::invalid(
        &path,
        BadValue::named(operator),
        "not a valid selector operator",
    ));
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

/// `validatePodAffinityTerm`.
fn pod_term(errs: &mut ErrorList, term: &PodAffinityTerm, path: &Path, options: Options) {
    for (field, selector) in [
        ("labelSelector", &term.label_selector),
        ("namespaceSelector", &term.namespace_selector),
    ] {
        meta::stored_label_selector(errs, selector.as_ref(), &path.child(field), options.any_selector_values);
    }
    for name in list(&term.namespaces) {
        invalid_each(errs, &path.child("namespace"), name, meta::name_label(name, false));
    }
    let (matched, mismatched) = (list(&term.match_label_keys), list(&term.mismatch_label_keys));
    label_keys(errs, matched, mismatched, term.label_selector.as_ref(), path);
    if term.topology_key.is_empty() {
        errs.push(Error::required(&path.child("topologyKey"), "can not be empty"));
    }
    qualified_name(errs, &path.child("topologyKey"), &term.topology_key);
}

/// `ValidateMatchLabelKeysAndMismatchLabelKeys`. A key's requirement is added to the selector when a
/// pod is created, so that it may be there once; a second one is the user's own.
fn label_keys(
    errs: &mut ErrorList,
    matched: &[String],
    mismatched: &[String],
    selector: Option<&LabelSelector>,
    path: &Path,
) {
    for (field, keys) in [("matchLabelKeys", matched), ("mismatchLabelKeys", mismatched)] {
        let path = path.child(field);
        if !keys.is_empty() && selector.is_none() {
            errs.push(Error::forbidden(&path, NEEDS_SELECTOR));
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            qualified_name(errs, &path.index(index), key);
        }
    }
    if let Some(selector) = selector {
        let mut seen: BTreeSet<&String> = selector.match_labels.iter().flatten().map(|(k, _)| k).collect();
        for expression in list(&selector.match_expressions) {
            let index = matched.iter().rposition(|k| *k == expression.key);
            if !seen.insert(&expression.key)
                && let Some(index) = index
            {
                errs.push(Error::invalid(&path.index(index), &expression.key, IN_BOTH));
            }
        }
    }
    for (index, key) in matched.iter().enumerate().filter(|(_, k)| mismatched.contains(k)) {
        let rule = "exists in both matchLabelKeys and mismatchLabelKeys";
        errs.push(Error::invalid(&path.child("matchLabelKeys").index(index), key, rule));
    }
}

const IN_BOTH: &str = "exists in both matchLabelKeys and labelSelector";
const NEEDS_SELECTOR: &str = "must not be specified when labelSelector is not set";

/// `ValidateTolerations`.
pub fn tolerations(errs: &mut ErrorList, tolerations: &[Toleration], path: &Path) {
    stored_tolerations(errs, tolerations, path, false);
}

/// [`tolerations`] that may let the comparing operators pass: their gate
/// (TaintTolerationComparisonOperators) is off, but the stored object has one.
pub(super) fn stored_tolerations(errs: &mut ErrorList, tolerations: &[Toleration], path: &Path, comparing: bool) {
    for (index, t) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let (key, operator) = (text(&t.key), text(&t.operator));
        let (value, effect) = (text(&t.value), text(&t.effect));
        let operator_path = path.child("operator");
        if !key.is_empty() {
            qualified_name(errs, &path.child("key"), key);
        } else if operator != "Exists" {
            let rule = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errs.push(Error::invalid(&operator_path, BadValue::named(operator), rule));
        }
        if t.toleration_seconds.is_some() && effect != "NoExecute" {
            let rule = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errs.push(Error::invalid(&path.child("effect"), BadValue::named(effect), rule));
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
            "Lt" | "Gt" if comparing => {
                decimal(errs, value, &path.child("value"));
            }
            "Lt" | "Gt" => {
                let known = ["Equal", "Exists", "Lt", "Gt"];
                errs.push(Error::not_supported(&operator_path, BadValue::named(operator), &known));
            }
            other => errs.push(Error::not_supported(
                &operator_path,
                BadValue::named(other),
                &["Equal", "Exists"],
            )),
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
pub(super) fn topology_spread(errs: &mut ErrorList, all: &[TopologySpreadConstraint], path: &Path, options: Options) {
    for (index, c) in all.iter().enumerate() {
        let path = path.index(index);
        positive(errs, c.max_skew, &path.child("maxSkew"));
        if c.topology_key.is_empty() {
            errs.push(Error::required(&path.child("topologyKey"), "can not be empty"));
        }
        let action = c.when_unsatisfiable.as_str();
        let actions = ["DoNotSchedule", "ScheduleAnyway"];
        one_of(errs, &path.child("whenUnsatisfiable"), action, &actions);
        let same = |o: &TopologySpreadConstraint| o.topology_key == c.topology_key && o.when_unsatisfiable == action;
        if all[index + 1..].iter().any(same) {
            let path = path.child("{topologyKey, whenUnsatisfiable}");
            errs.push(Error::duplicate(&path, format!("{{{}, {action}}}", c.topology_key)));
        }
        if let Some(domains) = c.min_domains {
            let path = path.child("minDomains");
            positive(errs, domains, &path);
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
        if options.any_spread_keys {
            older_label_keys(errs, keys, c.label_selector.as_ref(), &path.child("matchLabelKeys"));
        } else {
            label_keys(errs, keys, &[], c.label_selector.as_ref(), &path);
        }
        if !options.any_spread_selector {
            meta::label_selector(errs, c.label_selector.as_ref(), &path.child("labelSelector"));
        }
    }
}

fn positive(errs: &mut ErrorList, value: i32, path: &Path) {
    if value <= 0 {
        errs.push(Error::invalid(path, value, "must be greater than zero"));
    }
}

/// What is wrong with the keys of spread constraints (`hasInvalidTopologySpreadConstrainMatchLabelKeys`).
pub(super) fn spread_keys(errs: &mut ErrorList, all: &[TopologySpreadConstraint], path: &Path) {
    for c in all {
        label_keys(errs, list(&c.match_label_keys), &[], c.label_selector.as_ref(), path);
    }
}

/// What is wrong with the selectors of spread constraints (`hasInvalidTopologySpreadConstraintLabelSelector`).
pub(super) fn spread_selectors(errs: &mut ErrorList, all: &[TopologySpreadConstraint], path: &Path) {
    for c in all {
        meta::label_selector(errs, c.label_selector.as_ref(), path);
    }
}

/// The rule before keys became requirements: no key is in the selector at all
/// (`ValidateMatchLabelKeysInTopologySpread`).
fn older_label_keys(errs: &mut ErrorList, keys: &[String], selector: Option<&LabelSelector>, path: &Path) {
    if !keys.is_empty() && selector.is_none() {
        errs.push(Error::forbidden(path, NEEDS_SELECTOR));
    }
    for (index, key) in keys.iter().enumerate() {
        qualified_name(errs, &path.index(index), key);
        let named = selector.is_some_and(|s| {
            s.match_labels.as_ref().is_some_and(|l| l.contains_key(key))
                || list(&s.match_expressions).iter().any(|e| e.key == *key)
        });
        if named {
            errs.push(Error::invalid(&path.index(index), key, IN_BOTH));
        }
    }
}

/// A whole number as a person writes it, within 64 bits (`content.IsDecimalInteger`, `strconv.ParseInt`).
fn decimal(errs: &mut ErrorList, value: &str, path: &Path) {
    let parsed = value.parse::<i64>();
    let digits = value.strip_prefix('-').unwrap_or(value);
    let written =
        value == "0" || (digits.starts_with(|c: char| c != '0') && digits.chars().all(|c| c.is_ascii_digit()));
    if value.is_empty() {
        errs.push(Error::invalid(path, value, "must be non-empty"));
    } else if !written {
        let rule = "must be a valid decimal integer in canonical form";
        errs.push(Error::invalid(path, value, rule));
    }
    let why = match parsed.map_err(|e| *e.kind()) {
        Ok(_) => return,
        Err(IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) => "value out of range",
        Err(_) => "invalid syntax",
    };
    let rule = format!("strconv.ParseInt: parsing {}: {why}", quote(value));
    errs.push(Error::invalid(path, value, rule));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_tolerations_are_written_plainly() {
        const FORM: &str = "must be a valid decimal integer in canonical form";
        const SYNTAX: &str = "invalid syntax";
        for (value, want) in [
            ("0", vec![]),
            ("-5", vec![]),
            ("01", vec![FORM]),
            ("-0", vec![FORM]),
            ("+1", vec![FORM]),
            ("x", vec![FORM, SYNTAX]),
            ("", vec!["must be non-empty", SYNTAX]),
            ("99999999999999999999", vec!["value out of range"]),
        ] {
            let mut errs = ErrorList::new();
            decimal(&mut errs, value, &Path::new("v"));
            let got: Vec<&str> = errs.iter().map(|e| e.detail.as_str()).collect();
            assert_eq!(got.len(), want.len(), "{value}: {got:?}");
            assert!(got.iter().zip(&want).all(|(g, w)| g.ends_with(w)), "{value}: {got:?}");
        }
    }
}
