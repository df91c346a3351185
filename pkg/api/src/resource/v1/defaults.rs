//! Defaults of resource.k8s.io/v1 (pkg/apis/resource/v1/defaults.go). The time of a taint
//! (`SetDefaults_DeviceTaint`) is the strategy's: no clock is read here.

use k8s_openapi::api::resource::v1::{
    DeviceClaim, DeviceToleration, ResourceClaim, ResourceClaimSpec, ResourceClaimTemplate, ResourceSlice,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::check::canonical_list;
use crate::core::v1::defaults::or;

/// How many devices a request wants; Go always writes `devices` and the status.
pub fn resource_claim(obj: &mut ResourceClaim) {
    claim_spec(&mut obj.spec);
    let status = obj.status.get_or_insert_default();
    if let Some(allocation) = &mut status.allocation {
        let devices = allocation.devices.get_or_insert_default();
        for result in devices.results.iter_mut().flatten() {
            canonical_list(&mut result.consumed_capacity);
            tolerations(&mut result.tolerations);
        }
    }
}

/// The defaults of the claims that will be made from it.
pub fn resource_claim_template(obj: &mut ResourceClaimTemplate) {
    obj.spec.metadata.get_or_insert_default();
    claim_spec(&mut obj.spec.spec);
}

fn claim_spec(spec: &mut ResourceClaimSpec) {
    let devices: &mut DeviceClaim = spec.devices.get_or_insert_default();
    for request in devices.requests.iter_mut().flatten() {
        if let Some(exact) = &mut request.exactly {
            count(&mut exact.allocation_mode, &mut exact.count);
            if let Some(capacity) = &mut exact.capacity {
                canonical_list(&mut capacity.requests);
            }
            tolerations(&mut exact.tolerations);
        }
        for sub in request.first_available.iter_mut().flatten() {
            count(&mut sub.allocation_mode, &mut sub.count);
            if let Some(capacity) = &mut sub.capacity {
                canonical_list(&mut capacity.requests);
            }
            tolerations(&mut sub.tolerations);
        }
    }
}

/// `SetDefaults_DeviceToleration`.
fn tolerations(tolerations: &mut Option<Vec<DeviceToleration>>) {
    for toleration in tolerations.iter_mut().flatten() {
        or(&mut toleration.operator, "Equal");
    }
}

/// `SetDefaults_ExactDeviceRequest`, `SetDefaults_DeviceSubRequest`.
fn count(mode: &mut Option<String>, count: &mut Option<i64>) {
    or(mode, "ExactCount");
    if mode.as_deref() == Some("ExactCount") && count.is_none_or(|c| c == 0) {
        *count = Some(1);
    }
}

/// A mapping takes each device once (`SetDefaults_Device`).
pub fn resource_slice(obj: &mut ResourceSlice) {
    for device in obj.spec.devices.iter_mut().flatten() {
        for mapping in device
            .node_allocatable_resource_mappings
            .iter_mut()
            .flat_map(|m| m.values_mut())
        {
            mapping
                .allocation_multiplier
                .get_or_insert_with(|| Quantity("1".to_string()));
        }
    }
}
