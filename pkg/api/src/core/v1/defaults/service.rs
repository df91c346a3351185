//! Defaults of services.

use k8s_openapi::api::core::v1::{ClientIPConfig, Service, ServiceSpec, SessionAffinityConfig};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::or;
use crate::check::{list, text};

/// Three hours, in seconds (`DefaultClientIPServiceAffinitySeconds`).
const CLIENT_IP_TIMEOUT: i32 = 10800;

/// Type, affinity, ports, traffic policies (`SetDefaults_Service`).
pub fn service(obj: &mut Service) {
    let spec = obj.spec.get_or_insert_default();
    or(&mut spec.session_affinity, "None");
    match text(&spec.session_affinity) {
        "None" => spec.session_affinity_config = None,
        "ClientIP" => {
            let config = spec.session_affinity_config.take();
            let seconds = config.and_then(|c| c.client_ip).and_then(|c| c.timeout_seconds);
            spec.session_affinity_config = Some(SessionAffinityConfig {
                client_ip: Some(ClientIPConfig {
                    timeout_seconds: Some(seconds.unwrap_or(CLIENT_IP_TIMEOUT)),
                }),
            });
        }
        _ => {}
    }
    or(&mut spec.type_, "ClusterIP");
    for port in spec.ports.iter_mut().flatten() {
        or(&mut port.protocol, "TCP");
        let unset = match &port.target_port {
            None | Some(IntOrString::Int(0)) => true,
            Some(IntOrString::String(name)) => name.is_empty(),
            Some(IntOrString::Int(_)) => false,
        };
        if unset {
            port.target_port = Some(IntOrString::Int(port.port));
        }
    }
    if externally_accessible(spec) {
        or(&mut spec.external_traffic_policy, "Cluster");
    }
    let type_ = text(&spec.type_).to_string();
    if matches!(type_.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        spec.internal_traffic_policy
            .get_or_insert_with(|| "Cluster".to_string());
    }
    let status = obj.status.get_or_insert_default();
    let balancer = status.load_balancer.get_or_insert_default();
    if type_ == "LoadBalancer" {
        spec.allocate_load_balancer_node_ports.get_or_insert(true);
        for ingress in balancer.ingress.iter_mut().flatten() {
            if !text(&ingress.ip).is_empty() {
                ingress.ip_mode.get_or_insert_with(|| "VIP".to_string());
            }
        }
    }
}

/// Whether clients outside the cluster can reach the service (pkg/api/service `ExternallyAccessible`).
pub fn externally_accessible(spec: &ServiceSpec) -> bool {
    match text(&spec.type_) {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !list(&spec.external_ips).is_empty(),
        _ => false,
    }
}
