//! ServiceAccounts (pkg/registry/core/serviceaccount/strategy.go).

use api::core::v1::{validation, warnings};
use k8s_openapi::api::core::v1::{ObjectReference, ServiceAccount};

use crate::registry::strategies::rules::{Rules, Warnings};
use crate::registry::strategy::Typed;

/// ServiceAccounts.
pub(crate) static STRATEGY: Typed<Rules<ServiceAccount>> = Typed(Rules {
    prepare_create: |_, obj| names_only(obj),
    prepare_update: |_, obj, _| names_only(obj),
    warnings: Warnings::Change(warnings::service_account),
    ..Rules::new(validation::service_account_create, validation::service_account_update)
});

/// Secret references keep nothing but their names (`cleanSecretReferences`).
fn names_only(obj: &mut ServiceAccount) {
    for reference in obj.secrets.iter_mut().flatten() {
        *reference = ObjectReference {
            name: reference.name.take(),
            ..ObjectReference::default()
        };
    }
}
