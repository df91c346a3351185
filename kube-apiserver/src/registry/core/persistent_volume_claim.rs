//! PersistentVolumeClaims (pkg/registry/core/persistentvolumeclaim/strategy.go).

use api::core::v1::{defaults, validation, warnings};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimStatus};

use crate::registry::strategies::rules::{Rules, Warnings};
use crate::registry::strategy::Typed;

/// PersistentVolumeClaims.
pub(crate) static STRATEGY: Typed<Rules<PersistentVolumeClaim>> = Typed(Rules {
    default: defaults::persistent_volume_claim,
    prepare_create: |_, obj| {
        obj.status = Some(PersistentVolumeClaimStatus {
            phase: Some("Pending".to_string()),
            ..PersistentVolumeClaimStatus::default()
        });
    },
    prepare_update: |_, new, old| new.status.clone_from(&old.status),
    warnings: Warnings::Object(warnings::persistent_volume_claim),
    status: Some(&STATUS),
    ..Rules::new(
        validation::persistent_volume_claim_create,
        validation::persistent_volume_claim_update,
    )
});

/// `persistentvolumeclaims/status`.
static STATUS: Typed<Rules<PersistentVolumeClaim>> = Typed(Rules::updating(
    defaults::persistent_volume_claim,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::persistent_volume_claim_status_update,
));
