//! Ingresses (pkg/registry/networking/ingress/strategy.go).

use api::networking::v1::{defaults, validation, warnings};
use k8s_openapi::api::networking::v1::Ingress;

use crate::registry::strategies::rules::{Rules, Warnings, spec_status};
use crate::registry::strategy::Typed;

spec_status!(Ingress);

/// Ingresses.
pub(crate) static STRATEGY: Typed<Rules<Ingress>> = Typed(Rules {
    default: defaults::ingress,
    warnings: Warnings::Create(warnings::ingress_create),
    status: Some(&STATUS),
    ..Rules::counted(validation::ingress_create, validation::ingress_update)
});

/// `ingresses/status`.
static STATUS: Typed<Rules<Ingress>> = Typed(Rules {
    warnings: Warnings::Object(warnings::ingress_status),
    ..Rules::updating(
        defaults::ingress,
        |_, new, old| new.spec.clone_from(&old.spec),
        validation::ingress_status_update,
    )
});
