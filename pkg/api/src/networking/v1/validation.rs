//! Validation of networking.k8s.io/v1 (pkg/apis/networking/validation/validation.go), the common
//! part: Ingress backends and paths, NetworkPolicy ports and peers, IngressClass.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::is_wildcard_dns1123_subdomain;
use k8s_openapi::api::networking::v1::{
    Ingress, IngressBackend, IngressClass, IngressSpec, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort,
};

use crate::check::{cidr, dns_subdomain, immutable, invalid_each, list, one_of, port_or_name, required, text};
use crate::meta;

/// A new Ingress (`ValidateIngressCreate`).
pub fn ingress_create(obj: &Ingress) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let empty = IngressSpec::default();
    ingress_spec(&mut errs, obj.spec.as_ref().unwrap_or(&empty));
    errs
}

/// A changed Ingress (`ValidateIngressUpdate`).
pub fn ingress_update(new: &Ingress, old: &Ingress) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let empty = IngressSpec::default();
    ingress_spec(&mut errs, new.spec.as_ref().unwrap_or(&empty));
    errs
}

fn ingress_spec(errs: &mut ErrorList, spec: &IngressSpec) {
    let path = Path::new("spec");
    let rules = list(&spec.rules);
    if rules.is_empty() && spec.default_backend.is_none() {
        let rule = "either `defaultBackend` or `rules` must be specified";
        errs.push(Error::invalid(&path, &serde_json::Value::Null, rule));
    }
    if let Some(backend) = &spec.default_backend {
        self::backend(errs, backend, &path.child("defaultBackend"));
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = path.child("rules").index(index);
        let host = text(&rule.host);
        if host.contains('*') {
            invalid_each(errs, &path.child("host"), host, is_wildcard_dns1123_subdomain(host));
        } else if !host.is_empty() {
            dns_subdomain(errs, &path.child("host"), host);
        }
        let Some(http) = &rule.http else { continue };
        let path = path.child("http").child("paths");
        if http.paths.is_empty() {
            errs.push(Error::required(&path, ""));
        }
        for (index, entry) in http.paths.iter().enumerate() {
            let at = path.index(index);
            let value = text(&entry.path);
            match entry.path_type.as_str() {
                "" => errs.push(Error::required(&at.child("pathType"), "pathType must be specified")),
                "Exact" | "Prefix" => {
                    if !value.starts_with('/') {
                        errs.push(Error::invalid(&at.child("path"), value, "must be an absolute path"));
                    }
                    for part in ["//", "/./", "/../", "%2f", "%2F"] {
                        if value.contains(part) {
                            let rule = format!("must not contain '{part}'");
                            errs.push(Error::invalid(&at.child("path"), value, rule));
                        }
                    }
                }
                "ImplementationSpecific" => {
                    if !value.is_empty() && !value.starts_with('/') {
                        errs.push(Error::invalid(&at.child("path"), value, "must be an absolute path"));
                    }
                }
                other => {
                    let known = ["Exact", "ImplementationSpecific", "Prefix"];
                    errs.push(Error::not_supported(&at.child("pathType"), other, &known));
                }
            }
            backend(errs, &entry.backend, &at.child("backend"));
        }
    }
    if let Some(class) = &spec.ingress_class_name {
        let path = path.child("ingressClassName");
        invalid_each(errs, &path, class, meta::name_subdomain(class, false));
    }
}

/// `validateIngressBackend`.
fn backend(errs: &mut ErrorList, backend: &IngressBackend, path: &Path) {
    match (&backend.service, &backend.resource) {
        (Some(_), Some(_)) => {
            errs.push(Error::invalid(
                path,
                "",
                "cannot set both resource and service backends",
            ));
        }
        (None, None) => errs.push(Error::required(path, "resource or service backend is required")),
        (None, Some(_)) => {}
        (Some(service), None) => {
            let path = path.child("service");
            if service.name.is_empty() {
                errs.push(Error::required(&path.child("name"), ""));
            } else {
                let messages = meta::name_1035_label(&service.name, false);
                invalid_each(errs, &path.child("name"), &service.name, messages);
            }
            let port = service.port.clone().unwrap_or_default();
            let path = path.child("port");
            match (text(&port.name), port.number.unwrap_or(0)) {
                ("", 0) => errs.push(Error::required(&path, "port name or number is required")),
                ("", number) => crate::check::port(errs, &path.child("number"), number),
                (name, 0) => {
                    let messages = apimachinery::validation::is_valid_port_name(name);
                    invalid_each(errs, &path.child("name"), name, messages);
                }
                (_, _) => {
                    errs.push(Error::invalid(&path, "", "cannot set both port name & port number"));
                }
            }
        }
    }
}

