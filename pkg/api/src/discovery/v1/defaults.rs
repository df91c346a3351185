//! Defaults of discovery.k8s.io/v1 (pkg/apis/discovery/v1/defaults.go).

use k8s_openapi::api::discovery::v1::EndpointSlice;

/// Port name empty, protocol TCP (`SetDefaults_EndpointPort`). Go always writes the conditions of endpoints.
pub fn endpoint_slice(obj: &mut EndpointSlice) {
    for endpoint in obj.endpoints.iter_mut().flatten() {
        endpoint.conditions.get_or_insert_default();
    }
    for port in obj.ports.iter_mut().flatten() {
        port.name.get_or_insert_default();
        port.protocol.get_or_insert_with(|| "TCP".to_string());
    }
}
