//! CSINodes (pkg/registry/storage/csinode/strategy.go).

use api::storage::v1::validation;
use k8s_openapi::api::storage::v1::CSINode;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// CSINodes.
pub(crate) static STRATEGY: Typed<Rules<CSINode>> = Typed(Rules {
    unconditional_update: false,
    ..Rules::new(validation::csi_node_create, validation::csi_node_update)
});
