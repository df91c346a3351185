//! Services (pkg/quota/v1/evaluator/core/services.go).

use k8s_openapi::api::core::v1::Service;

use super::number;
use crate::resources::ResourceList;

const NAMES: [&str; 4] = [
    "count/services",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

/// Whether a quota's resource is one that services use.
pub fn uses(name: &str) -> bool {
    NAMES.contains(&name)
}

/// What a service uses: node ports by intent, they are allocated later.
pub fn usage(service: &Service) -> ResourceList {
    let spec = service.spec.as_ref();
    let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let (balancers, node_ports) = match spec.and_then(|spec| spec.type_.as_deref()) {
        Some("NodePort") => (0, ports.len()),
        // The service wants no node ports but those it names.
        Some("LoadBalancer") if spec.and_then(|spec| spec.allocate_load_balancer_node_ports) == Some(false) => {
            (1, ports.iter().filter(|port| port.node_port.unwrap_or(0) != 0).count())
        }
        Some("LoadBalancer") => (1, ports.len()),
        _ => (0, 0),
    };
    let counts = [1, 1, balancers, node_ports].map(number);
    NAMES.map(str::to_owned).into_iter().zip(counts).collect()
}
