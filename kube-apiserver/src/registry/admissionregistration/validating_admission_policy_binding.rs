//! ValidatingAdmissionPolicyBindings (pkg/registry/admissionregistration/validatingadmissionpolicybinding/strategy.go).

use api::admissionregistration::v1::{defaults, validation, warnings};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;

use crate::registry::strategies::rules::{Rules, Warnings, counted_spec};
use crate::registry::strategy::Typed;

/// ValidatingAdmissionPolicyBindings.
pub(crate) static STRATEGY: Typed<Rules<ValidatingAdmissionPolicyBinding>> = Typed(Rules {
    default: defaults::validating_admission_policy_binding,
    unconditional_update: false,
    warnings: Warnings::Object(|obj| warnings::static_suffix(&obj.metadata)),
    ..counted_spec!(
        validation::validating_admission_policy_binding_create,
        validation::validating_admission_policy_binding_update,
    )
});
