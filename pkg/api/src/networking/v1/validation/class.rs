//! Classes of ingresses.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::{is_path_segment_name, regex_error};
use k8s_openapi::api::networking::v1::{IngressClass, IngressClassParametersReference};

use crate::check::{dns_label, dns_subdomain, immutable, invalid_each, required, text};
use crate::meta;

/// Longest controller, in bytes (`maxLenIngressClassController`).
const CONTROLLER_MAX: usize = 250;

/// A new IngressClass (`ValidateIngressClass`).
pub fn ingress_class_create(obj: &IngressClass) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    class(&mut errs, obj);
    errs
}

/// A changed IngressClass (`ValidateIngressClassUpdate`).
pub fn ingress_class_update(new: &IngressClass, old: &IngressClass) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let path = Path::new("spec").child("controller");
    immutable(&mut errs, &path, &controller(new), &controller(old));
    errs.extend(meta::create(&new.metadata, false, meta::name_subdomain));
    class(&mut errs, new);
    errs
}

fn controller(obj: &IngressClass) -> &str {
    obj.spec.as_ref().map_or("", |s| text(&s.controller))
}

/// `validateIngressClassSpec`.
fn class(errs: &mut ErrorList, obj: &IngressClass) {
    let path = Path::new("spec");
    let (at, controller) = (path.child("controller"), controller(obj));
    if controller.len() > CONTROLLER_MAX {
        errs.push(Error::too_long(&at, CONTROLLER_MAX));
    }
    domain_prefixed_path(errs, controller, &at);
    if let Some(parameters) = obj.spec.as_ref().and_then(|s| s.parameters.as_ref()) {
        self::parameters(errs, parameters, &path.child("parameters"));
    }
}

/// `IsDomainPrefixedPath`.
fn domain_prefixed_path(errs: &mut ErrorList, value: &str, path: &Path) {
    if value.is_empty() {
        errs.push(Error::required(path, ""));
        return;
    }
    let Some((host, rest)) = value
        .split_once('/')
        .filter(|(host, rest)| !host.is_empty() && !rest.is_empty())
    else {
        let rule = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errs.push(Error::invalid(path, value, rule));
        return;
    };
    dns_subdomain(errs, path, host);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
    if !rest.chars().all(allowed) {
        let rule = regex_error("Invalid path", "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", &[]);
        errs.push(Error::invalid(path, rest, rule));
    }
}

/// `validateIngressClassParametersReference`.
fn parameters(errs: &mut ErrorList, parameters: &IngressClassParametersReference, path: &Path) {
    reference(
        errs,
        parameters.api_group.as_deref(),
        &parameters.kind,
        &parameters.name,
        path,
    );
    let namespace = parameters.namespace.as_deref();
    let at = path.child("namespace");
    match (parameters.scope.as_deref(), namespace) {
        (None, _) => errs.push(Error::required(&path.child("scope"), "")),
        (Some("Namespace"), None) => {
            errs.push(Error::required(&at, "`parameters.scope` is set to 'Namespace'"));
        }
        (Some("Namespace"), Some(namespace)) => dns_label(errs, &at, namespace),
        (Some("Cluster"), Some(_)) => {
            errs.push(Error::forbidden(&at, "`parameters.scope` is set to 'Cluster'"));
        }
        (Some("Cluster"), None) => {}
        (Some(other), _) => {
            let known = ["Cluster", "Namespace"];
            errs.push(Error::not_supported(&path.child("scope"), other, &known));
        }
    }
}

/// A typed reference (`validateIngressTypedLocalObjectReference`).
pub(super) fn reference(errs: &mut ErrorList, group: Option<&str>, kind: &str, name: &str, path: &Path) {
    if let Some(group) = group {
        dns_subdomain(errs, &path.child("apiGroup"), group);
    }
    for (field, value) in [("kind", kind), ("name", name)] {
        let path = path.child(field);
        required(errs, &path, value);
        invalid_each(errs, &path, value, is_path_segment_name(value));
    }
}
