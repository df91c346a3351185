//! ResourceSlices (pkg/registry/resource/resourceslice/strategy.go).

use api::resource::v1::{defaults, validation, warnings};
use k8s_openapi::api::resource::v1::{Device, ResourceSlice};
use serde_json::Value;

use crate::registry::strategies::rules::{Fields, Rules, Warnings, differ, first_generation, next_generation, text_at};
use crate::registry::strategy::Typed;

/// ResourceSlices.
pub(crate) static STRATEGY: Typed<Rules<ResourceSlice>> = Typed(Rules {
    default,
    prepare_create: |_, obj| first_generation(obj),
    prepare_update: |_, new, old| {
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    fields,
    warnings: Warnings::Object(warnings::resource_slice),
    ..Rules::new(validation::resource_slice_create, validation::resource_slice_update)
});

/// A taint counts from when it is seen first (`SetDefaults_DeviceTaint`).
fn default(obj: &mut ResourceSlice) {
    defaults::resource_slice(obj);
    for taint in devices(obj).flat_map(|d| d.taints.iter_mut().flatten()) {
        taint.time_added.get_or_insert_with(apimachinery::time::now_time);
    }
}

fn devices(obj: &mut ResourceSlice) -> impl Iterator<Item = &mut Device> {
    obj.spec.devices.iter_mut().flatten()
}

/// `toSelectableFields`.
fn fields(obj: &Value) -> Fields {
    vec![
        ("spec.nodeName", text_at(obj, "/spec/nodeName")),
        ("spec.driver", text_at(obj, "/spec/driver")),
    ]
}
