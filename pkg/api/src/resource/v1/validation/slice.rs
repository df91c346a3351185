//! ResourceSlices: what a driver offers.

use std::collections::BTreeMap;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::NodeSelector;
use k8s_openapi::api::resource::v1::{Counter, CounterSet, Device, ResourcePool, ResourceSlice, ResourceSliceSpec};

use super::device::device;
use super::names::{pool, truncated};
use crate::check::{dns_label, immutable, immutable_named, invalid_each, limited_set, list};
use crate::core::v1::validation::{csi_driver_name, node_selector};
use crate::internal::shown;
use crate::meta;

/// `ResourceSliceMaxDevices`.
const DEVICES_MAX: usize = 128;
/// `ResourceSliceMaxDevicesWithAdvancedFeatures`.
const ADVANCED_DEVICES_MAX: usize = 64;
/// `ResourceSliceMaxCounterSets`.
const COUNTER_SETS_MAX: usize = 8;
/// `ResourceSliceMaxCountersPerCounterSet`, `ResourceSliceMaxCountersPerDeviceCounterConsumption`.
const COUNTERS_MAX: usize = 32;
/// Longest counter name shown in full.
const COUNTER_NAME_MAX: usize = 63;

/// A new ResourceSlice (`ValidateResourceSlice`).
pub fn resource_slice_create(obj: &ResourceSlice) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    slice_spec(&mut errs, &obj.spec, None);
    errs
}

/// A changed ResourceSlice (`ValidateResourceSliceUpdate`).
pub fn resource_slice_update(new: &ResourceSlice, old: &ResourceSlice) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    slice_spec(&mut errs, &new.spec, Some(&old.spec));
    errs
}

/// `validateResourceSliceSpec`.
fn slice_spec(errs: &mut ErrorList, spec: &ResourceSliceSpec, old: Option<&ResourceSliceSpec>) {
    let path = Path::new("spec");
    csi_driver_name(errs, &spec.driver, &path.child("driver"));
    resource_pool(errs, &spec.pool, &path.child("pool"));
    if let Some(old) = old {
        let name = path.child("pool").child("name");
        immutable(errs, &name, &spec.pool.name, &old.pool.name);
        immutable(errs, &path.child("driver"), &spec.driver, &old.driver);
        immutable_named(errs, &path.child("nodeName"), &spec.node_name, &old.node_name);
    }
    let mut set = vec![];
    let rule = "must be either unset or set to a non-empty string";
    node_name(errs, spec.node_name.as_ref(), rule, &path.child("nodeName"), &mut set);
    if let Some(selector) = &spec.node_selector {
        set.push("`nodeSelector`");
        let path = path.child("nodeSelector");
        node_selector(errs, selector, &path);
        one_term(errs, selector, &path);
    }
    flag(errs, spec.all_nodes, "allNodes", "`allNodes`", &path, &mut set);
    let (name, quoted) = ("perDeviceNodeSelection", "`perDeviceNodeSelection`");
    flag(errs, spec.per_device_node_selection, name, quoted, &path, &mut set);
    let rule = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match set.len() {
        0 => errs.push(Error::required(&path, rule)),
        1 => {}
        _ => {
            let value = format!("{{{}}}", set.join(", "));
            errs.push(Error::invalid(
                &path,
                value,
                format!("{rule}, but multiple fields are set"),
            ));
        }
    }
    if spec.shared_counters.is_some() && spec.devices.is_some() {
        let rule = "only one of `sharedCounters` or `devices` is allowed";
        errs.push(Error::invalid(&path, "", rule));
    }
    let devices = list(&spec.devices);
    let max = if devices.iter().any(is_advanced) {
        ADVANCED_DEVICES_MAX
    } else {
        DEVICES_MAX
    };
    let per_device = spec.per_device_node_selection == Some(true);
    let before = |name: &str| list(&old?.devices).iter().find(|d| d.name == name);
    let check = |errs: &mut ErrorList, d: &Device, path: &Path| device(errs, d, before(&d.name), per_device, path);
    limited_set(errs, &path.child("devices"), devices, max, check, |d| d.name.clone());
    limited_set(
        errs,
        &path.child("sharedCounters"),
        list(&spec.shared_counters),
        COUNTER_SETS_MAX,
        |errs, set: &CounterSet, path| counter_set(errs, ("name", &set.name), &set.counters, path),
        |set| set.name.clone(),
    );
}

