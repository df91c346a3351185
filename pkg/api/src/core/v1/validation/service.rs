//! Services.

use std::collections::BTreeSet;

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{LoadBalancerIngress, Service, ServicePort, ServiceSpec};
use serde_json::{Value, json};

use super::endpoints::non_special_ip;
use crate::check::{
    dns_label, dns_subdomain, invalid_each, is_dual_stack, is_ipv6, legacy_cidr, legacy_ip, list, one_of, port,
    port_or_name, qualified_name, required_one_of, sloppy_ip, text, text_of, to_value,
};
use crate::core::v1::defaults::externally_accessible;
use crate::gates::{Gate, on};
use crate::internal::shown;
use crate::meta;

const TOP: &str = "spec";

/// A new service (`ValidateServiceCreate`). Cluster IPs are
/// allocated before.
pub fn service_create(obj: &Service) -> ErrorList {
    let rule = if on(Gate::RelaxedServiceNames) {
        meta::name_label
    } else {
        meta::name_1035_label
    };
    let mut errs = meta::create(&obj.metadata, true, rule);
    spec(&mut errs, obj, None);
    errs
}

/// A changed service (`ValidateServiceUpdate`).
pub fn service_update(new: &Service, old: &Service) -> ErrorList {
    let empty = ServiceSpec::default();
    let (after, before) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    let mut errs = meta::update(&new.metadata, &old.metadata);
    cluster_ip_changes(&mut errs, after, before);
    family_changes(&mut errs, after, before);
    balancer_class(&mut errs, after, Some(before));
    let (port_after, port_before) = (after.health_check_node_port, before.health_check_node_port);
    if needs_health_check(after) && needs_health_check(before) && port_after != port_before {
        let path = Path::new(TOP).child("healthCheckNodePort");
        errs.push(Error::forbidden(&path, "field is immutable"));
    }
    spec(&mut errs, new, Some(old));
    errs
}

/// A changed service status (`ValidateServiceStatusUpdate`, `ValidateLoadBalancerStatus`).
pub fn service_status_update(new: &Service, old: &Service) -> ErrorList {
    fn ingress(obj: &Service) -> &[LoadBalancerIngress] {
        let balancer = obj.status.as_ref().and_then(|s| s.load_balancer.as_ref());
        balancer.map_or(&[][..], |b| list(&b.ingress))
    }
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let type_ = new.spec.as_ref().map_or("", |s| text(&s.type_));
    let path = Path::new("status").child("loadBalancer").child("ingress");
    if type_ != "LoadBalancer" && !ingress(new).is_empty() {
        let rule = "may only be used when `spec.type` is 'LoadBalancer'";
        errs.push(Error::forbidden(&path, rule));
        return errs;
    }
    let stored: Vec<&str> = ingress(old).iter().map(|i| text(&i.ip)).collect();
    for (index, entry) in ingress(new).iter().enumerate() {
        let path = path.index(index);
        let address = text(&entry.ip);
        if !address.is_empty() {
            legacy_ip(&mut errs, &path.child("ip"), address, &stored);
        }
        let at = path.child("ipMode");
        match (&entry.ip_mode, address.is_empty()) {
            (None, false) => errs.push(Error::required(&at, "must be specified when `ip` is set")),
            (Some(_), true) => {
                let rule = "may not be specified when `ip` is not set";
                errs.push(Error::forbidden(&at, rule));
            }
            (Some(mode), false) => one_of(&mut errs, &at, mode, &["Proxy", "VIP"]),
            (None, true) => {}
        }
        let hostname = text(&entry.hostname);
        if !hostname.is_empty() {
            let at = path.child("hostname");
            dns_subdomain(&mut errs, &at, hostname);
            if sloppy_ip(hostname).is_some() {
                let rule = "must be a DNS name, not an IP address";
                errs.push(Error::invalid(&at, hostname, rule));
            }
        }
    }
    errs
}

fn is_headless(spec: &ServiceSpec) -> bool {
    matches!(list(&spec.cluster_ips), [only] if only == "None")
}

/// `NeedsHealthCheck`.
fn needs_health_check(spec: &ServiceSpec) -> bool {
    text(&spec.type_) == "LoadBalancer" && text(&spec.external_traffic_policy) == "Local"
}

