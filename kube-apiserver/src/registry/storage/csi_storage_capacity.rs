//! CSIStorageCapacities (pkg/registry/storage/csistoragecapacity/strategy.go).

use api::node::v1::labels::selector_warnings;
use api::storage::v1::{defaults, validation};
use apimachinery::field::Path;
use k8s_openapi::api::storage::v1::CSIStorageCapacity;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// CSIStorageCapacities.
pub(crate) static STRATEGY: Typed<Rules<CSIStorageCapacity>> = Typed(Rules {
    default: defaults::csi_storage_capacity,
    unconditional_update: false,
    warnings: |obj, _| {
        let selector = obj.node_topology.as_ref();
        selector
            .map(|s| selector_warnings(s, &Path::new("nodeTopology")))
            .unwrap_or_default()
    },
    ..Rules::new(
        validation::csi_storage_capacity_create,
        validation::csi_storage_capacity_update,
    )
});
