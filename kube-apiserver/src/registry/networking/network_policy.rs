//! NetworkPolicy (pkg/registry/networking/networkpolicy/strategy.go).

use api::networking::v1::{defaults, validation, warnings};
use k8s_openapi::api::networking::v1::NetworkPolicy;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// NetworkPolicy objects.
pub(crate) static STRATEGY: Typed<Rules<NetworkPolicy>> = Typed(Rules {
    default: defaults::network_policy,
    prepare_create: |_, obj| first_generation(obj),
    prepare_update: |_, new, old| {
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    warnings: Warnings::Object(warnings::network_policy),
    ..Rules::new(validation::network_policy_create, validation::network_policy_update)
});
