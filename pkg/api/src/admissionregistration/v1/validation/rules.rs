//! Which requests a webhook or a policy is asked about.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::is_path_segment_name;
use k8s_openapi::api::admissionregistration::v1::{MatchResources, NamedRuleWithOperations, RuleWithOperations};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::check::{invalid_each, list, one_of, shown};
use crate::meta;

/// `supportedOperations`, sorted.
const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
/// `supportedMutatingOperations`, sorted.
const MUTATING_OPERATIONS: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];
/// `supportedMatchPolicies`, sorted.
pub(super) const MATCH_POLICIES: [&str; 2] = ["Equivalent", "Exact"];
/// `supportedFailurePolicies`, sorted.
pub(super) const FAILURE_POLICIES: [&str; 2] = ["Fail", "Ignore"];
/// `supportedReinvocationPolicies`, sorted.
pub(super) const REINVOCATION_POLICIES: [&str; 2] = ["IfNeeded", "Never"];

/// `validateRuleWithOperations`.
pub(super) fn rule(errs: &mut ErrorList, rule: &RuleWithOperations, path: &Path) {
    only_wildcard(errs, list(&rule.operations), "operations", &path.child("operations"));
    for (index, operation) in list(&rule.operations).iter().enumerate() {
        one_of(errs, &path.child("operations").index(index), operation, &OPERATIONS);
    }
    only_wildcard(errs, list(&rule.api_groups), "API groups", &path.child("apiGroups"));
    let versions = path.child("apiVersions");
    only_wildcard(errs, list(&rule.api_versions), "API versions", &versions);
    for (index, version) in list(&rule.api_versions).iter().enumerate() {
        crate::check::required(errs, &versions.index(index), version);
    }
    resources(errs, list(&rule.resources), &path.child("resources"));
    if let Some(scope) = &rule.scope {
        one_of(errs, &path.child("scope"), scope, &["*", "Cluster", "Namespaced"]);
    }
}

/// Something must be listed, and `*` nothing beside it.
fn only_wildcard(errs: &mut ErrorList, values: &[String], what: &str, path: &Path) {
    if values.is_empty() {
        errs.push(Error::required(path, ""));
    }
    if values.len() > 1 && values.iter().any(|v| v == "*") {
        let rule = format!("if '*' is present, must not specify other {what}");
        errs.push(Error::invalid(path, shown(&values), rule));
    }
}

/// `validateResources`.
fn resources(errs: &mut ErrorList, resources: &[String], path: &Path) {
    if resources.is_empty() {
        errs.push(Error::required(path, ""));
    }
    let (mut any_sub_of, mut sub_of_any) = (BTreeSet::new(), BTreeSet::new());
    // As upstream: the last resource without a subresource decides.
    let mut plain = false;
    for (index, text) in resources.iter().enumerate() {
        let path = path.index(index);
        if text.is_empty() {
            errs.push(Error::required(&path, ""));
            continue;
        }
        let Some((resource, sub)) = text.split_once('/') else {
            plain = text != "*";
            continue;
        };
        if any_sub_of.contains(resource) {
            let rule = format!("if '{resource}/*' is present, must not specify {text}");
            errs.push(Error::invalid(&path, text, rule));
        }
        if sub_of_any.contains(sub) {
            let rule = format!("if '*/{sub}' is present, must not specify {text}");
            errs.push(Error::invalid(&path, text, rule));
        }
        if sub == "*" {
            any_sub_of.insert(resource);
        }
        if resource == "*" {
            sub_of_any.insert(sub);
        }
    }
    let has = |wanted: &str| resources.iter().any(|r| r == wanted);
    if resources.len() > 1 && has("*/*") {
        let rule = "if '*/*' is present, must not specify other resources";
        errs.push(Error::invalid(path, shown(&resources), rule));
    }
    if has("*") && plain {
        let rule = "if '*' is present, must not specify other resources without subresources";
        errs.push(Error::invalid(path, shown(&resources), rule));
    }
}

/// `validateNamedRuleWithOperations`.
fn named_rule(errs: &mut ErrorList, named: &NamedRuleWithOperations, path: &Path) {
    let names = list(&named.resource_names);
    for (index, name) in names.iter().enumerate() {
        let path = path.child("resourceNames").index(index);
        invalid_each(errs, &path, name, is_path_segment_name(name));
        if names[..index].contains(name) {
            errs.push(Error::duplicate(&path, name));
        }
    }
    let plain = RuleWithOperations {
        api_groups: named.api_groups.clone(),
        api_versions: named.api_versions.clone(),
        operations: named.operations.clone(),
        resources: named.resources.clone(),
        scope: named.scope.clone(),
    };
    rule(errs, &plain, path);
}

/// `validateMatchResources`.
pub(super) fn match_resources(errs: &mut ErrorList, resources: &MatchResources, path: &Path) {
    let at = path.child("matchPolicy");
    match &resources.match_policy {
        None => errs.push(Error::required(&at, "")),
        Some(policy) => one_of(errs, &at, policy, &MATCH_POLICIES),
    }
    let mut selector = |selector: &Option<LabelSelector>, path: &Path| match selector {
        None => errs.push(Error::required(path, "")),
        Some(selector) => meta::label_selector(errs, Some(selector), path),
    };
    selector(&resources.namespace_selector, &path.child("namespaceSelector"));
    selector(&resources.object_selector, &path.child("objectSelector"));
    for (field, rules) in [
        ("resourceRules", &resources.resource_rules),
        ("excludeResourceRules", &resources.exclude_resource_rules),
    ] {
        for (index, rule) in list(rules).iter().enumerate() {
            named_rule(errs, rule, &path.child(field).index(index));
        }
    }
}

/// What is deleted cannot be mutated.
pub(super) fn mutating_operations(errs: &mut ErrorList, resources: &MatchResources, path: &Path) {
    let path = path.child("resourceRules").child("operations");
    for rule in list(&resources.resource_rules) {
        for operation in list(&rule.operations) {
            one_of(errs, &path, operation, &MUTATING_OPERATIONS);
        }
    }
}
