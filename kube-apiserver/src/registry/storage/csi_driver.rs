//! CSIDrivers (pkg/registry/storage/csidriver/strategy.go).

use api::storage::v1::{defaults, validation, warnings};
use k8s_openapi::api::storage::v1::CSIDriver;

use crate::registry::strategies::rules::{Rules, Warnings, differ};
use crate::registry::strategy::Typed;

/// CSIDrivers. The generation counts changes of the spec, from none at all.
pub(crate) static STRATEGY: Typed<Rules<CSIDriver>> = Typed(Rules {
    default: defaults::csi_driver,
    prepare_update: |_, new, old| {
        new.metadata.generation = old.metadata.generation;
        if differ(&new.spec, &old.spec) {
            new.metadata.generation = Some(old.metadata.generation.unwrap_or(0) + 1);
        }
    },
    unconditional_update: false,
    warnings: Warnings::Change(warnings::csi_driver),
    ..Rules::new(validation::csi_driver_create, validation::csi_driver_update)
});
