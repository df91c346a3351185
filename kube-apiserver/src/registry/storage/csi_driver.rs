//! CSIDrivers (pkg/registry/storage/csidriver/strategy.go).

use api::storage::v1::{defaults, validation};
use k8s_openapi::api::storage::v1::CSIDriver;

use crate::registry::strategies::rules::{Rules, differ};
use crate::registry::strategy::Typed;

/// CSIDrivers. The generation counts changes of the spec, from none at all.
pub(crate) static STRATEGY: Typed<Rules<CSIDriver>> = Typed(Rules {
    default: defaults::csi_driver,
    // The gate VolumeLimitScaling is off: its field stays where it was used.
    prepare_create: |_, obj| obj.spec.prevent_pod_scheduling_if_missing = None,
    prepare_update: |_, new, old| {
        if old.spec.prevent_pod_scheduling_if_missing.is_none() {
            new.spec.prevent_pod_scheduling_if_missing = None;
        }
        new.metadata.generation = old.metadata.generation;
        if differ(&new.spec, &old.spec) {
            new.metadata.generation = Some(old.metadata.generation.unwrap_or(0) + 1);
        }
    },
    unconditional_update: false,
    warnings,
    ..Rules::new(validation::csi_driver_create, validation::csi_driver_update)
});

/// Tokens are better handed over as secrets.
fn warnings(obj: &CSIDriver, old: Option<&CSIDriver>) -> Vec<String> {
    let requests = &obj.spec.token_requests;
    let changed = old.is_none_or(|old| differ(requests, &old.spec.token_requests));
    let asked = requests.as_ref().is_some_and(|r| !r.is_empty());
    if !changed || !asked || obj.spec.service_account_token_in_secrets.is_some() {
        return vec![];
    }
    let text = "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes";
    vec![text.to_string()]
}
