//! Validation of discovery.k8s.io/v1 (pkg/apis/discovery/validation/validation.go).

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::{is_dns1123_label, is_dns1123_subdomain, is_strict_ip, is_valid_label_value};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointHints, EndpointPort, EndpointSlice};

use crate::check::{
    dns_label, equal, immutable_named, invalid_each, legacy_ip, list, one_of, qualified_name, required_one_of, text,
};
use crate::core::v1::validation::non_special_ip;
use crate::meta;

const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20000;
/// Most hints of a kind.
const MAX_HINTS: usize = 8;
/// Most labels of the deprecated topology.
const MAX_TOPOLOGY: usize = 16;

/// A new EndpointSlice (`ValidateEndpointSliceCreate`).
pub fn endpoint_slice_create(obj: &EndpointSlice) -> ErrorList {
    slice(obj, None)
}

/// A changed EndpointSlice (`ValidateEndpointSliceUpdate`).
pub fn endpoint_slice_update(new: &EndpointSlice, old: &EndpointSlice) -> ErrorList {
    let mut errs = slice(new, Some(old));
    immutable_named(
        &mut errs,
        &Path::new("addressType"),
        &new.address_type,
        &old.address_type,
    );
    errs
}

/// `ValidateEndpointSlice`; unchanged endpoints may stay as they are.
fn slice(obj: &EndpointSlice, old: Option<&EndpointSlice>) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let type_ = obj.address_type.as_str();
    required_one_of(&mut errs, &Path::new("addressType"), type_, &["FQDN", "IPv4", "IPv6"]);
    ports(&mut errs, list(&obj.ports));
    let mut found = vec![];
    endpoints(&mut found, list(&obj.endpoints), type_);
    if !found.is_empty() && !old.is_some_and(|old| equal(&old.endpoints, &obj.endpoints)) {
        errs.extend(found);
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
            self::address(errs, address, type_, &at, index);
        }
        if let Some(node) = &endpoint.node_name {
            invalid_each(errs, &path.child("nodeName"), node, meta::name_subdomain(node, false));
        }
        let topology = endpoint.deprecated_topology.as_ref();
        let at = path.child("deprecatedTopology");
        if let Some(count) = topology.map(|t| t.len()).filter(|c| *c > MAX_TOPOLOGY) {
            errs.push(Error::too_many(&at, count, MAX_TOPOLOGY));
        }
        meta::labels(errs, topology, &at);
        if let Some(hostname) = &endpoint.hostname {
            dns_label(errs, &path.child("hostname"), hostname);
        }
        if let Some(hints) = &endpoint.hints {
            self::hints(errs, hints, &path.child("hints"));
        }
    }
}

/// One address; that it is of the other family is reported at the list, as upstream does.
fn address(errs: &mut ErrorList, address: &str, type_: &str, list: &Path, index: usize) {
    let path = list.index(index);
    let before = errs.len();
    match type_ {
        "IPv4" => legacy_ip(errs, &path, address, &[]),
        "IPv6" => invalid_each(errs, &path, address, is_strict_ip(address)),
        "FQDN" => return fqdn(errs, address, &path),
        _ => return,
    }
    if errs.len() > before {
        return;
    }
    if address.contains(':') != (type_ == "IPv6") {
        let rule = format!("must be an {type_} address");
        errs.push(Error::invalid(list, address, rule));
    }
    non_special_ip(errs, &path, address);
}

/// `IsFullyQualifiedDomainName`.
fn fqdn(errs: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errs.push(Error::required(path, ""));
        return;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let messages = is_dns1123_subdomain(name);
    if !messages.is_empty() {
        errs.push(Error::invalid(path, name, messages.join(",")));
    } else if !name.contains('.') {
        let rule = "should be a domain with at least two segments separated by dots";
        errs.push(Error::invalid(path, name, rule));
    } else if let Some(label) = name.split('.').find(|l| !is_dns1123_label(l).is_empty()) {
        errs.push(Error::invalid(path, label, is_dns1123_label(label).join(",")));
    }
}

