//! The fields of a Service that depend on allocation: which it needs, which carry over, families.
//!
//! Upstream: `pkg/registry/core/service/storage/{alloc,storage}.go` (`initIPFamilyFields`,
//! `patchAllocatedValues`, `normalizeClusterIPs`), `pkg/registry/core/service/strategy.go`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use apimachinery::field::{Error, ErrorList, Path};
use serde_json::{Value, json};

use crate::objects::{items, text};

/// `clusterIP: None`.
pub(crate) fn is_headless(service: &Value) -> bool {
    text(service, "/spec/clusterIP") == "None"
}

/// Whether the Service gets an address (all but ExternalName and headless ones).
pub(crate) fn needs_cluster_ip(service: &Value) -> bool {
    matches!(kind(service), "ClusterIP" | "NodePort" | "LoadBalancer") && !is_headless(service)
}

/// Whether the Service's ports get node ports.
pub(crate) fn needs_node_ports(service: &Value) -> bool {
    match kind(service) {
        "NodePort" => true,
        "LoadBalancer" => {
            service
                .pointer("/spec/allocateLoadBalancerNodePorts")
                .and_then(Value::as_bool)
                != Some(false)
        }
        _ => false,
    }
}

/// Whether the Service gets a health check port.
pub(crate) fn needs_health_check_port(service: &Value) -> bool {
    kind(service) == "LoadBalancer" && text(service, "/spec/externalTrafficPolicy") == "Local"
}

fn kind(service: &Value) -> &str {
    match text(service, "/spec/type") {
        "" => "ClusterIP",
        t => t,
    }
}

/// Addresses a Service holds.
pub(crate) fn cluster_ips(service: &Value) -> Vec<IpAddr> {
    if kind(service) == "ExternalName" {
        return vec![];
    }
    let list = items(service, "/spec/clusterIPs").iter().filter_map(Value::as_str);
    let all: Vec<IpAddr> = list.filter_map(|ip| ip.parse().ok()).collect();
    if all.is_empty() {
        text(service, "/spec/clusterIP").parse().into_iter().collect()
    } else {
        all
    }
}

/// Node ports a Service holds, with the health check port.
pub(crate) fn node_ports(service: &Value) -> BTreeSet<u16> {
    let of = |v: Option<&Value>| {
        v.and_then(Value::as_u64)
            .and_then(|p| u16::try_from(p).ok())
            .filter(|p| *p > 0)
    };
    items(service, "/spec/ports")
        .iter()
        .filter_map(|p| of(p.get("nodePort")))
        .chain(of(service.pointer("/spec/healthCheckNodePort")))
        .collect()
}

/// What a client may leave out of an update: addresses and ports that still apply.
pub(crate) fn carry_over(new: &mut Value, old: &Value) {
    if needs_cluster_ip(old) && needs_cluster_ip(new) {
        if text(new, "/spec/clusterIP").is_empty() {
            new["spec"]["clusterIP"] = old["spec"]["clusterIP"].clone();
        }
        if items(new, "/spec/clusterIPs").is_empty() && new["spec"]["clusterIP"] == old["spec"]["clusterIP"] {
            new["spec"]["clusterIPs"] = old["spec"]["clusterIPs"].clone();
        }
    }
    if needs_node_ports(old) && needs_node_ports(new) {
        let known: Vec<(Value, Value, Value)> = items(old, "/spec/ports")
            .iter()
            .map(|p| (protocol(p), p["port"].clone(), p["nodePort"].clone()))
            .collect();
        for p in new["spec"]
            .get_mut("ports")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if p["nodePort"].as_u64().unwrap_or(0) == 0
                && let Some((.., node)) = known
                    .iter()
                    .find(|(proto, port, _)| *proto == protocol(p) && *port == p["port"])
                && !node.is_null()
            {
                p["nodePort"] = node.clone();
            }
        }
    }
    if needs_health_check_port(old)
        && needs_health_check_port(new)
        && new["spec"]["healthCheckNodePort"].as_u64().unwrap_or(0) == 0
        && let Some(p) = old["spec"].get("healthCheckNodePort")
    {
        new["spec"]["healthCheckNodePort"] = p.clone();
    }
    drop_stale(new, old);
}

