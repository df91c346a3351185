//! One device of a slice: attributes, capacity, taints, counters, where it can be used.

use std::collections::BTreeSet;

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::resource::v1::{Device, DeviceAttribute, DeviceTaint, NodeAllocatableResourceMapping};

use super::capacity::request_policy;
use super::claim::{EFFECTS, label_value};
use super::names::{KEY_MAX, qualified};
use super::slice::{counter_set, flag, map, node_name};
use crate::check::{
    dns_label, equal, limited, limited_set, list, qualified_name, quantity, required_one_of, shown, text,
};
use crate::core::v1::validation::{is_native, node_selector};
use crate::internal;

/// `ResourceSliceMaxAttributesAndCapacitiesPerDevice`.
const ATTRIBUTES_MAX: usize = 32;
/// `ResourceSliceMaxAttributeValuesPerDevice`.
const ATTRIBUTE_VALUES_MAX: usize = 48;
/// Longest value of an attribute, in bytes (`DeviceAttributeMaxValueLength`).
const VALUE_MAX: usize = 64;
/// `DeviceTaintsMaxLength`.
const TAINTS_MAX: usize = 16;
/// `ResourceSliceMaxDeviceCounterConsumptionsPerDevice`.
const CONSUMPTIONS_MAX: usize = 2;
/// `BindingConditionsMaxSize`, `BindingFailureConditionsMaxSize`.
const BINDING_MAX: usize = 4;

/// `validateDevice`; unchanged taints are not looked at again.
pub(super) fn device(errs: &mut ErrorList, device: &Device, old: Option<&Device>, per_device: bool, path: &Path) {
    dns_label(errs, &path.child("name"), &device.name);
    let no_attributes = Default::default();
    let attributes = device.attributes.as_ref().unwrap_or(&no_attributes);
    let no_capacity = Default::default();
    let capacity = device.capacity.as_ref().unwrap_or(&no_capacity);
    let count = attributes.len() + capacity.len();
    if count > ATTRIBUTES_MAX {
        let rule = format!("the total number of attributes and capacities must not exceed {ATTRIBUTES_MAX}");
        errs.push(Error::invalid(path, count, rule));
    }
    let values: usize = attributes.values().map(|a| list_values(a).max(1)).sum();
    if values > ATTRIBUTE_VALUES_MAX {
        let rule = format!("the total number of attribute values must not exceed {ATTRIBUTE_VALUES_MAX}");
        errs.push(Error::invalid(path, values, rule));
    }
    map(
        errs,
        attributes,
        None,
        KEY_MAX,
        qualified,
        attribute,
        &path.child("attributes"),
    );
    let shared = device.allow_multiple_allocations == Some(true);
    let check = |errs: &mut ErrorList, c: &_, path: &Path| request_policy(errs, c, shared, path);
    map(errs, capacity, None, KEY_MAX, qualified, check, &path.child("capacity"));
    if old.is_none_or(|old| !equal(&old.taints, &device.taints)) {
        limited(errs, &path.child("taints"), list(&device.taints), TAINTS_MAX, taint);
    }
    limited_set(
        errs,
        &path.child("consumesCounters"),
        list(&device.consumes_counters),
        CONSUMPTIONS_MAX,
        |errs, consumed, path| counter_set(errs, ("counterSet", &consumed.counter_set), &consumed.counters, path),
        |consumed| consumed.counter_set.clone(),
    );
    nodes(errs, device, per_device, path);
    binding_conditions(
        errs,
        &device.binding_conditions,
        &device.binding_failure_conditions,
        path,
    );
    for (name, mapping) in device.node_allocatable_resource_mappings.iter().flatten() {
        let path = path.child("nodeAllocatableResourceMappings").key(name);
        if !is_native(name) {
            let rule = "must be a node allocatable resource name";
            errs.push(Error::invalid(&path, name, rule));
        }
        node_resource(errs, mapping, device, &path);
    }
}