/// `validateHints`.
fn hints(errs: &mut ErrorList, hints: &EndpointHints, path: &Path) {
    let zones: Vec<&str> = list(&hints.for_zones).iter().map(|z| z.name.as_str()).collect();
    let nodes: Vec<&str> = list(&hints.for_nodes).iter().map(|n| n.name.as_str()).collect();
    let node_rule: fn(&str) -> Vec<String> = |name| meta::name_subdomain(name, false);
    let zone_rule: fn(&str) -> Vec<String> = is_valid_label_value;
    for (field, names, rule) in [("forZones", zones, zone_rule), ("forNodes", nodes, node_rule)] {
        let path = path.child(field);
        if names.len() > MAX_HINTS {
            errs.push(Error::too_many(&path, names.len(), MAX_HINTS));
            return;
        }
        for (index, name) in names.iter().enumerate() {
            let path = path.index(index).child("name");
            if names[..index].contains(name) {
                errs.push(Error::duplicate(&path, *name));
            }
            invalid_each(errs, &path, *name, rule(name));
        }
    }
}

fn ports(errs: &mut ErrorList, ports: &[EndpointPort]) {
    let path = Path::new("ports");
    if ports.len() > MAX_PORTS {
        errs.push(Error::too_many(&path, ports.len(), MAX_PORTS));
        return;
    }
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(&port.name);
        if !name.is_empty() {
            dns_label(errs, &path.child("name"), name);
        }
        if !names.insert(name) {
            errs.push(Error::duplicate(&path.child("name"), name));
        }
        let protocol = path.child("protocol");
        match &port.protocol {
            None => errs.push(Error::required(&protocol, "")),
            Some(value) => one_of(errs, &protocol, value, &["SCTP", "TCP", "UDP"]),
        }
        if let Some(protocol) = &port.app_protocol {
            qualified_name(errs, &path.child("appProtocol"), protocol);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cases::{creates, updates};
    use crate::discovery::v1::defaults::endpoint_slice as default;

    #[test]
    fn slices_are_checked() {
        let base = json!({"metadata": {"name": "s", "namespace": "n", "resourceVersion": "1"}, "addressType": "IPv4",
            "ports": [{"name": "http", "port": 80}], "endpoints": [{"addresses": ["10.0.0.1"]}]});
        let addresses = "/endpoints/0/addresses";
        let many: Vec<String> = (0..101).map(|i| format!("10.0.0.{i}")).collect();
        creates(
            &base,
            default,
            endpoint_slice_create,
            &[
                ("a good slice", json!({}), &[]),
                ("no type", json!({"/addressType": ""}), &["addressType: Required value"]),
                (
                    "an unknown type",
                    json!({"/addressType": "MAC"}),
                    &["addressType: Unsupported value: \"MAC\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""],
                ),
                (
                    "no address",
                    json!({addresses: []}),
                    &["endpoints[0].addresses: Required value: must contain at least 1 address"],
                ),
                (
                    "many addresses",
                    json!({addresses: many}),
                    &["endpoints[0].addresses: Too many: 101: must have at most 100 items"],
                ),
                (
                    "the other family, a loopback address",
                    json!({addresses: ["fd00::1", "127.0.0.1"]}),
                    &[
                        "endpoints[0].addresses: Invalid value: \"fd00::1\": must be an IPv4 address",
                        "endpoints[0].addresses[1]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
                    ],
                ),
                (
                    "another spelling",
                    json!({"/addressType": "IPv6", addresses: ["FD00::1"]}),
                    &["endpoints[0].addresses[0]: Invalid value: \"FD00::1\": must be in canonical form (\"fd00::1\")"],
                ),
                (
                    "a name of one word",
                    json!({"/addressType": "FQDN", addresses: ["host."]}),
                    &[
                        "endpoints[0].addresses[0]: Invalid value: \"host\": should be a domain with at least two segments separated by dots",
                    ],
                ),
                (
                    "hints twice",
                    json!({"/endpoints/0/hints": {"forZones": [{"name": "a"}, {"name": "a"}], "forNodes": [{"name": "b"}, {"name": "b"}]}}),
                    &[
                        "endpoints[0].hints.forZones[1].name: Duplicate value: \"a\"",
                        "endpoints[0].hints.forNodes[1].name: Duplicate value: \"b\"",
                    ],
                ),
                (
                    "ports twice, an unknown protocol",
                    json!({"/ports/-": {"name": "http", "protocol": "ICMP"}}),
                    &[
                        "ports[1].name: Duplicate value: \"http\"",
                        "ports[1].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                    ],
                ),
            ],
        );
        let mut old = base.clone();
        old["endpoints"][0]["addresses"] = json!(["127.0.0.1"]);
        updates(
            &old,
            default,
            endpoint_slice_update,
            &[
                ("old endpoints may stay", json!({"/metadata/labels": {"a": "b"}}), &[]),
                (
                    "another type",
                    json!({"/addressType": "FQDN"}),
                    &["addressType: Invalid value: \"FQDN\": field is immutable"],
                ),
            ],
        );
    }
}
