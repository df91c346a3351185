//! Classes of volumes and of their attributes.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::TopologySelectorTerm;
use k8s_openapi::api::storage::v1::{StorageClass, VolumeAttributesClass};

use crate::check::{immutable, immutable_named, list, one_of, qualified_name};
use crate::meta;

/// Most parameters (`maxProvisionerParameterLen`).
const PARAMETERS_MAX: usize = 512;
/// Most bytes of keys and values of parameters (`maxProvisionerParameterSize`).
const PARAMETERS_SIZE: usize = 256 * 1024;

/// A new StorageClass (`ValidateStorageClass`).
pub fn storage_class_create(obj: &StorageClass) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    class(&mut errs, obj);
    errs
}

fn class(errs: &mut ErrorList, obj: &StorageClass) {
    provisioner(errs, &obj.provisioner, &Path::new("provisioner"));
    parameters(errs, obj.parameters.as_ref(), true);
    if let Some(policy) = obj.reclaim_policy.as_ref().filter(|p| !p.is_empty()) {
        one_of(errs, &Path::new("reclaimPolicy"), policy, &["Delete", "Retain"]);
    }
    let path = Path::new("volumeBindingMode");
    match &obj.volume_binding_mode {
        None => errs.push(Error::required(&path, "")),
        Some(mode) => one_of(errs, &path, mode, &["Immediate", "WaitForFirstConsumer"]),
    }
    topologies(errs, list(&obj.allowed_topologies));
}

/// A changed StorageClass (`ValidateStorageClassUpdate`).
pub fn storage_class_update(new: &StorageClass, old: &StorageClass) -> ErrorList {
    let mut errs = storage_class_create(new);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    let parameters = |c: &StorageClass| c.parameters.clone().filter(|p| !p.is_empty());
    immutable(&mut errs, &Path::new("parameters"), &parameters(new), &parameters(old));
    immutable(&mut errs, &Path::new("provisioner"), &new.provisioner, &old.provisioner);
    immutable_named(
        &mut errs,
        &Path::new("reclaimPolicy"),
        &new.reclaim_policy,
        &old.reclaim_policy,
    );
    let (mode, before) = (&new.volume_binding_mode, &old.volume_binding_mode);
    immutable_named(&mut errs, &Path::new("volumeBindingMode"), mode, before);
    errs
}

/// A new VolumeAttributesClass (`ValidateVolumeAttributesClass`).
pub fn volume_attributes_class_create(obj: &VolumeAttributesClass) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    provisioner(&mut errs, &obj.driver_name, &Path::new("driverName"));
    parameters(&mut errs, obj.parameters.as_ref(), false);
    errs
}

/// A changed VolumeAttributesClass (`ValidateVolumeAttributesClassUpdate`).
pub fn volume_attributes_class_update(new: &VolumeAttributesClass, old: &VolumeAttributesClass) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    for (field, changed) in [
        ("driverName", new.driver_name != old.driver_name),
        ("parameters", new.parameters != old.parameters),
    ] {
        if changed {
            let rule = format!("updates to {field} are forbidden.");
            errs.push(Error::forbidden(&Path::new(field), rule));
        }
    }
    errs.extend(volume_attributes_class_create(new));
    errs
}

/// `validateProvisioner`.
fn provisioner(errs: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errs.push(Error::required(path, ""));
    } else {
        qualified_name(errs, path, &name.to_lowercase());
    }
}

/// `validateParameters`.
fn parameters(errs: &mut ErrorList, parameters: Option<&BTreeMap<String, String>>, may_be_empty: bool) {
    let path = Path::new("parameters");
    let count = parameters.map_or(0, BTreeMap::len);
    if count > PARAMETERS_MAX {
        errs.push(Error::too_long(&path, PARAMETERS_MAX));
        return;
    }
    let mut size = 0;
    for (key, value) in parameters.into_iter().flatten() {
        if key.is_empty() {
            errs.push(Error::invalid(&path, "", "field can not be empty."));
        }
        size += key.len() + value.len();
    }
    if size > PARAMETERS_SIZE {
        errs.push(Error::too_long(&path, PARAMETERS_SIZE));
    }
    if !may_be_empty && count == 0 {
        errs.push(Error::required(&path, "must contain at least one key/value pair"));
    }
}

/// `validateAllowedTopologies`: no term twice, and none empty (upstream compares with empty ones too).
fn topologies(errs: &mut ErrorList, terms: &[TopologySelectorTerm]) {
    let mut seen: Vec<BTreeMap<&str, BTreeSet<&str>>> = vec![];
    for (index, term) in terms.iter().enumerate() {
        let path = Path::new("allowedTopologies")
            .index(index)
            .child("matchLabelExpressions");
        let mut raw = BTreeMap::new();
        for (index, expression) in list(&term.match_label_expressions).iter().enumerate() {
            let path = path.index(index);
            let at = path.child("values");
            if expression.values.is_empty() {
                errs.push(Error::required(&at, ""));
            }
            let mut values = BTreeSet::new();
            for (index, value) in expression.values.iter().enumerate() {
                if !values.insert(value.as_str()) {
                    errs.push(Error::duplicate(&at.index(index), value));
                }
            }
            qualified_name(errs, &path.child("key"), &expression.key);
            if raw.insert(expression.key.as_str(), values).is_some() {
                errs.push(Error::duplicate(&path.child("key"), &expression.key));
            }
        }
        let empty = if raw.is_empty() { terms.len() } else { 0 };
        for _ in 0..empty + seen.iter().filter(|s| **s == raw).count() {
            errs.push(Error::duplicate(&path, ""));
        }
        seen.push(raw);
    }
}
