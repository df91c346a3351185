//! StatefulSets (pkg/registry/apps/statefulset/strategy.go).

use api::apps::v1::{defaults, validation, warnings};
use k8s_openapi::api::apps::v1::StatefulSet;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// StatefulSets.
pub(crate) static STRATEGY: Typed<Rules<StatefulSet>> = Typed(Rules {
    recall: |raw, obj| {
        if let Some(spec) = &mut obj.spec {
            defaults::given_selector(raw, &mut spec.selector);
        }
    },
    default: defaults::stateful_set,
    prepare_create: |_, obj| {
        first_generation(obj);
        obj.status = None;
        defaults::stateful_set(obj);
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    warnings: Warnings::Change(warnings::stateful_set),
    status: Some(&STATUS),
    ..Rules::new(validation::stateful_set_create, validation::stateful_set_update)
});

/// `statefulsets/status`.
static STATUS: Typed<Rules<StatefulSet>> = Typed(Rules::updating(
    defaults::stateful_set,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::stateful_set_status_update,
));
