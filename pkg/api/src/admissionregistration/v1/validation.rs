//! Validation of admissionregistration.k8s.io/v1 (pkg/apis/admissionregistration/validation/validation.go).
//!
//! CEL expressions must be there; what they say is not checked. Nor is what upstream asks the authorizer
//! about `paramKind`.

mod binding;
mod conditions;
mod policy;
mod rules;
mod webhook;

pub use binding::{
    mutating_admission_policy_binding_create, mutating_admission_policy_binding_update,
    validating_admission_policy_binding_create, validating_admission_policy_binding_update,
};
pub use policy::{
    mutating_admission_policy_create, mutating_admission_policy_update, validating_admission_policy_create,
    validating_admission_policy_status_update, validating_admission_policy_update,
};
pub use webhook::{
    mutating_webhook_configuration_create, mutating_webhook_configuration_update,
    validating_webhook_configuration_create, validating_webhook_configuration_update,
};

#[cfg(test)]
mod tests;
