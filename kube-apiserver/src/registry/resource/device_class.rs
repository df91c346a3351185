//! DeviceClasses (pkg/registry/resource/deviceclass/strategy.go).

use api::resource::v1::validation;
use k8s_openapi::api::resource::v1::DeviceClass;

use crate::registry::strategies::rules::{Rules, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// DeviceClasses.
pub(crate) static STRATEGY: Typed<Rules<DeviceClass>> = Typed(Rules {
    prepare_create: |_, obj| first_generation(obj),
    prepare_update: |_, new, old| {
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    ..Rules::new(validation::device_class_create, validation::device_class_update)
});
