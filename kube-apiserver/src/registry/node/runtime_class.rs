//! RuntimeClasss (pkg/registry/node/runtimeclass/strategy.go).

use api::node::v1::validation;
use k8s_openapi::api::node::v1::RuntimeClass;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// RuntimeClasss.
pub(crate) static STRATEGY: Typed<Rules<RuntimeClass>> = Typed(Rules {
    unconditional_update: false,
    ..Rules::new(validation::runtime_class_create, validation::runtime_class_update)
});
