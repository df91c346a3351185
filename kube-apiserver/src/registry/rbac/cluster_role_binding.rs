//! ClusterRoleBindings (pkg/registry/rbac/clusterrolebinding/strategy.go).

use api::rbac::v1::{defaults, validation};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// ClusterRoleBindings.
pub(crate) static STRATEGY: Typed<Rules<ClusterRoleBinding>> = Typed(Rules {
    default: defaults::cluster_role_binding,
    create_on_update: true,
    ..Rules::new(
        validation::cluster_role_binding_create,
        validation::cluster_role_binding_update,
    )
});