/// Which nodes reach the device, when the slice leaves that to each device.
fn nodes(errs: &mut ErrorList, device: &Device, per_device: bool, path: &Path) {
    if !per_device {
        if device.node_name.is_some() || device.node_selector.is_some() || device.all_nodes.is_some() {
            let rule = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
            errs.push(Error::invalid(path, BadValue::Null, rule));
        }
        return;
    }
    let mut set = vec![];
    let name = device.node_name.as_ref();
    node_name(errs, name, "must not be empty", &path.child("nodeName"), &mut set);
    if let Some(selector) = &device.node_selector {
        set.push("`nodeSelector`");
        node_selector(errs, selector, &path.child("nodeSelector"));
    }
    flag(errs, device.all_nodes, "allNodes", "`allNodes`", path, &mut set);
    let rule = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    match set.len() {
        0 => errs.push(Error::required(path, rule)),
        1 => {}
        _ => errs.push(Error::invalid(path, format!("{{{}}}", set.join(", ")), rule)),
    }
}

/// Elements of an attribute's lists; they exclude each other, which [`attribute`] reports.
fn list_values(a: &DeviceAttribute) -> usize {
    list(&a.bools).len() + list(&a.ints).len() + list(&a.strings).len() + list(&a.versions).len()
}

/// `validateDeviceAttribute`: exactly one kind of value.
fn attribute(errs: &mut ErrorList, a: &DeviceAttribute, path: &Path) {
    if let Some(value) = &a.string {
        string(errs, value, &path.child("string"));
    }
    if let Some(value) = &a.version {
        version(errs, value, &path.child("version"));
    }
    let mut no_list = |name: &str, empty: bool| {
        if empty {
            let rule = "must not be empty if specified";
            errs.push(Error::invalid(&path.child(name), BadValue::raw("[]"), rule));
        }
    };
    no_list("bools", a.bools.as_ref().is_some_and(Vec::is_empty));
    no_list("ints", a.ints.as_ref().is_some_and(Vec::is_empty));
    no_list("strings", a.strings.as_ref().is_some_and(Vec::is_empty));
    for (index, value) in list(&a.strings).iter().enumerate() {
        string(errs, value, &path.child("strings").index(index));
    }
    if a.versions.as_ref().is_some_and(Vec::is_empty) {
        let rule = "must not be empty if specified";
        errs.push(Error::invalid(&path.child("versions"), BadValue::raw("[]"), rule));
    }
    for (index, value) in list(&a.versions).iter().enumerate() {
        version(errs, value, &path.child("versions").index(index));
    }
    let set = [
        a.bool.is_some(),
        a.int.is_some(),
        a.string.is_some(),
        a.version.is_some(),
        a.bools.is_some(),
        a.ints.is_some(),
        a.strings.is_some(),
        a.versions.is_some(),
    ];
    let rule = "exactly one value must be specified";
    match set.into_iter().filter(|s| *s).count() {
        0 => errs.push(Error::invalid(path, "", rule)),
        1 => {}
        _ => errs.push(Error::invalid(
            path,
            internal::shown("resource.DeviceAttribute", a),
            rule,
        )),
    }
}

/// `validateDeviceAttributeStringValue`.
fn string(errs: &mut ErrorList, value: &str, path: &Path) {
    if value.len() > VALUE_MAX {
        errs.push(Error::too_long(path, VALUE_MAX));
    }
}

/// `validateDeviceAttributeVersionValue`.
fn version(errs: &mut ErrorList, value: &str, path: &Path) {
    if !is_semver(value) {
        let rule = "must be a string compatible with semver.org spec 2.0.0";
        errs.push(Error::invalid(path, value, rule));
    }
    string(errs, value, path);
}

