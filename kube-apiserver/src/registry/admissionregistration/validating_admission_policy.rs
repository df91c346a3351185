//! ValidatingAdmissionPolicies (pkg/registry/admissionregistration/validatingadmissionpolicy/strategy.go).

use api::admissionregistration::v1::{defaults, validation, warnings};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;

use crate::registry::strategies::rules::{Rules, Warnings, spec_status};
use crate::registry::strategy::Typed;

spec_status!(ValidatingAdmissionPolicy);

/// ValidatingAdmissionPolicies.
pub(crate) static STRATEGY: Typed<Rules<ValidatingAdmissionPolicy>> = Typed(Rules {
    default: defaults::validating_admission_policy,
    unconditional_update: false,
    warnings: Warnings::Object(|obj| warnings::static_suffix(&obj.metadata)),
    status: Some(&STATUS),
    ..Rules::counted(
        validation::validating_admission_policy_create,
        validation::validating_admission_policy_update,
    )
});

/// The status subresource.
static STATUS: Typed<Rules<ValidatingAdmissionPolicy>> = Typed(Rules {
    unconditional_update: false,
    ..Rules::of_status(
        defaults::validating_admission_policy,
        validation::validating_admission_policy_status_update,
    )
});
