//! Defaults of apiregistration.k8s.io/v1 (kube-aggregator `pkg/apis/apiregistration/v1/defaults.go`).

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;

/// Port 443 (`SetDefaults_ServiceReference`).
pub fn api_service(obj: &mut APIService) {
    if let Some(service) = obj.spec.as_mut().and_then(|s| s.service.as_mut()) {
        service.port.get_or_insert(443);
    }
}
