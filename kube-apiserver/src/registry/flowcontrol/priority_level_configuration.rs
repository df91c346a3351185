//! PriorityLevelConfigurations (pkg/registry/flowcontrol/prioritylevelconfiguration/strategy.go): defaults and metadata.

use api::flowcontrol::v1::defaults;
use k8s_openapi::api::flowcontrol::v1::PriorityLevelConfiguration;

use crate::registry::strategies::rules::{Rules, differ, first_generation, keep_metadata, next_generation};
use crate::registry::strategy::Typed;

/// PriorityLevelConfigurations.
pub(crate) static STRATEGY: Typed<Rules<PriorityLevelConfiguration>> = Typed(Rules {
    default: defaults::priority_level_configuration,
    prepare_create: |_, obj| {
        first_generation(obj);
        obj.status = None;
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    status: Some(&STATUS),
    ..Rules::new(
        |obj| api::meta::create(&obj.metadata, false, api::meta::name_subdomain),
        |new, old| api::meta::update(&new.metadata, &old.metadata),
    )
});

/// The status subresource.
static STATUS: Typed<Rules<PriorityLevelConfiguration>> = Typed(Rules::updating(
    defaults::priority_level_configuration,
    |_, new, old| {
        new.spec.clone_from(&old.spec);
        keep_metadata(new, old);
    },
    |new, old| api::meta::update(&new.metadata, &old.metadata),
));
