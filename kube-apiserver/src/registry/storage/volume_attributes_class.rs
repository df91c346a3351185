//! VolumeAttributesClasses (pkg/registry/storage/volumeattributesclass/strategy.go).

use api::storage::v1::validation;
use k8s_openapi::api::storage::v1::VolumeAttributesClass;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// VolumeAttributesClasses.
pub(crate) static STRATEGY: Typed<Rules<VolumeAttributesClass>> = Typed(Rules::new(
    validation::volume_attributes_class_create,
    validation::volume_attributes_class_update,
));