const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// `validateService`: all but the metadata.
fn spec(errs: &mut ErrorList, obj: &Service, old: Option<&Service>) {
    let empty = ServiceSpec::default();
    let spec = obj.spec.as_ref().unwrap_or(&empty);
    let before = old.and_then(|old| old.spec.as_ref());
    let annotation = |name: &str| annotation(obj, name);
    if let (Some(mode), Some(hints)) = (annotation(TOPOLOGY_MODE), annotation(TOPOLOGY_HINTS))
        && mode != hints
    {
        let path = Path::new("metadata").child("annotations").key(TOPOLOGY_MODE);
        let rule = format!("must match annotations[{TOPOLOGY_HINTS}] when both are specified");
        errs.push(Error::invalid(&path, mode, rule));
    }
    let path = Path::new(TOP);
    let type_ = text(&spec.type_);
    let headless = is_headless(spec);
    let ports = list(&spec.ports);
    if ports.is_empty() && !headless && type_ != "ExternalName" {
        errs.push(Error::required(&path.child("ports"), ""));
    }
    match type_ {
        "LoadBalancer" | "NodePort" if headless => {
            let rule = format!("may not be set to 'None' for {type_} services");
            errs.push(Error::invalid(&path.child("clusterIPs").index(0), "None", rule));
        }
        "ExternalName" => external_name(errs, spec, &path),
        _ => {}
    }
    let mut names = BTreeSet::new();
    for (index, p) in ports.iter().enumerate() {
        let path = path.child("ports").index(index);
        service_port(errs, p, ports.len() > 1, &mut names, &path);
    }
    meta::labels(errs, spec.selector.as_ref(), &path.child("selector"));
    affinity(errs, spec, &path);
    cluster_ips(errs, spec, before, &path);
    let stored = stored_list(before.map(|o| &o.external_ips));
    for (index, address) in list(&spec.external_ips).iter().enumerate() {
        let path = path.child("externalIPs").index(index);
        let before = errs.len();
        legacy_ip(errs, &path, address, &stored);
        if errs.len() == before {
            non_special_ip(errs, &path, address);
        }
    }
    required_one_of(
        errs,
        &path.child("type"),
        type_,
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
    );
    duplicate_ports(errs, ports, type_, &path.child("ports"));
    source_ranges(errs, obj, old, &path);
    let allocate = spec.allocate_load_balancer_node_ports;
    match (type_ == "LoadBalancer", allocate) {
        (false, Some(_)) => {
            errs.push(Error::forbidden(
                &path.child("allocateLoadBalancerNodePorts"),
                ONLY_BALANCER,
            ));
        }
        (true, None) => errs.push(Error::required(&Path::new("allocateLoadBalancerNodePorts"), "")),
        _ => {}
    }
    balancer_class(errs, spec, None);
    traffic(errs, spec, &path);
}

fn annotation<'a>(obj: &'a Service, name: &str) -> Option<&'a String> {
    obj.metadata.annotations.as_ref().and_then(|a| a.get(name))
}

fn stored_list(list: Option<&Option<Vec<String>>>) -> Vec<&str> {
    list.into_iter().flatten().flatten().map(String::as_str).collect()
}

/// Networks a load balancer lets in, as a field or as the older annotation, which is looked at when it changes.
fn source_ranges(errs: &mut ErrorList, obj: &Service, old: Option<&Service>, path: &Path) {
    let empty = ServiceSpec::default();
    let spec = obj.spec.as_ref().unwrap_or(&empty);
    let ranges = list(&spec.load_balancer_source_ranges);
    let balancer = text(&spec.type_) == "LoadBalancer";
    if ranges.is_empty() {
        let Some(text) = annotation(obj, SOURCE_RANGES) else {
            return;
        };
        let path = Path::new("metadata").child("annotations").key(SOURCE_RANGES);
        if !balancer {
            errs.push(Error::forbidden(&path, ONLY_BALANCER));
        }
        if old.is_some_and(|old| annotation(old, SOURCE_RANGES) == Some(text)) {
            return;
        }
        for range in text.trim().split(',').filter(|_| !text.trim().is_empty()) {
            legacy_cidr(errs, &path, range.trim(), &[]);
        }
        return;
    }
    let path = path.child("LoadBalancerSourceRanges");
    if !balancer {
        errs.push(Error::forbidden(&path, ONLY_BALANCER));
    }
    let before = old.and_then(|old| old.spec.as_ref());
    let stored = stored_list(before.map(|o| &o.load_balancer_source_ranges));
    let stored: Vec<&str> = stored.into_iter().map(str::trim).collect();
    for (index, range) in ranges.iter().enumerate() {
        legacy_cidr(errs, &path.index(index), range.trim(), &stored);
    }
}

