//! CSIStorageCapacities (pkg/registry/storage/csistoragecapacity/strategy.go).

use api::storage::v1::{defaults, validation};
use k8s_openapi::api::storage::v1::CSIStorageCapacity;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// CSIStorageCapacities.
pub(crate) static STRATEGY: Typed<Rules<CSIStorageCapacity>> = Typed(Rules {
    default: defaults::csi_storage_capacity,
    unconditional_update: false,
    ..Rules::new(
        validation::csi_storage_capacity_create,
        validation::csi_storage_capacity_update,
    )
});
