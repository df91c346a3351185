//! CSIStorageCapacities (pkg/registry/storage/csistoragecapacity/strategy.go).

use api::storage::v1::{defaults, validation, warnings};
use k8s_openapi::api::storage::v1::CSIStorageCapacity;

use crate::registry::strategies::rules::{Rules, Warnings};
use crate::registry::strategy::Typed;

/// CSIStorageCapacities.
pub(crate) static STRATEGY: Typed<Rules<CSIStorageCapacity>> = Typed(Rules {
    default: defaults::csi_storage_capacity,
    unconditional_update: false,
    warnings: Warnings::Object(warnings::csi_storage_capacity),
    ..Rules::new(
        validation::csi_storage_capacity_create,
        validation::csi_storage_capacity_update,
    )
});
