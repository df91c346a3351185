//! PriorityClasses (pkg/registry/scheduling/priorityclass/strategy.go).

use api::scheduling::v1::{defaults, validation};
use k8s_openapi::api::scheduling::v1::PriorityClass;

use crate::registry::strategies::rules::{Rules, first_generation};
use crate::registry::strategy::Typed;

/// PriorityClasses.
pub(crate) static STRATEGY: Typed<Rules<PriorityClass>> = Typed(Rules {
    default: defaults::priority_class,
    prepare_create: |_, obj| first_generation(obj),
    ..Rules::new(validation::priority_class_create, validation::priority_class_update)
});