const ONLY_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";

fn external_name(errs: &mut ErrorList, spec: &ServiceSpec, path: &Path) {
    let rule = "may not be set for ExternalName services";
    for (field, set) in [
        ("clusterIPs", !list(&spec.cluster_ips).is_empty()),
        ("ipFamilies", !list(&spec.ip_families).is_empty()),
        ("ipFamilyPolicy", spec.ip_family_policy.is_some()),
    ] {
        if set {
            errs.push(Error::forbidden(&path.child(field), rule));
        }
    }
    let name = text(&spec.external_name);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        errs.push(Error::required(&path.child("externalName"), ""));
    } else {
        dns_subdomain(errs, &path.child("externalName"), name);
    }
}

/// `validateServicePort`.
fn service_port<'a>(
    errs: &mut ErrorList,
    p: &'a ServicePort,
    name_required: bool,
    names: &mut BTreeSet<&'a str>,
    path: &Path,
) {
    let name = text(&p.name);
    if !name.is_empty() {
        dns_label(errs, &path.child("name"), name);
        if !names.insert(name) {
            errs.push(Error::duplicate(&path.child("name"), name));
        }
    } else if name_required {
        errs.push(Error::required(&path.child("name"), ""));
    }
    port(errs, &path.child("port"), p.port);
    required_one_of(
        errs,
        &path.child("protocol"),
        text(&p.protocol),
        &["SCTP", "TCP", "UDP"],
    );
    if let Some(target) = &p.target_port {
        port_or_name(errs, &path.child("targetPort"), target);
    }
    if let Some(protocol) = &p.app_protocol {
        qualified_name(errs, &path.child("appProtocol"), protocol);
    }
}

