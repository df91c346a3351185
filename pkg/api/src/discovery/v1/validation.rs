//! Validation of discovery.k8s.io/v1 (pkg/apis/discovery/validation/validation.go).

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};

use crate::check::{
    IMMUTABLE, dns_label, dns_subdomain, invalid_each, ip, list, one_of, port, qualified_name, required_one_of, text,
};
use crate::core::v1::validation::non_special_ip;
use crate::meta;

const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20000;

/// A new EndpointSlice (`ValidateEndpointSliceCreate`).
pub fn endpoint_slice_create(obj: &EndpointSlice) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let type_ = obj.address_type.as_str();
    required_one_of(&mut errs, &Path::new("addressType"), type_, &["FQDN", "IPv4", "IPv6"]);
    endpoints(&mut errs, list(&obj.endpoints), type_);
    ports(&mut errs, list(&obj.ports));
    errs
}

/// A changed EndpointSlice (`ValidateEndpointSliceUpdate`).
pub fn endpoint_slice_update(new: &EndpointSlice, old: &EndpointSlice) -> ErrorList {
    let mut errs = endpoint_slice_create(new);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    if new.address_type != old.address_type {
        errs.push(Error::invalid(&Path::new("addressType"), &new.address_type, IMMUTABLE));
    }
    errs
}

fn endpoints(errs: &mut ErrorList, endpoints: &[Endpoint], type_: &str) {
    let path = Path::new("endpoints");
    if endpoints.len() > MAX_ENDPOINTS {
        errs.push(Error::too_many(&path, endpoints.len(), MAX_ENDPOINTS));
        return;
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        let path = path.index(index);
        let at = path.child("addresses");
        if endpoint.addresses.is_empty() {
            errs.push(Error::required(&at, "must contain at least 1 address"));
        } else if endpoint.addresses.len() > MAX_ADDRESSES {
            errs.push(Error::too_many(&at, endpoint.addresses.len(), MAX_ADDRESSES));
        }
        for (index, address) in endpoint.addresses.iter().enumerate() {
            self::address(errs, address, type_, &at.index(index));
        }
        if let Some(node) = &endpoint.node_name {
            invalid_each(errs, &path.child("nodeName"), node, meta::name_subdomain(node, false));
        }
        if let Some(hostname) = &endpoint.hostname {
            dns_label(errs, &path.child("hostname"), hostname);
        }
        if let Some(hints) = &endpoint.hints {
            for (index, zone) in list(&hints.for_zones).iter().enumerate() {
                let path = path.child("hints").child("forZones").index(index).child("name");
                qualified_name(errs, &path, &zone.name);
            }
        }
    }
}

fn address(errs: &mut ErrorList, address: &str, type_: &str, path: &Path) {
    let six = address.contains(':');
    match type_ {
        "IPv4" | "IPv6" => {
            let before = errs.len();
            ip(errs, path, address);
            if errs.len() == before && six != (type_ == "IPv6") {
                let rule = format!("must be an {type_} address");
                errs.push(Error::invalid(path, address, rule));
            }
            non_special_ip(errs, path, address);
        }
        "FQDN" => dns_subdomain(errs, path, address),
        _ => {}
    }
}

fn ports(errs: &mut ErrorList, ports: &[EndpointPort]) {
    let path = Path::new("ports");
    if ports.len() > MAX_PORTS {
        errs.push(Error::too_many(&path, ports.len(), MAX_PORTS));
        return;
    }
    let mut names = BTreeSet::new();
    for (index, p) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(&p.name);
        if !name.is_empty() {
            dns_label(errs, &path.child("name"), name);
        }
        if !names.insert(name) {
            errs.push(Error::duplicate(&path.child("name"), name));
        }
        one_of(
            errs,
            &path.child("protocol"),
            text(&p.protocol),
            &["SCTP", "TCP", "UDP"],
        );
        if let Some(number) = p.port {
            port(errs, &path.child("port"), number);
        }
        if let Some(protocol) = &p.app_protocol {
            qualified_name(errs, &path.child("appProtocol"), protocol);
        }
    }
}
