//! Endpoints (pkg/registry/core/endpoint/strategy.go).

use api::core::v1::{defaults, validation, warnings};
use k8s_openapi::api::core::v1::Endpoints;

use crate::registry::strategies::rules::{Rules, Warnings};
use crate::registry::strategy::Typed;

/// Endpoints.
pub(crate) static STRATEGY: Typed<Rules<Endpoints>> = Typed(Rules {
    default: defaults::endpoints,
    create_on_update: true,
    warnings: Warnings::Object(warnings::endpoints),
    ..Rules::new(validation::endpoints_create, validation::endpoints_update)
});
