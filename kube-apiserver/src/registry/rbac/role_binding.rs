//! RoleBindings (pkg/registry/rbac/rolebinding/strategy.go).

use api::rbac::v1::{defaults, validation};
use k8s_openapi::api::rbac::v1::RoleBinding;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// RoleBindings.
pub(crate) static STRATEGY: Typed<Rules<RoleBinding>> = Typed(Rules {
    default: defaults::role_binding,
    create_on_update: true,
    ..Rules::new(validation::role_binding_create, validation::role_binding_update)
});
