//! ValidatingAdmissionPolicyBindings (pkg/registry/admissionregistration/validatingadmissionpolicybinding/strategy.go).

use api::admissionregistration::v1::{defaults, validation, warnings};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// ValidatingAdmissionPolicyBindings.
pub(crate) static STRATEGY: Typed<Rules<ValidatingAdmissionPolicyBinding>> = Typed(Rules {
    default: defaults::validating_admission_policy_binding,
    prepare_create: |_, obj| first_generation(obj),
    prepare_update: |_, new, old| {
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    unconditional_update: false,
    warnings: Warnings::Object(|obj| warnings::static_suffix(&obj.metadata)),
    ..Rules::new(
        validation::validating_admission_policy_binding_create,
        validation::validating_admission_policy_binding_update,
    )
});
