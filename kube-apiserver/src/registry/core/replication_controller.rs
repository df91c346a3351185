//! ReplicationControllers (pkg/registry/core/replicationcontroller/strategy.go).

use api::core::v1::{defaults, validation, warnings};
use k8s_openapi::api::core::v1::ReplicationController;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation, number_at};
use crate::registry::strategy::Typed;

/// ReplicationControllers.
pub(crate) static STRATEGY: Typed<Rules<ReplicationController>> = Typed(Rules {
    default: defaults::replication_controller,
    prepare_create: |_, obj| {
        first_generation(obj);
        obj.status = Some(Default::default());
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    fields: |obj| vec![("status.replicas", number_at(obj, "/status/replicas"))],
    warnings: Warnings::Change(warnings::replication_controller),
    status: Some(&STATUS),
    ..Rules::new(
        validation::replication_controller_create,
        validation::replication_controller_update,
    )
});

/// `replicationcontrollers/status`.
static STATUS: Typed<Rules<ReplicationController>> = Typed(Rules::updating(
    defaults::replication_controller,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::replication_controller_status_update,
));
