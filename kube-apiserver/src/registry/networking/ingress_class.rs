//! IngressClass (pkg/registry/networking/ingressclass/strategy.go).

use api::networking::v1::{defaults, validation};
use k8s_openapi::api::networking::v1::IngressClass;

use crate::registry::strategies::rules::{Rules, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// IngressClass objects.
pub(crate) static STRATEGY: Typed<Rules<IngressClass>> = Typed(Rules {
    default: defaults::ingress_class,
    prepare_create: |_, obj| first_generation(obj),
    prepare_update: |_, new, old| {
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    ..Rules::new(validation::ingress_class_create, validation::ingress_class_update)
});
