//! The fields of a Service that depend on allocation: which it needs, which carry over, families.
//!
//! Upstream: `pkg/registry/core/service/storage/{alloc,storage}.go` (`initIPFamilyFields`,
//! `patchAllocatedValues`, `normalizeClusterIPs`), `pkg/registry/core/service/strategy.go`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use apimachinery::field::{BadValue, Error, ErrorList, Path};
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

/// Whether the Service's ports may have node ports.
pub(crate) fn may_have_node_ports(service: &Value) -> bool {
    matches!(kind(service), "NodePort" | "LoadBalancer")
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

/// What a client may leave out of an update: addresses and ports that still apply (upstream
/// `dropTypeDependentFields`, then `patchAllocatedValues` and `normalizeClusterIPs`).
pub(crate) fn carry_over(new: &mut Value, old: &Value) {
    drop_stale(new, old);
    if kind(old) != "ExternalName" && kind(new) != "ExternalName" {
        if text(new, "/spec/clusterIP").is_empty() && !text(old, "/spec/clusterIP").is_empty() {
            new["spec"]["clusterIP"] = old["spec"]["clusterIP"].clone();
        }
        if items(new, "/spec/clusterIPs").is_empty() && !items(old, "/spec/clusterIPs").is_empty() {
            new["spec"]["clusterIPs"] = old["spec"]["clusterIPs"].clone();
        }
    }
    if needs_node_ports(old) && needs_node_ports(new) {
        carry_node_ports(new, old);
    }
    if needs_health_check_port(old)
        && needs_health_check_port(new)
        && new["spec"]["healthCheckNodePort"].as_u64().unwrap_or(0) == 0
        && let Some(p) = old["spec"].get("healthCheckNodePort")
    {
        new["spec"]["healthCheckNodePort"] = p.clone();
    }
}

/// Ports are known by their names: everything else of them may change. A node port that the new
/// Service gives to another port is not given twice.
fn carry_node_ports(new: &mut Value, old: &Value) {
    let port = |p: &Value| p["nodePort"].as_u64().filter(|n| *n > 0);
    let used = |service: &Value| -> BTreeSet<u64> { items(service, "/spec/ports").iter().filter_map(port).collect() };
    let taken: BTreeSet<u64> = used(old).intersection(&used(new)).copied().collect();
    let known: Vec<(String, u64)> = items(old, "/spec/ports")
        .iter()
        .filter_map(|p| Some((text(p, "/name").to_owned(), port(p)?)))
        .collect();
    let ports = new["spec"].get_mut("ports").and_then(Value::as_array_mut);
    for p in ports.into_iter().flatten().filter(|p| port(p).is_none()) {
        let before = known.iter().rfind(|(name, _)| name == text(p, "/name"));
        if let Some((_, number)) = before.filter(|(_, n)| !taken.contains(n)) {
            p["nodePort"] = json!(number);
        }
    }
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
    if may_have_node_ports(old) && !may_have_node_ports(new) && same_node_ports(new, old) {
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

fn remove(obj: &mut Value, field: &str) {
    if let Some(m) = obj.as_object_mut() {
        m.remove(field);
    }
}

/// Makes clusterIP and clusterIPs agree, as far as one was written for both (upstream
/// `normalizeClusterIPs`).
fn normalize(new: &mut Value, old: Option<&Value>) {
    let ip = text(new, "/spec/clusterIP").to_owned();
    let Some(old) = old else {
        if !ip.is_empty() && items(new, "/spec/clusterIPs").is_empty() {
            new["spec"]["clusterIPs"] = json!([ip]);
        }
        return;
    };
    let before = text(old, "/spec/clusterIP");
    if ip == before || items(new, "/spec/clusterIPs") != items(old, "/spec/clusterIPs") {
        return;
    }
    if ip.is_empty() {
        remove(&mut new["spec"], "clusterIPs");
    } else {
        new["spec"]["clusterIPs"] = json!([ip]);
    }
}

/// What [`settle_families`] found.
pub(crate) enum Families {
    /// The families are known: addresses can be allocated.
    Settled,
    /// There is nothing to allocate from, or the fields are too wrong: validation speaks.
    LeftAlone,
    /// Wrong in a way only the cluster's families can tell.
    Wrong(ErrorList),
}

/// Fills ipFamilies and ipFamilyPolicy (upstream `initIPFamilyFields`). `cluster`: the families of the
/// cluster, the primary first.
pub(crate) fn settle_families(new: &mut Value, old: Option<&Value>, cluster: &[&'static str]) -> Families {
    normalize(new, old);
    if kind(new) == "ExternalName" || cluster.is_empty() {
        return Families::LeftAlone;
    }
    if old.is_some_and(|old| stays_as_dual_as_it_is(new, old)) {
        return Families::Settled;
    }
    let headless_by_hand = selectorless(new);
    if text(new, "/spec/ipFamilyPolicy").is_empty() {
        let before = old.map_or("", |o| text(o, "/spec/ipFamilyPolicy"));
        let policy = match before {
            "" if headless_by_hand => DUAL,
            "" => SINGLE,
            before => before,
        };
        new["spec"]["ipFamilyPolicy"] = json!(policy);
    }
    if !related_fields_agree(new) {
        return Families::LeftAlone;
    }
    if let Some(old) = old.filter(|_| text(new, "/spec/ipFamilyPolicy") == SINGLE) {
        // To want a single stack is enough to give the second address and family up.
        for field in ["clusterIPs", "ipFamilies"] {
            if new["spec"].get(field) == old["spec"].get(field)
                && let Some(list) = new["spec"].get_mut(field).and_then(Value::as_array_mut)
            {
                list.truncate(1);
            }
        }
    }
    let mut errors = policy_errors(new, old);
    infer_families(new, cluster, &mut errors);
    if !errors.is_empty() {
        return Families::Wrong(errors);
    }
    let mut families = strings(new, "/spec/ipFamilies");
    let single = text(new, "/spec/ipFamilyPolicy") == SINGLE;
    if !headless_by_hand {
        // Endpoints made by hand may be of any family; all others need one the cluster has.
        errors = configured_errors(new, &families, cluster);
        if !errors.is_empty() {
            return Families::Wrong(errors);
        }
    }
    if families.is_empty() {
        families.push(cluster[0].to_owned());
    }
    if !single && families.len() == 1 && (headless_by_hand || cluster.len() == 2) {
        families.push(if families[0] == "IPv4" { "IPv6" } else { "IPv4" }.to_owned());
    }
    new["spec"]["ipFamilies"] = json!(families);
    Families::Settled
}

const SINGLE: &str = "SingleStack";
const PREFER: &str = "PreferDualStack";
const DUAL: &str = "RequireDualStack";

fn strings(obj: &Value, path: &str) -> Vec<String> {
    items(obj, path)
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// A Service that prefers two stacks changes with what its owner writes, not with the cluster
/// (upstream `isMatchingPreferDualStackClusterIPFields`).
fn stays_as_dual_as_it_is(new: &Value, old: &Value) -> bool {
    let policy = |service| text(service, "/spec/ipFamilyPolicy");
    kind(new) == kind(old)
        && policy(new) == PREFER
        && matches!(policy(old), "" | PREFER)
        && items(new, "/spec/clusterIPs") == items(old, "/spec/clusterIPs")
        && items(new, "/spec/ipFamilies") == items(old, "/spec/ipFamilies")
}

/// Whether addresses and families are well-formed and fit together: all that follows relies on it, and
/// validation has the words for what is wrong (upstream `ValidateServiceClusterIPsRelatedFields`).
fn related_fields_agree(service: &Value) -> bool {
    let (ips, families) = (
        strings(service, "/spec/clusterIPs"),
        strings(service, "/spec/ipFamilies"),
    );
    let first = ips.first().map_or("", String::as_str);
    if ips.len() > 2 || families.len() > 2 || text(service, "/spec/clusterIP") != first {
        return false;
    }
    if !matches!(text(service, "/spec/ipFamilyPolicy"), SINGLE | PREFER | DUAL) {
        return false;
    }
    if families.iter().any(|f| !matches!(f.as_str(), "IPv4" | "IPv6"))
        || families.len() == 2 && families[0] == families[1]
    {
        return false;
    }
    if first == "None" {
        return ips.len() == 1;
    }
    let known: Option<Vec<&str>> = ips
        .iter()
        .filter(|ip| !ip.is_empty())
        .map(|ip| ip.parse().ok().map(super::cluster_ips::family))
        .collect();
    known.is_some_and(|known| {
        (known.len() < 2 || known[0] != known[1]) && known.iter().zip(&families).all(|(have, want)| have == want)
    })
}

fn policy_errors(new: &Value, old: Option<&Value>) -> ErrorList {
    let path = Path::new("spec").child("ipFamilyPolicy");
    let policy = text(new, "/spec/ipFamilyPolicy");
    let mut errors = ErrorList::new();
    let mut wrong = |why: &str| errors.push(Error::invalid(&path, policy, why));
    let count = |service: &Value, field: &str| items(service, &format!("/spec/{field}")).len();
    if policy == SINGLE {
        if count(new, "clusterIPs") == 2 {
            wrong("must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified");
        }
        if count(new, "ipFamilies") == 2 {
            wrong("must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified");
        }
    } else if let Some(old) = old {
        let reduced = |field: &str| (1..count(old, field)).contains(&count(new, field));
        if reduced("clusterIPs") {
            wrong("must be 'SingleStack' to release the secondary cluster IP");
        }
        if reduced("ipFamilies") {
            wrong("must be 'SingleStack' to release the secondary IP family");
        }
    }
    errors
}

/// Families that only the addresses tell.
fn infer_families(service: &mut Value, cluster: &[&'static str], errors: &mut ErrorList) {
    let ips = strings(service, "/spec/clusterIPs");
    let mut families = strings(service, "/spec/ipFamilies");
    let given = families.len();
    for (i, ip) in ips.iter().enumerate().skip(given) {
        let Ok(ip) = ip.parse::<IpAddr>() else { break };
        let family = super::cluster_ips::family(ip);
        if cluster.contains(&family) {
            families.push(family.to_owned());
        } else {
            errors.push(Error::invalid(
                &Path::new("spec").child("clusterIPs").index(i),
                BadValue::raw(json!(ips)),
                format!("{family} is not configured on this cluster"),
            ));
        }
    }
    if families.len() > given {
        service["spec"]["ipFamilies"] = json!(families);
    }
}

fn configured_errors(service: &Value, families: &[String], cluster: &[&'static str]) -> ErrorList {
    let spec = Path::new("spec");
    let mut errors = ErrorList::new();
    if text(service, "/spec/ipFamilyPolicy") == DUAL && cluster.len() < 2 {
        let why = "this cluster is not configured for dual-stack services";
        errors.push(Error::invalid(&spec.child("ipFamilyPolicy"), DUAL, why));
    }
    for (i, family) in families
        .iter()
        .enumerate()
        .filter(|(_, f)| !cluster.contains(&f.as_str()))
    {
        let path = spec.child("ipFamilies").index(i);
        errors.push(Error::invalid(&path, family.as_str(), "not configured on this cluster"));
    }
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