/// A node's name; one that is set is added to `set`.
pub(super) fn node_name(
    errs: &mut ErrorList,
    name: Option<&String>,
    empty: &str,
    path: &Path,
    set: &mut Vec<&'static str>,
) {
    match name {
        Some(name) if name.is_empty() => errs.push(Error::invalid(path, "", empty)),
        Some(name) => {
            set.push("`nodeName`");
            invalid_each(errs, path, name, meta::name_subdomain(name, false));
        }
        None => {}
    }
}

/// A flag that is true or absent; one that is set is added to `set`.
pub(super) fn flag(
    errs: &mut ErrorList,
    value: Option<bool>,
    name: &str,
    quoted: &'static str,
    path: &Path,
    set: &mut Vec<&'static str>,
) {
    match value {
        Some(true) => set.push(quoted),
        Some(false) => {
            let rule = "must be either unset or set to true";
            errs.push(Error::invalid(&path.child(name), false, rule));
        }
        None => {}
    }
}

/// A single term can be merged with those of other slices.
fn one_term(errs: &mut ErrorList, selector: &NodeSelector, path: &Path) {
    let terms = &selector.node_selector_terms;
    if terms.len() != 1 {
        let rule = "must have exactly one node selector term";
        errs.push(Error::invalid(
            &path.child("nodeSelectorTerms"),
            shown("[]core.NodeSelectorTerm", terms),
            rule,
        ));
    }
}

/// Whether a device counts for the lower limit (`haveDeviceTaints`, `haveConsumesCounters`,
/// `haveListAttributes`).
fn is_advanced(device: &Device) -> bool {
    let lists = device.attributes.iter().flat_map(|a| a.values());
    let mut lists =
        lists.filter(|a| a.bools.is_some() || a.ints.is_some() || a.strings.is_some() || a.versions.is_some());
    !list(&device.taints).is_empty() || !list(&device.consumes_counters).is_empty() || lists.next().is_some()
}

/// `validateResourcePool`.
fn resource_pool(errs: &mut ErrorList, value: &ResourcePool, path: &Path) {
    pool(errs, &value.name, &path.child("name"));
    if value.resource_slice_count <= 0 {
        let path = path.child("resourceSliceCount");
        errs.push(Error::invalid(
            &path,
            value.resource_slice_count,
            "must be greater than zero",
        ));
    }
    if value.generation < 0 {
        let rule = "must be greater than or equal to zero";
        errs.push(Error::invalid(&path.child("generation"), value.generation, rule));
    }
}

/// A named set of counters (`validateCounterSet`, `validateDeviceCounterConsumption`): the field of the
/// name differs.
pub(super) fn counter_set(
    errs: &mut ErrorList,
    (field, name): (&str, &str),
    counters: &BTreeMap<String, Counter>,
    path: &Path,
) {
    if name.is_empty() {
        errs.push(Error::required(&path.child(field), ""));
    } else {
        dns_label(errs, &path.child(field), name);
    }
    let path = path.child("counters");
    if counters.is_empty() {
        errs.push(Error::required(&path, ""));
    } else {
        let (max, shown) = (Some(COUNTERS_MAX), COUNTER_NAME_MAX);
        map(errs, counters, max, shown, dns_label_at, |_, _, _| {}, &path);
    }
}

fn dns_label_at(errs: &mut ErrorList, name: &str, path: &Path) {
    dns_label(errs, path, name);
}

/// `validateMap`: keys are reported at the map, values below their key.
pub(super) fn map<T>(
    errs: &mut ErrorList,
    map: &BTreeMap<String, T>,
    max: Option<usize>,
    shown: usize,
    key_rule: fn(&mut ErrorList, &str, &Path),
    mut check: impl FnMut(&mut ErrorList, &T, &Path),
    path: &Path,
) {
    if let Some(max) = max.filter(|max| map.len() > *max) {
        errs.push(Error::too_many(path, map.len(), max));
        return;
    }
    for (key, value) in map {
        key_rule(errs, key, path);
        check(errs, value, &path.key(&truncated(key, shown)));
    }
}
