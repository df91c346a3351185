//! Nodes (pkg/registry/core/node/strategy.go). A kubelet may create its node with a status.

use api::core::v1::{defaults, validation, warnings};
use k8s_openapi::api::core::v1::Node;

use crate::registry::strategies::rules::{Rules, Warnings, flag_at};
use crate::registry::strategy::Typed;

/// Nodes.
pub(crate) static STRATEGY: Typed<Rules<Node>> = Typed(Rules {
    default: defaults::node,
    prepare_update: |_, new, old| new.status.clone_from(&old.status),
    fields: |obj| vec![("spec.unschedulable", flag_at(obj, "/spec/unschedulable"))],
    warnings: Warnings::Object(warnings::node),
    status: Some(&STATUS),
    ..Rules::new(validation::node_create, validation::node_update)
});

/// `nodes/status`.
static STATUS: Typed<Rules<Node>> = Typed(Rules::updating(
    defaults::node,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::node_status_update,
));
