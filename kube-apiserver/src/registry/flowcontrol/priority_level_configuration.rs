//! PriorityLevelConfigurations (pkg/registry/flowcontrol/prioritylevelconfiguration/strategy.go).

use api::flowcontrol::v1::{defaults, validation};
use k8s_openapi::api::flowcontrol::v1::PriorityLevelConfiguration;

use crate::registry::strategies::rules::{Rules, spec_status};
use crate::registry::strategy::Typed;

spec_status!(PriorityLevelConfiguration);

/// PriorityLevelConfigurations.
pub(crate) static STRATEGY: Typed<Rules<PriorityLevelConfiguration>> = Typed(Rules {
    default: defaults::priority_level_configuration,
    status: Some(&STATUS),
    ..Rules::counted(
        validation::priority_level_configuration_create,
        validation::priority_level_configuration_update,
    )
});

/// The status subresource.
static STATUS: Typed<Rules<PriorityLevelConfiguration>> = Typed(Rules::of_status(
    defaults::priority_level_configuration,
    validation::priority_level_configuration_status_update,
));
