//! Defaults of networking.k8s.io/v1 (pkg/apis/networking/v1/defaults.go).

use k8s_openapi::api::networking::v1::{Ingress, IngressClass, NetworkPolicy, NetworkPolicyPort, ServiceCIDR};

use crate::check::list;

/// Ports TCP; types from the rules that are given (`SetDefaults_NetworkPolicy`).
pub fn network_policy(obj: &mut NetworkPolicy) {
    let spec = obj.spec.get_or_insert_default();
    for rule in spec.ingress.iter_mut().flatten() {
        ports(&mut rule.ports);
    }
    for rule in spec.egress.iter_mut().flatten() {
        ports(&mut rule.ports);
    }
    if list(&spec.policy_types).is_empty() {
        let mut types = vec!["Ingress".to_string()];
        if !list(&spec.egress).is_empty() {
            types.push("Egress".to_string());
        }
        spec.policy_types = Some(types);
    }
    spec.pod_selector.get_or_insert_default();
}

fn ports(ports: &mut Option<Vec<NetworkPolicyPort>>) {
    for port in ports.iter_mut().flatten() {
        port.protocol.get_or_insert_with(|| "TCP".to_string());
    }
}

/// Go always writes the load balancer's status and the ports of services; ingresses have no defaults of their own.
pub fn ingress(obj: &mut Ingress) {
    if let Some(spec) = &mut obj.spec {
        let rules = spec.rules.iter_mut().flatten().filter_map(|rule| rule.http.as_mut());
        let backends = rules.flat_map(|http| &mut http.paths).map(|path| &mut path.backend);
        for backend in backends.chain(&mut spec.default_backend) {
            if let Some(service) = &mut backend.service {
                service.port.get_or_insert_default();
            }
        }
    }
    obj.status.get_or_insert_default().load_balancer.get_or_insert_default();
}

/// Parameters are cluster-scoped (`SetDefaults_IngressClass`).
pub fn ingress_class(obj: &mut IngressClass) {
    if let Some(parameters) = obj.spec.as_mut().and_then(|s| s.parameters.as_mut()) {
        parameters.scope.get_or_insert_with(|| "Cluster".to_string());
    }
}

/// Go always writes the spec and the status.
pub fn service_cidr(obj: &mut ServiceCIDR) {
    obj.spec.get_or_insert_default();
    obj.status.get_or_insert_default();
}