/// A new NetworkPolicy (`ValidateNetworkPolicy`).
pub fn network_policy_create(obj: &NetworkPolicy) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    network_policy_spec(&mut errs, obj);
    errs
}

/// A changed NetworkPolicy (`ValidateNetworkPolicyUpdate`).
pub fn network_policy_update(new: &NetworkPolicy, old: &NetworkPolicy) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    network_policy_spec(&mut errs, new);
    errs
}

fn network_policy_spec(errs: &mut ErrorList, obj: &NetworkPolicy) {
    let Some(spec) = &obj.spec else { return };
    let path = Path::new("spec");
    meta::label_selector(errs, spec.pod_selector.as_ref(), &path.child("podSelector"));
    for (index, rule) in list(&spec.ingress).iter().enumerate() {
        let path = path.child("ingress").index(index);
        policy_ports(errs, list(&rule.ports), &path.child("ports"));
        peers(errs, list(&rule.from), &path.child("from"));
    }
    for (index, rule) in list(&spec.egress).iter().enumerate() {
        let path = path.child("egress").index(index);
        policy_ports(errs, list(&rule.ports), &path.child("ports"));
        peers(errs, list(&rule.to), &path.child("to"));
    }
    let types = list(&spec.policy_types);
    if types.len() > 2 {
        let value = crate::check::to_value(&types);
        let rule = "may not specify more than two policyTypes";
        errs.push(Error::invalid(&path.child("policyTypes"), &value, rule));
        return;
    }
    for (index, type_) in types.iter().enumerate() {
        one_of(
            errs,
            &path.child("policyTypes").index(index),
            type_,
            &["Egress", "Ingress"],
        );
    }
}

fn policy_ports(errs: &mut ErrorList, ports: &[NetworkPolicyPort], path: &Path) {
    for (index, p) in ports.iter().enumerate() {
        let path = path.index(index);
        if let Some(protocol) = &p.protocol {
            one_of(errs, &path.child("protocol"), protocol, &["SCTP", "TCP", "UDP"]);
        }
        if let Some(port) = &p.port {
            port_or_name(errs, &path.child("port"), port);
        }
        if let Some(end) = p.end_port
            && p.port.is_none()
        {
            let _ = end;
            let rule = "may not be specified when `port` is not specified";
            errs.push(Error::required(&path.child("port"), rule));
        }
    }
}

fn peers(errs: &mut ErrorList, peers: &[NetworkPolicyPeer], path: &Path) {
    for (index, peer) in peers.iter().enumerate() {
        let path = path.index(index);
        meta::label_selector(errs, peer.pod_selector.as_ref(), &path.child("podSelector"));
        meta::label_selector(errs, peer.namespace_selector.as_ref(), &path.child("namespaceSelector"));
        let selectors = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
        match &peer.ip_block {
            None if !selectors => errs.push(Error::required(&path, "must specify a peer")),
            Some(_) if selectors => {
                let rule = "may not specify both ipBlock and another peer";
                errs.push(Error::forbidden(&path, rule));
            }
            Some(block) => {
                let path = path.child("ipBlock");
                if block.cidr.is_empty() {
                    required(errs, &path.child("cidr"), "");
                } else {
                    cidr(errs, &path.child("cidr"), &block.cidr);
                }
                for (index, except) in list(&block.except).iter().enumerate() {
                    cidr(errs, &path.child("except").index(index), except);
                }
            }
            None => {}
        }
    }
}

/// A new IngressClass (`ValidateIngressClass`).
pub fn ingress_class_create(obj: &IngressClass) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    let controller = obj.spec.as_ref().map_or("", |s| text(&s.controller));
    let path = Path::new("spec").child("controller");
    if controller.len() > 250 {
        errs.push(Error::too_long(&path, 250));
    }
    if controller.is_empty() {
        errs.push(Error::required(&path, ""));
    } else if !controller.contains('/') {
        let rule = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errs.push(Error::invalid(&path, controller, rule));
    }
    errs
}

/// A changed IngressClass (`ValidateIngressClassUpdate`).
pub fn ingress_class_update(new: &IngressClass, old: &IngressClass) -> ErrorList {
    let mut errs = ingress_class_create(new);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    let controller = |c: &IngressClass| c.spec.as_ref().and_then(|s| s.controller.clone());
    let path = Path::new("spec").child("controller");
    immutable(&mut errs, &path, &controller(new), &controller(old));
    errs
}
