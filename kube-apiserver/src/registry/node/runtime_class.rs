//! RuntimeClasses (pkg/registry/node/runtimeclass/strategy.go).

use api::node::v1::{validation, warnings};
use k8s_openapi::api::node::v1::RuntimeClass;

use crate::registry::strategies::rules::{Rules, Warnings};
use crate::registry::strategy::Typed;

/// RuntimeClasses.
pub(crate) static STRATEGY: Typed<Rules<RuntimeClass>> = Typed(Rules {
    unconditional_update: false,
    warnings: Warnings::Object(warnings::runtime_class),
    ..Rules::new(validation::runtime_class_create, validation::runtime_class_update)
});
