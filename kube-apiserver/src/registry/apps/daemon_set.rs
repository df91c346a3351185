//! DaemonSets (pkg/registry/apps/daemonset/strategy.go).

use api::apps::v1::{defaults, validation, warnings};
use k8s_openapi::api::apps::v1::DaemonSet;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// DaemonSets.
pub(crate) static STRATEGY: Typed<Rules<DaemonSet>> = Typed(Rules {
    default: defaults::daemon_set,
    prepare_create: |_, obj| {
        first_generation(obj);
        obj.status = Some(Default::default());
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    warnings: Warnings::Change(warnings::daemon_set),
    status: Some(&STATUS),
    ..Rules::new(validation::daemon_set_create, validation::daemon_set_update)
});

/// `daemonsets/status`.
static STATUS: Typed<Rules<DaemonSet>> = Typed(Rules::updating(
    defaults::daemon_set,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::daemon_set_status_update,
));
