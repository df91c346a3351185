//! A Service's ports. Source: upstream `pkg/proxy/serviceport.go` `newBaseServiceInfo`,
//! `pkg/proxy/util/utils.go` `ShouldSkipService`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;

use crate::model::{Family, Protocol, ServicePort};

/// All ports of `service`, once per IP family it has; none if it is not for the proxy (headless, or a
/// name only).
pub(crate) fn service_ports(service: &Service) -> Vec<ServicePort> {
    let Some(spec) = &service.spec else { return Vec::new() };
    if spec.type_.as_deref() == Some("ExternalName") {
        return Vec::new();
    }
    let cluster_ips: Vec<IpAddr> = match &spec.cluster_ips {
        Some(ips) if !ips.is_empty() => ips.iter().filter_map(|ip| ip.parse().ok()).collect(),
        _ => spec.cluster_ip.iter().filter_map(|ip| ip.parse().ok()).collect(),
    };
    let outside = matches!(spec.type_.as_deref(), Some("NodePort" | "LoadBalancer"));
    let load_balancer = service
        .status
        .iter()
        .flat_map(|status| status.load_balancer.iter())
        .flat_map(|balancer| balancer.ingress.iter().flatten())
        // A balancer in Proxy mode wants the traffic sent to itself.
        .filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"))
        .filter_map(|ingress| ingress.ip.as_deref());
    let external: BTreeSet<IpAddr> = spec
        .external_ips
        .iter()
        .flatten()
        .map(String::as_str)
        .chain(load_balancer)
        .filter_map(|ip| ip.parse().ok())
        .collect();
    let local = |policy: &Option<String>| policy.as_deref() == Some("Local");
    let mut ports = Vec::new();
    for cluster_ip in cluster_ips {
        let family = Family::of(cluster_ip);
        for port in spec.ports.iter().flatten() {
            let (Some(protocol), Ok(number)) = (Protocol::parse(port.protocol.as_deref()), u16::try_from(port.port))
            else {
                continue;
            };
            let node_port = port
                .node_port
                .filter(|_| outside)
                .and_then(|port| u16::try_from(port).ok());
            ports.push(ServicePort {
                name: port.name.clone().unwrap_or_default(),
                family,
                protocol,
                cluster_ip,
                port: number,
                node_port: node_port.unwrap_or(0),
                external_ips: external
                    .iter()
                    .copied()
                    .filter(|ip| Family::of(*ip) == family)
                    .collect(),
                internal_local: local(&spec.internal_traffic_policy),
                external_local: local(&spec.external_traffic_policy) && (outside || !external.is_empty()),
                sticky: spec.session_affinity.as_deref() == Some("ClientIP"),
            });
        }
    }
    ports
}
