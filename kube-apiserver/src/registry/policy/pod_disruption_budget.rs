//! PodDisruptionBudgets (pkg/registry/policy/poddisruptionbudget/strategy.go).

use api::policy::v1::{defaults, validation};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use crate::registry::strategies::rules::{Rules, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// PodDisruptionBudgets.
pub(crate) static STRATEGY: Typed<Rules<PodDisruptionBudget>> = Typed(Rules {
    default: defaults::pod_disruption_budget,
    prepare_create: |_, obj| {
        first_generation(obj);
        obj.status = None;
        defaults::pod_disruption_budget(obj);
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    unconditional_update: false,
    status: Some(&STATUS),
    ..Rules::new(
        validation::pod_disruption_budget_create,
        validation::pod_disruption_budget_update,
    )
});

/// `poddisruptionbudgets/status`.
static STATUS: Typed<Rules<PodDisruptionBudget>> = Typed(Rules {
    unconditional_update: false,
    ..Rules::updating(
        defaults::pod_disruption_budget,
        |_, new, old| new.spec.clone_from(&old.spec),
        validation::pod_disruption_budget_status_update,
    )
});