fn duplicate_ports(errs: &mut ErrorList, ports: &[ServicePort], type_: &str, path: &Path) {
    let node = |p: &ServicePort| p.node_port.filter(|n| *n != 0);
    for (index, _) in ports
        .iter()
        .enumerate()
        .filter(|(_, p)| type_ == "ClusterIP" && node(p).is_some())
    {
        let rule = "may not be used when `type` is 'ClusterIP'";
        errs.push(Error::forbidden(&path.index(index).child("nodePort"), rule));
    }
    let (mut nodes, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for (index, p) in ports.iter().enumerate() {
        if let Some(node) = node(p)
            && !nodes.insert((text(&p.protocol), node))
        {
            errs.push(Error::duplicate(&path.index(index).child("nodePort"), node));
        }
    }
    for (index, p) in ports.iter().enumerate() {
        if !seen.insert((text(&p.protocol), p.port)) {
            // Upstream keeps a port's number and protocol only.
            let key = json!({"protocol": p.protocol, "port": p.port});
            errs.push(Error::duplicate(&path.index(index), shown("core.ServicePort", &key)));
        }
    }
}

/// Longest client affinity, one day in seconds (`MaxClientIPServiceAffinitySeconds`).
const MAX_AFFINITY: i32 = 86400;

fn affinity(errs: &mut ErrorList, spec: &ServiceSpec, path: &Path) {
    let affinity = text(&spec.session_affinity);
    required_one_of(errs, &path.child("sessionAffinity"), affinity, &["ClientIP", "None"]);
    let path = path.child("sessionAffinityConfig");
    match (affinity, &spec.session_affinity_config) {
        ("ClientIP", config) => {
            let rule = "when session affinity type is ClientIP";
            let seconds_path = path.child("clientIP").child("timeoutSeconds");
            match config.as_ref().map(|c| c.client_ip.as_ref().map(|c| c.timeout_seconds)) {
                None => errs.push(Error::required(&path, rule)),
                Some(None) => errs.push(Error::required(&path.child("clientIP"), rule)),
                Some(Some(None)) => errs.push(Error::required(&seconds_path, rule)),
                Some(Some(Some(seconds))) if !(1..=MAX_AFFINITY).contains(&seconds) => {
                    let rule = format!("must be greater than 0 and less than {MAX_AFFINITY}");
                    errs.push(Error::invalid(&seconds_path, seconds, rule));
                }
                _ => {}
            }
        }
        ("None", Some(_)) => {
            errs.push(Error::forbidden(&path, "must not be set when session affinity is None"));
        }
        _ => {}
    }
}

/// `validateServiceExternalTrafficPolicy`, `validateServiceInternalTrafficFieldsValue`,
/// `validateServiceTrafficDistribution`.
fn traffic(errs: &mut ErrorList, spec: &ServiceSpec, path: &Path) {
    let external = text(&spec.external_traffic_policy);
    let at = path.child("externalTrafficPolicy");
    if externally_accessible(spec) {
        required_one_of(errs, &at, external, &["Cluster", "Local"]);
    } else if !external.is_empty() {
        let rule = "may only be set for externally-accessible services";
        errs.push(Error::invalid(&at, BadValue::named(external), rule));
    }
    let health = spec.health_check_node_port.unwrap_or(0);
    let at = path.child("healthCheckNodePort");
    match (needs_health_check(spec), health) {
        (false, 0) => {}
        (false, _) => {
            let rule = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errs.push(Error::invalid(&at, health, rule));
        }
        (true, 0) => errs.push(Error::required(&at, "")),
        (true, _) => port(errs, &at, health),
    }
    let at = path.child("internalTrafficPolicy");
    match &spec.internal_traffic_policy {
        Some(policy) => one_of(errs, &at, policy, &["Cluster", "Local"]),
        None if matches!(text(&spec.type_), "NodePort" | "LoadBalancer" | "ClusterIP") => {
            errs.push(Error::required(&at, ""));
        }
        None => {}
    }
    if let Some(distribution) = &spec.traffic_distribution {
        let known = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        text_of(errs, &path.child("trafficDistribution"), distribution, &known);
    }
}

/// `ValidateServiceClusterIPsRelatedFields`.
fn cluster_ips(errs: &mut ErrorList, spec: &ServiceSpec, old: Option<&ServiceSpec>, path: &Path) {
    if text(&spec.type_) == "ExternalName" {
        return;
    }
    let (first, all) = (text(&spec.cluster_ip), list(&spec.cluster_ips));
    let families = list(&spec.ip_families);
    let at = path.child("clusterIPs");
    let value = to_value(&all);
    match (first.is_empty(), all.first()) {
        (false, None) => errs.push(Error::required(&at, "")),
        (false, Some(own)) if own != first => {
            errs.push(Error::invalid(&at, &value, "first value must match `clusterIP`"));
        }
        (true, Some(_)) => {
            let rule = "must be empty when `clusterIP` is not specified";
            errs.push(Error::invalid(&at, &value, rule));
        }
        _ => {}
    }
    for (index, family) in families.iter().enumerate() {
        let at = path.child("ipFamilies").index(index);
        one_of(errs, &at, family, &["IPv4", "IPv6"]);
        if families[..index].contains(family) {
            errs.push(Error::duplicate(&at, family));
        }
    }
    if let Some(policy) = &spec.ip_family_policy {
        let known = ["PreferDualStack", "RequireDualStack", "SingleStack"];
        one_of(errs, &path.child("ipFamilyPolicy"), policy, &known);
    }
    let stored = stored_list(old.map(|o| &o.cluster_ips));
    let mut bad = false;
    for (index, address) in all.iter().enumerate() {
        let before = errs.len();
        if index == 0 && address == "None" {
            if all.len() > 1 {
                let rule = "'None' must be the first and only value";
                errs.push(Error::invalid(&at, &value, rule));
            }
        } else {
            legacy_ip(errs, &at.index(index), address, &stored);
        }
        bad |= errs.len() > before;
    }
    if all.len() > 2 {
        errs.push(Error::invalid(&at, &value, "may only hold up to 2 values"));
    }
    if bad {
        return;
    }
    let is_six = |a: &String| is_ipv6(a);
    if all.len() > 1 && !is_dual_stack(all.iter().map(String::as_str)) {
        let rule = "may specify no more than one IP for each IP family";
        errs.push(Error::invalid(&at, &value, rule));
    }
    if is_headless(spec) {
        return;
    }
    for (index, (address, family)) in all.iter().zip(families).enumerate() {
        if matches!(family.as_str(), "IPv4" | "IPv6") && (family == "IPv6") != is_six(address) {
            let rule = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            errs.push(Error::invalid(&at.index(index), address, rule));
        }
    }
}

/// `validateUpgradeDowngradeClusterIPs`: the first address stays.
fn cluster_ip_changes(errs: &mut ErrorList, new: &ServiceSpec, old: &ServiceSpec) {
    let external = |s: &ServiceSpec| text(&s.type_) == "ExternalName";
    if external(new) || external(old) || (is_headless(new) && is_headless(old)) {
        return;
    }
    let (after, before) = (list(&new.cluster_ips), list(&old.cluster_ips));
    let path = Path::new(TOP).child("clusterIPs");
    let value = to_value(&new.cluster_ips);
    if !before.is_empty() && after.is_empty() {
        errs.push(Error::invalid(
            &path.index(0),
            &value,
            "primary clusterIP can not be unset",
        ));
    }
    let compared = if after.len() == before.len() { before.len() } else { 1 };
    for (index, (new, old)) in after.iter().zip(before).take(compared).enumerate() {
        if new != old {
            errs.push(Error::invalid(&path.index(index), &value, "may not change once set"));
        }
    }
    if before.len() == 2 && after.len() == 1 && text(&new.ip_family_policy) != "SingleStack" {
        let path = Path::new(TOP).child("ipFamilyPolicy");
        let rule = "must be set to 'SingleStack' when releasing the secondary clusterIP";
        errs.push(Error::invalid(&path, &to_value(&new.ip_family_policy), rule));
    }
}

/// A list as Go shows it, where an absent one is null.
fn listed(items: &[String]) -> Value {
    if items.is_empty() {
        Value::Null
    } else {
        to_value(&items)
    }
}

/// `validateUpgradeDowngradeIPFamilies`: the first family stays.
fn family_changes(errs: &mut ErrorList, new: &ServiceSpec, old: &ServiceSpec) {
    let external = |s: &ServiceSpec| text(&s.type_) == "ExternalName";
    if external(new) || external(old) || is_headless(new) || is_headless(old) {
        return;
    }
    let (after, before) = (list(&new.ip_families), list(&old.ip_families));
    let path = Path::new(TOP).child("ipFamilies");
    let addresses = list(&new.cluster_ips);
    if after.len() < before.len() && addresses.is_empty() {
        let rule = "primary ipFamily can not be unset";
        errs.push(Error::invalid(&path.index(0), &listed(after), rule));
    }
    let same_length = after.len() == before.len();
    let compared = if same_length { before.len() } else { 1 };
    for (new, old) in after.iter().zip(before).take(compared) {
        if new != old {
            let rule = "may not change once set";
            // Upstream shows the addresses when families come or go.
            let value = listed(if same_length { after } else { addresses });
            errs.push(Error::invalid(&path.index(0), &value, rule));
        }
    }
    if before.len() == 2 && after.len() == 1 && text(&new.ip_family_policy) != "SingleStack" {
        let path = Path::new(TOP).child("ipFamilyPolicy");
        let rule = "must be set to 'SingleStack' when releasing the secondary ipFamily";
        errs.push(Error::invalid(&path, &to_value(&new.ip_family_policy), rule));
    }
}

/// `validateLoadBalancerClassField`.
fn balancer_class(errs: &mut ErrorList, spec: &ServiceSpec, old: Option<&ServiceSpec>) {
    let path = Path::new(TOP).child("loadBalancerClass");
    let balancer = |s: &ServiceSpec| text(&s.type_) == "LoadBalancer";
    if let Some(old) = old.filter(|old| balancer(old) && balancer(spec))
        && old.load_balancer_class != spec.load_balancer_class
    {
        let value = spec.load_balancer_class.as_deref().map(BadValue::named);
        errs.push(Error::invalid(&path, value, "may not change once set"));
    }
    match &spec.load_balancer_class {
        Some(class) if balancer(spec) => {
            invalid_each(errs, &path, class, apimachinery::validation::is_qualified_name(class));
        }
        Some(_) => errs.push(Error::forbidden(&path, ONLY_BALANCER)),
        None => {}
    }
}
