//! DeviceClasses.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::resource::v1::{DeviceClass, DeviceClassSpec};

use super::claim::{CONFIG_MAX, configuration, selectors};
use crate::check::{equal, limited, list};
use crate::core::v1::validation::is_extended;
use crate::meta;

/// A new DeviceClass (`ValidateDeviceClass`).
pub fn device_class_create(obj: &DeviceClass) -> ErrorList {
    let mut errs = meta::create_named(&obj.metadata, false, meta::name_long);
    class_spec(&mut errs, &obj.spec, None);
    errs
}

/// A changed DeviceClass (`ValidateDeviceClassUpdate`).
pub fn device_class_update(new: &DeviceClass, old: &DeviceClass) -> ErrorList {
    let mut errs = meta::create_named(&new.metadata, false, meta::name_long);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    class_spec(&mut errs, &new.spec, Some(&old.spec));
    errs
}

/// `validateDeviceClassSpec`; unchanged parameters may be longer than new ones.
fn class_spec(errs: &mut ErrorList, spec: &DeviceClassSpec, old: Option<&DeviceClassSpec>) {
    let path = Path::new("spec");
    selectors(errs, list(&spec.selectors), &path.child("selectors"));
    let stored = old.is_some_and(|old| equal(&old.config, &spec.config));
    limited(
        errs,
        &path.child("config"),
        list(&spec.config),
        CONFIG_MAX,
        |errs, config, path| configuration(errs, config.opaque.as_ref(), stored, path),
    );
    if let Some(name) = &spec.extended_resource_name
        && !is_extended(name)
    {
        let rule = "must be a valid extended resource name";
        errs.push(Error::invalid(&path.child("extendedResourceName"), name, rule));
    }
}
