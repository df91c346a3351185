//! DeviceClasses (pkg/registry/resource/deviceclass/strategy.go).

use api::resource::v1::validation;
use k8s_openapi::api::resource::v1::DeviceClass;

use crate::registry::strategies::rules::{Rules, counted_spec};
use crate::registry::strategy::Typed;

/// DeviceClasses.
pub(crate) static STRATEGY: Typed<Rules<DeviceClass>> = Typed(counted_spec!(
    validation::device_class_create,
    validation::device_class_update
));
