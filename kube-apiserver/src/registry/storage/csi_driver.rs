//! CSIDrivers (pkg/registry/storage/csidriver/strategy.go).

use api::storage::v1::defaults;
use k8s_openapi::api::storage::v1::CSIDriver;

use crate::registry::strategies::rules::{Rules, differ, next_generation};
use crate::registry::strategy::Typed;

/// CSIDrivers.
pub(crate) static STRATEGY: Typed<Rules<CSIDriver>> = Typed(Rules {
    default: defaults::csi_driver,
    prepare_update: |_, new, old| {
        let changed = old.metadata.generation.is_some() && differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    unconditional_update: false,
    ..Rules::new(
        |obj| api::meta::create(&obj.metadata, false, api::meta::name_subdomain),
        |new, old| api::meta::update(&new.metadata, &old.metadata),
    )
});
