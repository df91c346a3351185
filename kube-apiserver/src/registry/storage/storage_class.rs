//! StorageClasses (pkg/registry/storage/storageclass/strategy.go).

use api::storage::v1::{defaults, validation, warnings};
use k8s_openapi::api::storage::v1::StorageClass;

use crate::registry::strategies::rules::{Rules, Warnings};
use crate::registry::strategy::Typed;

/// StorageClasses.
pub(crate) static STRATEGY: Typed<Rules<StorageClass>> = Typed(Rules {
    default: defaults::storage_class,
    warnings: Warnings::Object(warnings::storage_class),
    ..Rules::new(validation::storage_class_create, validation::storage_class_update)
});
