//! ResourceClaims (pkg/registry/resource/resourceclaim/strategy.go), without what asks the authorizer
//! and the namespace about administrators.

use api::resource::v1::{defaults, validation};
use k8s_openapi::api::resource::v1::ResourceClaim;

use crate::registry::strategies::rules::{Rules, SpecStatus as _, keep_metadata, spec_status};
use crate::registry::strategy::Typed;

spec_status!(ResourceClaim);

/// ResourceClaims: no generation is counted.
pub(crate) static STRATEGY: Typed<Rules<ResourceClaim>> = Typed(Rules {
    default: defaults::resource_claim,
    prepare_create: |_, obj| obj.clear_status(),
    prepare_update: |_, new, old| new.keep_status(old),
    status: Some(&STATUS),
    ..Rules::new(validation::resource_claim_create, validation::resource_claim_update)
});

/// `resourceclaims/status`.
static STATUS: Typed<Rules<ResourceClaim>> = Typed(Rules::updating(
    defaults::resource_claim,
    |_, new, old| {
        new.keep_spec(old);
        keep_metadata(new, old);
        drop_deallocated(new, old);
    },
    validation::resource_claim_status_update,
));

/// The status of devices goes with their allocation (`dropDeallocatedStatusDevices`).
fn drop_deallocated(new: &mut ResourceClaim, old: &ResourceClaim) {
    let allocated = |obj: &ResourceClaim| {
        obj.status
            .as_ref()
            .map(validation::allocated_devices)
            .unwrap_or_default()
    };
    let kept = allocated(new);
    let gone: Vec<_> = allocated(old).difference(&kept).cloned().collect();
    let status = new.status.get_or_insert_default();
    if let Some(devices) = &mut status.devices {
        devices.retain(|device| !gone.contains(&validation::device_id(device)));
        if devices.is_empty() {
            status.devices = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::strategy::Strategy as _;
    use crate::request::RequestContext;

    #[test]
    fn the_status_of_a_device_goes_with_its_allocation() {
        let device = |name: &str| json!({"driver": "d", "pool": "p", "device": name});
        let result = |name: &str| json!({"request": "r", "driver": "d", "pool": "p", "device": name});
        let old = json!({"metadata": {"name": "c", "labels": {"l": "old"}}, "spec": {}, "status": {
            "allocation": {"devices": {"results": [result("a"), result("b")]}}, "devices": [device("a"), device("b")]}});
        let mut new = old.clone();
        new["metadata"]["labels"]["l"] = json!("new");
        new["status"]["allocation"]["devices"]["results"] = json!([result("b")]);
        STATUS.prepare_for_update(&RequestContext::internal(), &mut new, &old);
        assert_eq!(new["status"]["devices"], json!([device("b")]));
        assert_eq!(new["metadata"]["labels"]["l"], "old");
    }
}
