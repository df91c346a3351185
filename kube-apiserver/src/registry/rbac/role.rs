//! Roles (pkg/registry/rbac/role/strategy.go).

use api::rbac::v1::validation;
use k8s_openapi::api::rbac::v1::Role;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// Roles.
pub(crate) static STRATEGY: Typed<Rules<Role>> = Typed(Rules {
    create_on_update: true,
    ..Rules::new(validation::role_create, validation::role_update)
});
