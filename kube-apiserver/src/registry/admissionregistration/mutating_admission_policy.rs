//! MutatingAdmissionPolicies (pkg/registry/admissionregistration/mutatingadmissionpolicy/strategy.go).

use api::admissionregistration::v1::{defaults, validation, warnings};
use k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicy;

use crate::registry::strategies::rules::{Rules, Warnings, counted_spec};
use crate::registry::strategy::Typed;

/// MutatingAdmissionPolicies.
pub(crate) static STRATEGY: Typed<Rules<MutatingAdmissionPolicy>> = Typed(Rules {
    default: defaults::mutating_admission_policy,
    unconditional_update: false,
    warnings: Warnings::Object(|obj| warnings::static_suffix(&obj.metadata)),
    ..counted_spec!(
        validation::mutating_admission_policy_create,
        validation::mutating_admission_policy_update,
    )
});
