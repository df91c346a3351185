//! ClusterRoles (pkg/registry/rbac/clusterrole/strategy.go).

use api::rbac::v1::validation;
use k8s_openapi::api::rbac::v1::ClusterRole;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// ClusterRoles.
pub(crate) static STRATEGY: Typed<Rules<ClusterRole>> = Typed(Rules {
    create_on_update: true,
    ..Rules::new(validation::cluster_role_create, validation::cluster_role_update)
});
