//! Ingresses (pkg/registry/networking/ingress/strategy.go).

use api::networking::v1::{defaults, validation};
use k8s_openapi::api::networking::v1::Ingress;

use crate::registry::strategies::rules::{Rules, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// Ingresses.
pub(crate) static STRATEGY: Typed<Rules<Ingress>> = Typed(Rules {
    default: defaults::ingress,
    prepare_create: |_, obj| {
        first_generation(obj);
        obj.status = None;
        defaults::ingress(obj);
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    status: Some(&STATUS),
    ..Rules::new(validation::ingress_create, validation::ingress_update)
});

/// `ingresses/status`.
static STATUS: Typed<Rules<Ingress>> = Typed(Rules::updating(
    defaults::ingress,
    |_, new, old| new.spec.clone_from(&old.spec),
    |new, old| api::meta::update(&new.metadata, &old.metadata),
));
