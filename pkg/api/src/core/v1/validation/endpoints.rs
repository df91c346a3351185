//! Endpoints.

use std::net::IpAddr;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, Endpoints};

use crate::check::{
    dns_label, equal, invalid_each, legacy_ip, list, port, qualified_name, required_one_of, sloppy_ip, text,
};
use crate::meta;

/// New endpoints (`ValidateEndpoints`).
pub fn endpoints_create(obj: &Endpoints) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    subsets(&mut errs, obj);
    errs
}

/// `validateEndpointSubsets`.
fn subsets(errs: &mut ErrorList, obj: &Endpoints) {
    for (index, subset) in list(&obj.subsets).iter().enumerate() {
        let path = Path::new("subsets").index(index);
        let (ready, not_ready) = (list(&subset.addresses), list(&subset.not_ready_addresses));
        if ready.is_empty() && not_ready.is_empty() {
            let rule = "must specify `addresses` or `notReadyAddresses`";
            errs.push(Error::required(&path, rule));
        }
        for (field, addresses) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
            for (index, a) in addresses.iter().enumerate() {
                address(errs, a, &path.child(field).index(index));
            }
        }
        let ports = list(&subset.ports);
        for (index, p) in ports.iter().enumerate() {
            endpoint_port(errs, p, ports.len() > 1, &path.child("ports").index(index));
        }
    }
}

/// Changed endpoints (`ValidateEndpointsUpdate`): subsets that stay are not looked at again.
pub fn endpoints_update(new: &Endpoints, old: &Endpoints) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    errs.extend(meta::create(&new.metadata, true, meta::name_subdomain));
    if !equal(&new.subsets, &old.subsets) {
        subsets(&mut errs, new);
    }
    errs
}

fn address(errs: &mut ErrorList, a: &EndpointAddress, path: &Path) {
    legacy_ip(errs, &path.child("ip"), &a.ip, &[]);
    let hostname = text(&a.hostname);
    if !hostname.is_empty() {
        dns_label(errs, &path.child("hostname"), hostname);
    }
    if let Some(node) = &a.node_name {
        invalid_each(errs, &path.child("nodeName"), node, meta::name_subdomain(node, false));
    }
    non_special_ip(errs, &path.child("ip"), &a.ip);
}

fn endpoint_port(errs: &mut ErrorList, p: &EndpointPort, name_required: bool, path: &Path) {
    let name = text(&p.name);
    if !name.is_empty() {
        dns_label(errs, &path.child("name"), name);
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
    if let Some(protocol) = &p.app_protocol {
        qualified_name(errs, &path.child("appProtocol"), protocol);
    }
}

/// Addresses that name this host or link cannot be endpoints (`ValidateNonSpecialIP`).
pub fn non_special_ip(errs: &mut ErrorList, path: &Path, address: &str) {
    let Some(parsed) = sloppy_ip(address).map(|ip| ip.to_canonical()) else {
        errs.push(Error::invalid(path, address, "must be a valid IP address"));
        return;
    };
    let (link_local, link_multicast) = match parsed {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    for (bad, rule) in [
        (parsed.is_unspecified(), format!("may not be unspecified ({address})")),
        (
            parsed.is_loopback(),
            "may not be in the loopback range (127.0.0.0/8, ::1/128)".into(),
        ),
        (
            link_local,
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)".into(),
        ),
        (
            link_multicast,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".into(),
        ),
    ] {
        if bad {
            errs.push(Error::invalid(path, address, rule));
        }
    }
}
