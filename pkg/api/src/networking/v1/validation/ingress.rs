//! Ingresses.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::validation::{
    is_dns1035_label, is_dns1123_label, is_dns1123_subdomain, is_valid_port_name, is_wildcard_dns1123_subdomain,
};
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressRule, IngressSpec};

use super::class::reference;
use crate::check::{dns_subdomain, invalid_each, legacy_ip, list, port, shown, sloppy_ip, text};
use crate::gates::{Gate, on};
use crate::meta;

/// The class as it was given before there was a field.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
/// Parts a path cannot have (`invalidPathSequences`).
const PARTS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
/// Ends a path cannot have (`invalidPathSuffixes`).
const ENDS: [&str; 2] = ["/..", "/."];

/// What the stored object is spared (`IngressValidationOptions`).
#[derive(Clone, Copy, Default)]
struct Options {
    any_secret_name: bool,
    any_wildcard_rule: bool,
    service_name: ServiceName,
}

/// How names of services are checked (`allowRelaxedServiceNameValidation`).
#[derive(Clone, Copy, Default, PartialEq)]
enum ServiceName {
    /// As of other objects.
    #[default]
    Label,
    /// As of services before they could begin with a digit.
    Strict,
}

impl ServiceName {
    fn of(old: Option<&IngressSpec>) -> Self {
        let relaxed = |backend: &IngressBackend| {
            let name = backend.service.as_ref().map_or("", |s| s.name.as_str());
            is_dns1123_label(name).is_empty() && !is_dns1035_label(name).is_empty()
        };
        let any = old.is_some_and(|old| {
            let rules = list(&old.rules).iter().filter_map(|r| r.http.as_ref());
            let mut backends = rules.flat_map(|h| &h.paths).map(|p| &p.backend);
            old.default_backend.as_ref().is_some_and(relaxed) || backends.any(relaxed)
        });
        if on(Gate::RelaxedServiceNames) || any {
            ServiceName::Label
        } else {
            ServiceName::Strict
        }
    }
}

/// A new Ingress (`ValidateIngressCreate`).
pub fn ingress_create(obj: &Ingress) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let options = Options {
        service_name: ServiceName::of(None),
        ..Options::default()
    };
    spec(&mut errs, obj, options);
    let annotation = obj.metadata.annotations.as_ref().and_then(|a| a.get(CLASS_ANNOTATION));
    let class = obj.spec.as_ref().and_then(|s| s.ingress_class_name.as_ref());
    if let (Some(annotation), Some(class)) = (annotation, class)
        && annotation != class
    {
        let path = Path::new("annotations").child(CLASS_ANNOTATION);
        let rule = "must match `ingressClassName` when both are specified";
        errs.push(Error::invalid(&path, annotation, rule));
    }
    errs
}

/// A changed Ingress (`ValidateIngressUpdate`).
pub fn ingress_update(new: &Ingress, old: &Ingress) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let empty = IngressSpec::default();
    let before = old.spec.as_ref().unwrap_or(&empty);
    let secrets = list(&before.tls).iter().map(|t| text(&t.secret_name));
    let mut secrets = secrets.filter(|s| !s.is_empty());
    let broken = |rule: &IngressRule| {
        let mut found = vec![];
        http(&mut found, rule, ServiceName::Label, &Path::root());
        text(&rule.host).contains('*') && !found.is_empty()
    };
    let options = Options {
        any_secret_name: secrets.any(|s| !is_dns1123_subdomain(s).is_empty()),
        any_wildcard_rule: list(&before.rules).iter().any(broken),
        service_name: ServiceName::of(Some(before)),
    };
    errs.extend(meta::create(&new.metadata, true, meta::name_subdomain));
    spec(&mut errs, new, options);
    errs
}

/// A changed status (`ValidateIngressStatusUpdate`).
pub fn ingress_status_update(new: &Ingress, old: &Ingress) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let points = |obj: &Ingress| {
        let balancer = obj.status.as_ref().and_then(|s| s.load_balancer.clone());
        balancer.and_then(|b| b.ingress).unwrap_or_default()
    };
    let before = points(old);
    let stored: Vec<&str> = before.iter().map(|p| text(&p.ip)).filter(|ip| !ip.is_empty()).collect();
    for (index, point) in points(new).iter().enumerate() {
        let path = Path::new("status").child("loadBalancer").child("ingress").index(index);
        let (address, hostname) = (text(&point.ip), text(&point.hostname));
        if !address.is_empty() {
            legacy_ip(&mut errs, &path.child("ip"), address, &stored);
        }
        if !hostname.is_empty() {
            let path = path.child("hostname");
            dns_subdomain(&mut errs, &path, hostname);
            no_address(&mut errs, hostname, &path);
        }
    }
    errs
}

fn no_address(errs: &mut ErrorList, host: &str, path: &Path) {
    if sloppy_ip(host).is_some() {
        let rule = "must be a DNS name, not an IP address";
        errs.push(Error::invalid(path, host, rule));
    }
}

