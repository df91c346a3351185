//! Defaults of apiregistration.k8s.io/v1 (kube-aggregator `pkg/apis/apiregistration/v1/defaults.go`).

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;

/// Port 443 (`SetDefaults_ServiceReference`); Go always writes the spec and the status.
pub fn api_service(obj: &mut APIService) {
    if let Some(service) = &mut obj.spec.get_or_insert_default().service {
        service.port.get_or_insert(443);
    }
    obj.status.get_or_insert_default();
}
