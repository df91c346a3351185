//! PodTemplates (pkg/registry/core/podtemplate/strategy.go).

use api::core::v1::{defaults, validation, warnings};
use k8s_openapi::api::core::v1::PodTemplate;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// PodTemplates.
pub(crate) static STRATEGY: Typed<Rules<PodTemplate>> = Typed(Rules {
    default: |obj| defaults::pod_template_spec(obj.template.get_or_insert_default()),
    prepare_create: |_, obj| first_generation(obj),
    prepare_update: |_, new, old| {
        let changed = differ(&new.template, &old.template);
        next_generation(new, old, changed);
    },
    warnings: Warnings::Change(warnings::pod_template_object),
    ..Rules::new(validation::pod_template_create, validation::pod_template_update)
});
