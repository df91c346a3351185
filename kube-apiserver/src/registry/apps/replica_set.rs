//! ReplicaSets (pkg/registry/apps/replicaset/strategy.go).

use api::apps::v1::{defaults, validation, warnings};
use k8s_openapi::api::apps::v1::ReplicaSet;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation, number_at};
use crate::registry::strategy::Typed;

/// ReplicaSets.
pub(crate) static STRATEGY: Typed<Rules<ReplicaSet>> = Typed(Rules {
    recall: |raw, obj| {
        if let Some(spec) = &mut obj.spec {
            defaults::given_selector(raw, &mut spec.selector);
        }
    },
    default: defaults::replica_set,
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
    warnings: Warnings::Change(warnings::replica_set),
    status: Some(&STATUS),
    ..Rules::new(validation::replica_set_create, validation::replica_set_update)
});

/// `replicasets/status`.
static STATUS: Typed<Rules<ReplicaSet>> = Typed(Rules::updating(
    defaults::replica_set,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::replica_set_status_update,
));