/// `ValidateIngressSpec`.
fn spec(errs: &mut ErrorList, obj: &Ingress, options: Options) {
    let (empty, path) = (IngressSpec::default(), Path::new("spec"));
    let spec = obj.spec.as_ref().unwrap_or(&empty);
    let rules = list(&spec.rules);
    if rules.is_empty() && spec.default_backend.is_none() {
        let rule = "either `defaultBackend` or `rules` must be specified";
        let value = if spec.rules.is_none() {
            BadValue::Null
        } else {
            shown(&rules)
        };
        errs.push(Error::invalid(&path, value, rule));
    }
    if let Some(backend) = &spec.default_backend {
        self::backend(errs, backend, options.service_name, &path.child("defaultBackend"));
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = path.child("rules").index(index);
        let value = text(&rule.host);
        if !value.is_empty() {
            no_address(errs, value, &path.child("host"));
            host(errs, value, &path.child("host"));
        }
        if !value.contains('*') || !options.any_wildcard_rule {
            http(errs, rule, options.service_name, &path);
        }
    }
    for (index, tls) in list(&spec.tls).iter().enumerate() {
        let path = path.child("tls").index(index);
        for (index, value) in list(&tls.hosts).iter().enumerate() {
            host(errs, value, &path.child("hosts").index(index));
        }
        let secret = text(&tls.secret_name);
        if !secret.is_empty() && !options.any_secret_name {
            dns_subdomain(errs, &path.child("secretName"), secret);
        }
    }
    if let Some(class) = &spec.ingress_class_name {
        dns_subdomain(errs, &path.child("ingressClassName"), class);
    }
}

/// A host name, perhaps of any first word.
fn host(errs: &mut ErrorList, host: &str, path: &Path) {
    if host.contains('*') {
        invalid_each(errs, path, host, is_wildcard_dns1123_subdomain(host));
    } else {
        dns_subdomain(errs, path, host);
    }
}

/// `validateHTTPIngressRuleValue`.
fn http(errs: &mut ErrorList, rule: &IngressRule, service: ServiceName, path: &Path) {
    let Some(http) = &rule.http else { return };
    let path = path.child("http").child("paths");
    if http.paths.is_empty() {
        errs.push(Error::required(&path, ""));
    }
    for (index, one) in http.paths.iter().enumerate() {
        http_path(errs, one, service, &path.index(index));
    }
}

/// `validateHTTPIngressPath`.
fn http_path(errs: &mut ErrorList, one: &HTTPIngressPath, service: ServiceName, path: &Path) {
    let (at, value) = (path.child("path"), text(&one.path));
    let mut refuse = |rule: String| errs.push(Error::invalid(&at, value, rule));
    match one.path_type.as_str() {
        "" => {
            errs.push(Error::required(&path.child("pathType"), "pathType must be specified"));
            return;
        }
        "Exact" | "Prefix" => {
            if !value.starts_with('/') {
                refuse("must be an absolute path".to_string());
            }
            for part in PARTS.into_iter().filter(|p| value.contains(p)) {
                refuse(format!("must not contain '{part}'"));
            }
            for end in ENDS.into_iter().filter(|e| value.ends_with(e)) {
                refuse(format!("cannot end with '{end}'"));
            }
        }
        "ImplementationSpecific" => {
            if !value.is_empty() && !value.starts_with('/') {
                refuse("must be an absolute path".to_string());
            }
        }
        other => {
            let known = ["Exact", "ImplementationSpecific", "Prefix"];
            errs.push(Error::not_supported(
                &path.child("pathType"),
                BadValue::named(other),
                &known,
            ));
        }
    }
    backend(errs, &one.backend, service, &path.child("backend"));
}

/// `validateIngressBackend`.
fn backend(errs: &mut ErrorList, backend: &IngressBackend, rule: ServiceName, path: &Path) {
    let service = match (&backend.service, &backend.resource) {
        (Some(_), Some(_)) => {
            let rule = "cannot set both resource and service backends";
            errs.push(Error::invalid(path, "", rule));
            return;
        }
        (None, None) => {
            errs.push(Error::invalid(path, "", "resource or service backend is required"));
            return;
        }
        (None, Some(resource)) => {
            let group = resource.api_group.as_deref();
            return reference(errs, group, &resource.kind, &resource.name, &path.child("resource"));
        }
        (Some(service), None) => service,
    };
    let at = path.child("service");
    if service.name.is_empty() {
        errs.push(Error::required(&at.child("name"), ""));
    } else {
        let name = service.name.as_str();
        let messages = match rule {
            ServiceName::Label => is_dns1123_label(name),
            ServiceName::Strict => is_dns1035_label(name),
        };
        invalid_each(errs, &at.child("name"), name, messages);
    }
    let target = service.port.clone().unwrap_or_default();
    let (name, number) = (text(&target.name), target.number.unwrap_or(0));
    let at = at.child("port");
    match (name.is_empty(), number) {
        (true, 0) => errs.push(Error::required(path, "port name or number is required")),
        (true, number) => port(errs, &at.child("number"), number),
        (false, 0) => invalid_each(errs, &at.child("name"), name, is_valid_port_name(name)),
        (false, _) => {
            errs.push(Error::invalid(path, "", "cannot set both port name & port number"));
        }
    }
}
