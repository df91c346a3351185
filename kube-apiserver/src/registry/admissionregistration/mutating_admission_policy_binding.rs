//! MutatingAdmissionPolicyBindings (pkg/registry/admissionregistration/mutatingadmissionpolicybinding/strategy.go).

use api::admissionregistration::v1::{defaults, validation, warnings};
use k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicyBinding;

use crate::registry::strategies::rules::{Rules, Warnings, counted_spec};
use crate::registry::strategy::Typed;

/// MutatingAdmissionPolicyBindings.
pub(crate) static STRATEGY: Typed<Rules<MutatingAdmissionPolicyBinding>> = Typed(Rules {
    default: defaults::mutating_admission_policy_binding,
    unconditional_update: false,
    warnings: Warnings::Object(|obj| warnings::static_suffix(&obj.metadata)),
    ..counted_spec!(
        validation::mutating_admission_policy_binding_create,
        validation::mutating_admission_policy_binding_update,
    )
});