/// Takes out what the new type has no use for, unless the client changed it too: then validation
/// speaks (upstream `dropTypeDependentFields`).
fn drop_stale(new: &mut Value, old: &Value) {
    let same = |new: &Value, field: &str| new["spec"].get(field) == old["spec"].get(field);
    if kind(old) != "ExternalName" && kind(new) == "ExternalName" {
        if same(new, "clusterIP") && same(new, "clusterIPs") {
            remove(&mut new["spec"], "clusterIP");
            remove(&mut new["spec"], "clusterIPs");
        }
        for field in ["ipFamilies", "ipFamilyPolicy"] {
            if same(new, field) {
                remove(&mut new["spec"], field);
            }
        }
    }
    // A load balancer keeps the node ports it has, even when it shall get no new ones.
    let with_node_ports = |service: &Value| matches!(kind(service), "NodePort" | "LoadBalancer");
    if with_node_ports(old) && !with_node_ports(new) && same_node_ports(new, old) {
        let ports = new["spec"].get_mut("ports").and_then(Value::as_array_mut);
        ports.into_iter().flatten().for_each(|port| remove(port, "nodePort"));
    }
    let balanced = |service: &Value| kind(service) == "LoadBalancer";
    type Applies = fn(&Value) -> bool;
    let rules: [(&str, Applies); 4] = [
        ("healthCheckNodePort", needs_health_check_port),
        ("allocateLoadBalancerNodePorts", balanced),
        ("loadBalancerClass", balanced),
        ("externalTrafficPolicy", externally_accessible),
    ];
    for (field, applies) in rules {
        if applies(old) && !applies(new) && same(new, field) {
            remove(&mut new["spec"], field);
        }
    }
}

/// `ExternallyAccessible`.
fn externally_accessible(service: &Value) -> bool {
    match kind(service) {
        "NodePort" | "LoadBalancer" => true,
        "ClusterIP" => !items(service, "/spec/externalIPs").is_empty(),
        _ => false,
    }
}

/// Whether `new` has no node port that `old` lacks.
fn same_node_ports(new: &Value, old: &Value) -> bool {
    let ports = |service| -> BTreeSet<u64> {
        let list: &[Value] = items(service, "/spec/ports");
        list.iter().filter_map(|p| p["nodePort"].as_u64()).collect()
    };
    ports(new).is_subset(&ports(old))
}

fn protocol(port: &Value) -> Value {
    match port.get("protocol") {
        Some(p) if !p.is_null() => p.clone(),
        _ => json!("TCP"),
    }
}

fn remove(obj: &mut Value, field: &str) {
    if let Some(m) = obj.as_object_mut() {
        m.remove(field);
    }
}

/// Fills ipFamilies and ipFamilyPolicy, and makes clusterIP and clusterIPs agree.
pub(crate) fn settle_families(new: &mut Value, old: Option<&Value>, cluster: &[&'static str]) -> ErrorList {
    let mut errors = ErrorList::new();
    if kind(new) == "ExternalName" || cluster.is_empty() {
        return errors;
    }
    let ip = text(new, "/spec/clusterIP").to_owned();
    let ips = items(new, "/spec/clusterIPs");
    let changed = old.is_some_and(|o| {
        o["spec"]["clusterIP"] != new["spec"]["clusterIP"] && o["spec"]["clusterIPs"] == new["spec"]["clusterIPs"]
    });
    if !ip.is_empty() && (ips.is_empty() || changed) {
        new["spec"]["clusterIPs"] = json!([ip]);
    }
    let spec = Path::new("spec");
    let policy = text(new, "/spec/ipFamilyPolicy").to_owned();
    let given: Vec<String> = items(new, "/spec/ipFamilies")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    for (i, f) in given.iter().enumerate() {
        // Headless Services without selector may name any family.
        if !cluster.contains(&f.as_str()) && !selectorless(new) {
            errors.push(Error::invalid(
                &spec.child("ipFamilies").index(i),
                f.as_str(),
                "not configured on this cluster",
            ));
        }
    }
    if policy == "RequireDualStack" && cluster.len() < 2 && !selectorless(new) {
        errors.push(Error::invalid(
            &spec.child("ipFamilyPolicy"),
            policy.as_str(),
            "this cluster is not configured for dual-stack services",
        ));
    }
    if !errors.is_empty() {
        return errors;
    }
    let addresses = cluster_ips(new);
    let policy = match policy.as_str() {
        "" if selectorless(new) && given.is_empty() => "RequireDualStack",
        "" if given.len() > 1 || addresses.len() > 1 => "RequireDualStack",
        "" => "SingleStack",
        p => p,
    }
    .to_owned();
    let mut families: Vec<String> = if given.is_empty() {
        addresses
            .iter()
            .map(|ip| super::cluster_ips::family(*ip).to_owned())
            .collect()
    } else {
        given
    };
    if families.is_empty() {
        families.push(cluster[0].to_owned());
    }
    let wants_two =
        policy == "RequireDualStack" || (policy == "PreferDualStack" && (cluster.len() > 1 || selectorless(new)));
    if wants_two && families.len() == 1 {
        families.push(if families[0] == "IPv4" { "IPv6" } else { "IPv4" }.to_owned());
    }
    if policy == "SingleStack" {
        families.truncate(1);
        if let Some(l) = new["spec"].get_mut("clusterIPs").and_then(Value::as_array_mut) {
            l.truncate(1);
        }
    }
    new["spec"]["ipFamilyPolicy"] = json!(policy);
    new["spec"]["ipFamilies"] = json!(families);
    errors
}

/// Headless and without selector: endpoints are made by hand, in any family.
fn selectorless(service: &Value) -> bool {
    is_headless(service)
        && service
            .pointer("/spec/selector")
            .and_then(Value::as_object)
            .is_none_or(serde_json::Map::is_empty)
}
