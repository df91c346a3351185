//! ResourceSlices (pkg/registry/resource/resourceslice/strategy.go).

use api::resource::v1::{defaults, validation, warnings};
use k8s_openapi::api::resource::v1::{Device, DeviceAttribute, ResourceSlice};
use serde_json::Value;

use crate::registry::strategies::rules::{Fields, Rules, Warnings, differ, first_generation, next_generation, text_at};
use crate::registry::strategy::Typed;

/// ResourceSlices.
pub(crate) static STRATEGY: Typed<Rules<ResourceSlice>> = Typed(Rules {
    default,
    prepare_create: |_, obj| {
        first_generation(obj);
        drop_disabled(obj, None);
    },
    prepare_update: |_, new, old| {
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
        drop_disabled(new, Some(old));
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

/// Fields of gates that are off stay where they were used: DRAListTypeAttributes,
/// DRANodeAllocatableResources.
fn drop_disabled(new: &mut ResourceSlice, old: Option<&ResourceSlice>) {
    let before = || old.into_iter().flat_map(|o| o.spec.devices.iter().flatten());
    let is_list =
        |a: &DeviceAttribute| a.bools.is_some() || a.ints.is_some() || a.strings.is_some() || a.versions.is_some();
    let mappings = before().any(|d| {
        d.node_allocatable_resource_mappings
            .as_ref()
            .is_some_and(|m| !m.is_empty())
    });
    let lists = before().any(|d| d.attributes.iter().flatten().any(|(_, a)| is_list(a)));
    for device in devices(new) {
        if !mappings {
            device.node_allocatable_resource_mappings = None;
        }
        for attribute in device
            .attributes
            .iter_mut()
            .flat_map(|a| a.values_mut())
            .filter(|_| !lists)
        {
            (attribute.bools, attribute.ints) = (None, None);
            (attribute.strings, attribute.versions) = (None, None);
        }
    }
}

/// `toSelectableFields`.
fn fields(obj: &Value) -> Fields {
    vec![
        ("spec.nodeName", text_at(obj, "/spec/nodeName")),
        ("spec.driver", text_at(obj, "/spec/driver")),
    ]
}