/// The grammar of semver.org 2.0.0 (`semverRe`).
fn is_semver(text: &str) -> bool {
    let numeric = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let (text, build) = match text.split_once('+') {
        Some((text, build)) => (text, Some(build)),
        None => (text, None),
    };
    let (core, release) = match text.split_once('-') {
        Some((core, release)) => (core, Some(release)),
        None => (text, None),
    };
    core.split('.').count() == 3
        && core.split('.').all(numeric)
        && release.is_none_or(|r| {
            r.split('.')
                .all(|part| word(part) && (numeric(part) || part.bytes().any(|b| !b.is_ascii_digit())))
        })
        && build.is_none_or(|b| b.split('.').all(word))
}

/// `validateDeviceTaint`.
fn taint(errs: &mut ErrorList, taint: &DeviceTaint, path: &Path) {
    qualified_name(errs, &path.child("key"), &taint.key);
    label_value(errs, text(&taint.value), &path.child("value"));
    required_one_of(errs, &path.child("effect"), &taint.effect, &EFFECTS);
}

/// `validateDeviceBindingParameters`: both lists or none, without overlap.
pub(super) fn binding_conditions(
    errs: &mut ErrorList,
    binding: &Option<Vec<String>>,
    failure: &Option<Vec<String>>,
    path: &Path,
) {
    let (bind_path, fail_path) = (path.child("bindingConditions"), path.child("bindingFailureConditions"));
    let name = |errs: &mut ErrorList, name: &String, path: &Path| qualified_name(errs, path, name);
    limited(errs, &bind_path, list(binding), BINDING_MAX, name);
    limited(errs, &fail_path, list(failure), BINDING_MAX, name);
    let mut seen = BTreeSet::new();
    for (index, condition) in list(binding).iter().enumerate() {
        if !seen.insert(condition) {
            errs.push(Error::duplicate(&bind_path.index(index), condition));
        }
    }
    let mut failures = BTreeSet::new();
    for (index, condition) in list(failure).iter().enumerate() {
        if !failures.insert(condition) {
            errs.push(Error::duplicate(&fail_path.index(index), condition));
        }
        if seen.contains(condition) {
            let rule = "bindingFailureConditions must not overlap with bindingConditions";
            errs.push(Error::invalid(&fail_path.index(index), condition, rule));
        }
    }
    if seen.is_empty() && !failures.is_empty() {
        let rule = "bindingConditions are required to use bindingFailureConditions";
        errs.push(Error::invalid(&bind_path, shown(binding), rule));
    }
    if failures.is_empty() && !seen.is_empty() {
        let rule = "bindingFailureConditions are required to use bindingConditions";
        errs.push(Error::invalid(&fail_path, shown(failure), rule));
    }
}

/// One entry of `validateNodeAllocatableResourceMappings`.
fn node_resource(errs: &mut ErrorList, mapping: &NodeAllocatableResourceMapping, device: &Device, path: &Path) {
    if mapping.allocation_multiplier.is_none() && mapping.capacity_key.is_none() {
        let rule = "at least one of allocationMultiplier or capacityKey must be set";
        errs.push(Error::invalid(path, "", rule));
        return;
    }
    if let Some(multiplier) = &mapping.allocation_multiplier {
        let amount = quantity(multiplier);
        if amount.sign() <= 0 {
            let path = path.child("allocationMultiplier");
            errs.push(Error::invalid(&path, amount.to_string(), "must be positive"));
        }
    }
    if let Some(key) = &mapping.capacity_key {
        let path = path.child("capacityKey");
        if key.is_empty() {
            errs.push(Error::invalid(&path, "", "capacityKey must not be an empty string"));
        } else if !device.capacity.as_ref().is_some_and(|c| c.contains_key(key)) {
            errs.push(Error::not_found(&path, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_semver;

    #[test]
    fn versions_follow_semver() {
        for (text, ok) in [
            ("1.2.3", true),
            ("1.2", false),
            ("01.2.3", false),
            ("1.2.3-alpha.1+b.007", true),
            ("1.2.3-01", false),
            ("1.2.3-0a", true),
            ("1.2.3-", false),
            ("1.2.3+", false),
        ] {
            assert_eq!(is_semver(text), ok, "{text}");
        }
    }
}
