//! PersistentVolumes (pkg/registry/core/persistentvolume/strategy.go).

use api::core::v1::{defaults, validation, warnings};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeStatus};

use crate::registry::strategies::rules::{Rules, Warnings};
use crate::registry::strategy::Typed;

/// PersistentVolumes.
pub(crate) static STRATEGY: Typed<Rules<PersistentVolume>> = Typed(Rules {
    default: defaults::persistent_volume,
    prepare_create: |_, obj| {
        obj.status = Some(PersistentVolumeStatus {
            phase: Some("Pending".to_string()),
            ..PersistentVolumeStatus::default()
        });
    },
    prepare_update: |_, new, old| new.status.clone_from(&old.status),
    warnings: Warnings::Object(warnings::persistent_volume),
    status: Some(&STATUS),
    ..Rules::new(
        validation::persistent_volume_create,
        validation::persistent_volume_update,
    )
});

/// `persistentvolumes/status`.
static STATUS: Typed<Rules<PersistentVolume>> = Typed(Rules::updating(
    defaults::persistent_volume,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::persistent_volume_status_update,
));
