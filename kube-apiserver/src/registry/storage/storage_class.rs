//! StorageClasss (pkg/registry/storage/storageclass/strategy.go).

use api::storage::v1::{defaults, validation};
use k8s_openapi::api::storage::v1::StorageClass;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// StorageClasss.
pub(crate) static STRATEGY: Typed<Rules<StorageClass>> = Typed(Rules {
    default: defaults::storage_class,
    ..Rules::new(validation::storage_class_create, validation::storage_class_update)
});
