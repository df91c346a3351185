//! Flow schemas.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, FlowSchemaSpec, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject,
};

use super::mandatory;
use crate::check::{dns_label, dns_subdomain, equal, invalid_each, list, one_of, required, shown, text, to_value};
use crate::internal;
use crate::meta;

/// Highest precedence (`FlowSchemaMaxMatchingPrecedence`).
const PRECEDENCE_MAX: i32 = 10000;
/// `supportedVerbs`, sorted.
const VERBS: [&str; 9] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "proxy",
    "update",
    "watch",
];

/// A new schema (`ValidateFlowSchema`).
pub fn flow_schema_create(obj: &FlowSchema) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    let (empty, path) = (FlowSchemaSpec::default(), Path::new("spec"));
    let (spec, name) = (obj.spec.as_ref().unwrap_or(&empty), text(&obj.metadata.name));
    schema_spec(&mut errs, spec, name, &path);
    if mandatory::flow_schema(name).is_some_and(|wanted| !equal(&to_value(spec), &wanted)) {
        let rule = format!("spec of '{name}' must equal the fixed value");
        let value = internal::shown("flowcontrol.FlowSchemaSpec", spec);
        errs.push(Error::invalid(&path, value, rule));
    }
    conditions(&mut errs, obj);
    errs
}

/// A changed schema: the same rules (`ValidateFlowSchemaUpdate`).
pub fn flow_schema_update(new: &FlowSchema, _old: &FlowSchema) -> ErrorList {
    flow_schema_create(new)
}

/// A changed status (`ValidateFlowSchemaStatusUpdate`).
pub fn flow_schema_status_update(new: &FlowSchema, _old: &FlowSchema) -> ErrorList {
    let mut errs = ErrorList::new();
    conditions(&mut errs, new);
    errs
}

fn conditions(errs: &mut ErrorList, obj: &FlowSchema) {
    let all = obj.status.as_ref().map(|s| list(&s.conditions)).unwrap_or_default();
    condition_types(errs, all.iter().map(|c| text(&c.type_)));
}

/// Conditions of this group have a type, each once.
pub(super) fn condition_types<'a>(errs: &mut ErrorList, types: impl Iterator<Item = &'a str>) {
    let mut seen = BTreeSet::new();
    for (index, type_) in types.enumerate() {
        let path = Path::new("status").child("conditions").index(index).child("type");
        if !seen.insert(type_) {
            errs.push(Error::duplicate(&path, type_));
        }
        required(errs, &path, type_);
    }
}

/// `ValidateFlowSchemaSpec`.
fn schema_spec(errs: &mut ErrorList, spec: &FlowSchemaSpec, name: &str, path: &Path) {
    let precedence = spec.matching_precedence.unwrap_or(0);
    let at = path.child("matchingPrecedence");
    if precedence <= 0 {
        errs.push(Error::invalid(&at, precedence, "must be a positive value"));
    }
    if precedence > PRECEDENCE_MAX {
        let rule = format!("must not be greater than {PRECEDENCE_MAX}");
        errs.push(Error::invalid(&at, precedence, rule));
    }
    if precedence == 1 && name != "exempt" {
        let rule = "only the schema named 'exempt' may have matchingPrecedence 1";
        errs.push(Error::invalid(&at, precedence, rule));
    }
    if let Some(method) = &spec.distinguisher_method {
        let known = ["ByNamespace", "ByUser"];
        if !known.contains(&method.type_.as_str()) {
            let value = internal::shown("flowcontrol.FlowDistinguisherMethod", method);
            let path = path.child("distinguisherMethod").child("type");
            errs.push(Error::not_supported(&path, value, &known));
        }
    }
    let level = spec.priority_level_configuration.name.as_str();
    let at = path.child("priorityLevelConfiguration").child("name");
    if level.is_empty() {
        errs.push(Error::required(&at, "must reference a priority level"));
    } else {
        dns_subdomain(errs, &at, level);
    }
    for (index, rule) in list(&spec.rules).iter().enumerate() {
        rules(errs, rule, &path.child("rules").index(index));
    }
}

/// `ValidateFlowSchemaPolicyRulesWithSubjects`.
fn rules(errs: &mut ErrorList, rules: &PolicyRulesWithSubjects, path: &Path) {
    let at = path.child("subjects");
    if rules.subjects.is_empty() {
        errs.push(Error::required(&at, "subjects must contain at least one value"));
    }
    for (index, one) in rules.subjects.iter().enumerate() {
        subject(errs, one, &at.index(index));
    }
    let (resources, others) = (list(&rules.resource_rules), list(&rules.non_resource_rules));
    if resources.is_empty() && others.is_empty() {
        let rule = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errs.push(Error::required(path, rule));
    }
    for (index, rule) in resources.iter().enumerate() {
        resource_rule(errs, rule, &path.child("resourceRules").index(index));
    }
    for (index, rule) in others.iter().enumerate() {
        non_resource_rule(errs, rule, &path.child("nonResourceRules").index(index));
    }
}

