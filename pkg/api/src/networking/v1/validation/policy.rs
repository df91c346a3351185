//! Network policies.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::{is_valid_port, is_valid_port_name};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::check::{invalid_each, legacy_cidr, list, one_of, shown, sloppy_cidr};
use crate::meta;

/// What the stored object is spared (`NetworkPolicyValidationOptions`).
#[derive(Default)]
struct Options<'a> {
    any_label_values: bool,
    /// Networks that may stay as they are.
    cidrs: Vec<&'a str>,
}

/// A new NetworkPolicy (`ValidateNetworkPolicy`).
pub fn network_policy_create(obj: &NetworkPolicy) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    spec(&mut errs, obj, &Options::default());
    errs
}

/// A changed NetworkPolicy (`ValidateNetworkPolicyUpdate`).
pub fn network_policy_update(new: &NetworkPolicy, old: &NetworkPolicy) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let mut options = Options::default();
    if let Some(before) = &old.spec {
        let mut found = vec![];
        meta::label_selector(&mut found, before.pod_selector.as_ref(), &Path::root());
        options.any_label_values = !found.is_empty();
        let from = list(&before.ingress).iter().flat_map(|r| list(&r.from));
        let to = list(&before.egress).iter().flat_map(|r| list(&r.to));
        for block in from.chain(to).filter_map(|p| p.ip_block.as_ref()) {
            options.cidrs.push(&block.cidr);
            options.cidrs.extend(list(&block.except).iter().map(String::as_str));
        }
    }
    spec(&mut errs, new, &options);
    errs
}

/// `ValidateNetworkPolicySpec`.
fn spec(errs: &mut ErrorList, obj: &NetworkPolicy, options: &Options<'_>) {
    let (empty, path) = (NetworkPolicySpec::default(), Path::new("spec"));
    let spec = obj.spec.as_ref().unwrap_or(&empty);
    selector(errs, spec.pod_selector.as_ref(), options, &path.child("podSelector"));
    for (index, rule) in list(&spec.ingress).iter().enumerate() {
        let path = path.child("ingress").index(index);
        ports(errs, list(&rule.ports), &path.child("ports"));
        peers(errs, list(&rule.from), options, &path.child("from"));
    }
    for (index, rule) in list(&spec.egress).iter().enumerate() {
        let path = path.child("egress").index(index);
        ports(errs, list(&rule.ports), &path.child("ports"));
        peers(errs, list(&rule.to), options, &path.child("to"));
    }
    let types = list(&spec.policy_types);
    let path = path.child("policyTypes");
    if types.len() > 2 {
        let rule = "may not specify more than two policyTypes";
        errs.push(Error::invalid(&path, shown(&types), rule));
        return;
    }
    for (index, type_) in types.iter().enumerate() {
        one_of(errs, &path.index(index), type_, &["Ingress", "Egress"]);
    }
}

fn selector(errs: &mut ErrorList, selector: Option<&LabelSelector>, options: &Options<'_>, path: &Path) {
    meta::stored_label_selector(errs, selector, path, options.any_label_values);
}

/// `ValidateNetworkPolicyPort`.
fn ports(errs: &mut ErrorList, ports: &[NetworkPolicyPort], path: &Path) {
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        if let Some(protocol) = &port.protocol {
            one_of(errs, &path.child("protocol"), protocol, &["TCP", "UDP", "SCTP"]);
        }
        let (at, end_at) = (path.child("port"), path.child("endPort"));
        let mut number = |path: &Path, value: i32| {
            for message in is_valid_port(i64::from(value)) {
                errs.push(Error::invalid(path, value, message));
            }
        };
        match (&port.port, port.end_port) {
            (Some(IntOrString::Int(first)), end) => {
                number(&at, *first);
                if let Some(end) = end {
                    if end < *first {
                        let rule = "must be greater than or equal to `port`";
                        errs.push(Error::invalid(&end_at, *first, rule));
                    }
                    for message in is_valid_port(i64::from(end)) {
                        errs.push(Error::invalid(&end_at, end, message));
                    }
                }
            }
            (Some(IntOrString::String(name)), end) => {
                if let Some(end) = end {
                    let rule = "may not be specified when `port` is non-numeric";
                    errs.push(Error::invalid(&end_at, end, rule));
                }
                invalid_each(errs, &at, name, is_valid_port_name(name));
            }
            (None, Some(end)) => {
                let rule = "may not be specified when `port` is not specified";
                errs.push(Error::invalid(&end_at, end, rule));
            }
            (None, None) => {}
        }
    }
}

/// `ValidateNetworkPolicyPeer`.
fn peers(errs: &mut ErrorList, peers: &[NetworkPolicyPeer], options: &Options<'_>, path: &Path) {
    for (index, peer) in peers.iter().enumerate() {
        let path = path.index(index);
        let (pods, namespaces) = (peer.pod_selector.as_ref(), peer.namespace_selector.as_ref());
        selector(errs, pods, options, &path.child("podSelector"));
        selector(errs, namespaces, options, &path.child("namespaceSelector"));
        let others = pods.is_some() || namespaces.is_some();
        if let Some(block) = &peer.ip_block {
            ip_block(errs, block, options, &path.child("ipBlock"));
            if others {
                let rule = "may not specify both ipBlock and another peer";
                errs.push(Error::forbidden(&path, rule));
            }
        } else if !others {
            errs.push(Error::required(&path, "must specify a peer"));
        }
    }
}

/// `ValidateIPBlock`.
fn ip_block(errs: &mut ErrorList, block: &IPBlock, options: &Options<'_>, path: &Path) {
    let at = path.child("cidr");
    if block.cidr.is_empty() {
        errs.push(Error::required(&at, ""));
        return;
    }
    legacy_cidr(errs, &at, &block.cidr, &options.cidrs);
    let Some(whole) = sloppy_cidr(&block.cidr) else { return };
    for (index, except) in list(&block.except).iter().enumerate() {
        let path = path.child("except").index(index);
        legacy_cidr(errs, &path, except, &options.cidrs);
        let Some(part) = sloppy_cidr(except) else { continue };
        if !contains(whole, part.0) || whole.1 >= part.1 {
            errs.push(Error::invalid(&path, except, "must be a strict subset of `cidr`"));
        }
    }
}

/// Whether an address is of a network.
fn contains((network, bits): (std::net::IpAddr, u8), ip: std::net::IpAddr) -> bool {
    use std::net::IpAddr::{V4, V6};
    let bits = u32::from(bits);
    match (network, ip) {
        (V4(a), V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros() >= bits,
        (V6(a), V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros() >= bits,
        _ => false,
    }
}
