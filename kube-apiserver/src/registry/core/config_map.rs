//! ConfigMaps (pkg/registry/core/configmap/strategy.go).

use api::core::v1::validation;
use k8s_openapi::api::core::v1::ConfigMap;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// ConfigMaps.
pub(crate) static STRATEGY: Typed<Rules<ConfigMap>> =
    Typed(Rules::new(validation::config_map_create, validation::config_map_update));