/// `ValidateFlowSchemaSubject`: the part of its kind, and no other.
fn subject(errs: &mut ErrorList, subject: &Subject, path: &Path) {
    let parts = [
        ("ServiceAccount", "serviceAccount", subject.service_account.is_some()),
        ("User", "user", subject.user.is_some()),
        ("Group", "group", subject.group.is_some()),
    ];
    let kind = subject.kind.as_str();
    let Some((_, field, set)) = parts.into_iter().find(|(k, ..)| *k == kind) else {
        return one_of(errs, &path.child("kind"), kind, &["Group", "ServiceAccount", "User"]);
    };
    let at = path.child(field);
    if !set {
        let rule = format!("{field} is required when subject kind is '{kind}'");
        errs.push(Error::required(&at, rule));
    }
    match kind {
        "ServiceAccount" => {
            if let Some(account) = &subject.service_account {
                let name = account.name.as_str();
                required(errs, &at.child("name"), name);
                if !name.is_empty() && name != "*" {
                    dns_subdomain(errs, &at.child("name"), name);
                }
                if account.namespace.is_empty() {
                    let rule = "must specify namespace for service account";
                    errs.push(Error::required(&at.child("namespace"), rule));
                } else {
                    dns_label(errs, &at.child("namespace"), &account.namespace);
                }
            }
        }
        "User" => {
            if let Some(user) = &subject.user {
                required(errs, &at.child("name"), &user.name);
            }
        }
        _ => {
            if let Some(group) = &subject.group {
                required(errs, &at.child("name"), &group.name);
            }
        }
    }
    for (other, field, _) in parts.into_iter().filter(|(k, _, set)| *k != kind && *set) {
        let rule = format!("{field} is forbidden when subject kind is not '{other}'");
        errs.push(Error::forbidden(&path.child(field), rule));
    }
}

/// Whether `*` is listed; it must then be alone.
fn wildcard(errs: &mut ErrorList, values: &[String], what: &str, path: &Path) -> bool {
    let found = values.iter().any(|v| v == "*");
    if found && values.len() > 1 {
        let rule = format!("if '*' is present, must not specify other {what}");
        errs.push(Error::invalid(path, shown(&values), rule));
    }
    found
}

fn verbs(errs: &mut ErrorList, verbs: &[String], path: &Path) {
    let path = path.child("verbs");
    if verbs.is_empty() {
        errs.push(Error::required(&path, "verbs must contain at least one value"));
    } else if !wildcard(errs, verbs, "verbs", &path) && !verbs.iter().all(|v| VERBS.contains(&v.as_str())) {
        errs.push(Error::not_supported(&path, shown(&verbs), &VERBS));
    }
}

/// `ValidateFlowSchemaResourcePolicyRule`.
fn resource_rule(errs: &mut ErrorList, rule: &ResourcePolicyRule, path: &Path) {
    verbs(errs, &rule.verbs, path);
    for (field, values, one, others) in [
        ("apiGroups", &rule.api_groups, "api group", "api groups"),
        ("resources", &rule.resources, "resource", "resources"),
    ] {
        let path = path.child(field);
        if values.is_empty() {
            let rule = format!("resource rules must supply at least one {one}");
            errs.push(Error::required(&path, rule));
        }
        wildcard(errs, values, others, &path);
    }
    let (namespaces, path) = (list(&rule.namespaces), path.child("namespaces"));
    if namespaces.is_empty() && rule.cluster_scope != Some(true) {
        let rule = "resource rules that are not cluster scoped must supply at least one namespace";
        errs.push(Error::required(&path, rule));
    } else if !wildcard(errs, namespaces, "namespaces", &path) {
        for (index, namespace) in namespaces.iter().enumerate() {
            let messages = meta::name_label(namespace, false).into_iter();
            let messages = messages.map(|m| format!("each member of this list must be '*' or a DNS-1123 label; {m}"));
            invalid_each(errs, &path.index(index), namespace, messages.collect());
        }
    }
}

/// `ValidateFlowSchemaNonResourcePolicyRule`.
fn non_resource_rule(errs: &mut ErrorList, rule: &NonResourcePolicyRule, path: &Path) {
    verbs(errs, &rule.verbs, path);
    let (urls, path) = (&rule.non_resource_urls, path.child("nonResourceURLs"));
    if urls.is_empty() {
        errs.push(Error::required(
            &path,
            "nonResourceURLs must contain at least one value",
        ));
    } else if !wildcard(errs, urls, "non-resource URLs", &path) {
        for (index, url) in urls.iter().enumerate() {
            if let Some(rule) = url_error(url) {
                errs.push(Error::invalid(&path.index(index), url, rule));
            }
        }
    }
}

/// `ValidateNonResourceURLPath`.
fn url_error(url: &str) -> Option<&'static str> {
    let stars = url.matches('*').count();
    match url {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !url.starts_with('/') => Some("must start with slash"),
        _ if url.contains(' ') => Some("must not contain white-space"),
        _ if url.contains("//") => Some("must not contain double slash"),
        _ if stars > 1 || (stars == 1 && !url.ends_with("/*")) => Some("wildcard can only do suffix matching"),
        _ => None,
    }
}
