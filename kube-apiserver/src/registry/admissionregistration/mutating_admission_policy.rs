//! MutatingAdmissionPolicies (pkg/registry/admissionregistration/mutatingadmissionpolicy/strategy.go).

use api::admissionregistration::v1::{defaults, validation, warnings};
use k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicy;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// MutatingAdmissionPolicies.
pub(crate) static STRATEGY: Typed<Rules<MutatingAdmissionPolicy>> = Typed(Rules {
    default: defaults::mutating_admission_policy,
    prepare_create: |_, obj| first_generation(obj),
    prepare_update: |_, new, old| {
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    unconditional_update: false,
    warnings: Warnings::Object(|obj| warnings::static_suffix(&obj.metadata)),
    ..Rules::new(
        validation::mutating_admission_policy_create,
        validation::mutating_admission_policy_update,
    )
});
