//! ValidatingAdmissionPolicies (pkg/registry/admissionregistration/validatingadmissionpolicy/strategy.go): defaults and metadata.

use api::admissionregistration::v1::defaults;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;

use crate::registry::strategies::rules::{Rules, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// ValidatingAdmissionPolicies.
pub(crate) static STRATEGY: Typed<Rules<ValidatingAdmissionPolicy>> = Typed(Rules {
    default: defaults::validating_admission_policy,
    prepare_create: |_, obj| {
        first_generation(obj);
        obj.status = None;
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    unconditional_update: false,
    status: Some(&STATUS),
    ..Rules::new(
        |obj| api::meta::create(&obj.metadata, false, api::meta::name_subdomain),
        |new, old| api::meta::update(&new.metadata, &old.metadata),
    )
});

/// The status subresource.
static STATUS: Typed<Rules<ValidatingAdmissionPolicy>> = Typed(Rules::updating(
    defaults::validating_admission_policy,
    |_, new, old| new.spec.clone_from(&old.spec),
    |new, old| api::meta::update(&new.metadata, &old.metadata),
));
