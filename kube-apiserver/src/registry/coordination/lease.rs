//! Leases (pkg/registry/coordination/lease/strategy.go).

use api::coordination::v1::validation;
use k8s_openapi::api::coordination::v1::Lease;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// Leases.
pub(crate) static STRATEGY: Typed<Rules<Lease>> = Typed(Rules {
    create_on_update: true,
    unconditional_update: false,
    ..Rules::new(validation::lease_create, validation::lease_update)
});
