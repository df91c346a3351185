//! The endpoints of a Service port, out of its EndpointSlices.
//! Source: upstream `pkg/proxy/endpointslicecache.go` `endpointInfoByServicePort`.

use std::net::SocketAddr;

use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::model::{Endpoint, Family, Protocol, ServicePort};

/// Label by which a slice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Name of the Service the slice is part of, `namespace/name`.
pub(crate) fn service_of(slice: &EndpointSlice) -> Option<String> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(format!(
        "{}/{}",
        slice.metadata.namespace.as_deref().unwrap_or_default(),
        name
    ))
}

/// Endpoints for `port` in all of its Service's slices. An address that two slices have (a pod moving
/// from one to the other) counts once, ready if either says so.
pub(crate) fn endpoints<'a>(
    port: &ServicePort,
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    node: &str,
) -> Vec<Endpoint> {
    let mut found: Vec<Endpoint> = Vec::new();
    for slice in slices {
        let family = match slice.address_type.as_str() {
            "IPv4" => Family::V4,
            "IPv6" => Family::V6,
            _ => continue,
        };
        if family != port.family {
            continue;
        }
        for slice_port in slice.ports.iter().flatten() {
            let named = slice_port.name.as_deref().unwrap_or_default() == port.name;
            if !named || Protocol::parse(slice_port.protocol.as_deref()) != Some(port.protocol) {
                continue;
            }
            let Some(number) = slice_port.port.and_then(|number| u16::try_from(number).ok()) else {
                continue;
            };
            for endpoint in slice.endpoints.iter().flatten() {
                // Addresses of one endpoint are the same thing: the first is used.
                let Some(ip) = endpoint.addresses.first().and_then(|ip| ip.parse().ok()) else {
                    continue;
                };
                if Family::of(ip) == family {
                    add(&mut found, convert(endpoint, SocketAddr::new(ip, number), node));
                }
            }
        }
    }
    found
}

fn convert(endpoint: &k8s_openapi::api::discovery::v1::Endpoint, address: SocketAddr, node: &str) -> Endpoint {
    let conditions = endpoint.conditions.as_ref();
    let condition = |value: Option<bool>, unset: bool| value.unwrap_or(unset);
    let ready = condition(conditions.and_then(|conditions| conditions.ready), true);
    let hints = endpoint.hints.as_ref();
    Endpoint {
        address,
        local: endpoint.node_name.as_deref() == Some(node),
        ready,
        serving: condition(conditions.and_then(|conditions| conditions.serving), ready),
        terminating: condition(conditions.and_then(|conditions| conditions.terminating), false),
        for_zones: hints
            .into_iter()
            .flat_map(|hints| hints.for_zones.iter().flatten())
            .map(|zone| zone.name.clone())
            .collect(),
        for_nodes: hints
            .into_iter()
            .flat_map(|hints| hints.for_nodes.iter().flatten())
            .map(|node| node.name.clone())
            .collect(),
    }
}

fn add(found: &mut Vec<Endpoint>, endpoint: Endpoint) {
    match found.iter_mut().find(|known| known.address == endpoint.address) {
        Some(known) if !known.ready && endpoint.ready => *known = endpoint,
        Some(_) => {}
        None => found.push(endpoint),
    }
}
