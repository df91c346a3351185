//! Nodes.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::is_valid_label_value;
use k8s_openapi::api::core::v1::{Node, Taint};

use super::node_config::configurations;
use super::{resources, scheduling};
use crate::check::{legacy_cidr, list, qualified_name, sloppy_cidr, text, to_value};
use crate::internal::shown;
use crate::meta;

/// A new node (`ValidateNode`).
pub fn node_create(obj: &Node) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    taints(&mut errs, obj);
    amounts(&mut errs, obj);
    let swap = obj
        .status
        .as_ref()
        .and_then(|s| s.node_info.as_ref()?.swap.as_ref()?.capacity);
    if let Some(capacity) = swap.filter(|c| *c <= 0) {
        let path = Path::new("metadata").child("nodeSwapStatus").child("capacity");
        errs.push(Error::invalid(&path, capacity, "must be greater than zero"));
    }
    declared_features(&mut errs, obj);
    let cidrs = obj.spec.as_ref().map_or(&[][..], |s| list(&s.pod_cidrs));
    let path = Path::new("spec").child("podCIDRs");
    for (index, range) in cidrs.iter().enumerate() {
        legacy_cidr(&mut errs, &path.index(index), range, &[]);
    }
    let unknown = cidrs.iter().enumerate().find(|(_, c)| sloppy_cidr(c).is_none());
    if let Some((index, range)) = unknown.filter(|_| cidrs.len() > 1) {
        let why = format!("error:invalid CIDR[{index}]: <nil> (invalid CIDR address: {range})");
        let why = format!("invalid PodCIDRs. failed to check with dual stack with {why}");
        errs.push(Error::internal(&path, why));
    }
    let six = cidrs.iter().filter(|c| c.contains(':')).count();
    if cidrs.len() > 1 && (cidrs.len() > 2 || six != 1) {
        let rule = "may specify no more than one CIDR for each IP family";
        errs.push(Error::invalid(&path, &to_value(&cidrs), rule));
    }
    errs
}

/// `validateNodeDeclaredFeatures`: names in order, each once.
fn declared_features(errs: &mut ErrorList, obj: &Node) {
    let features = obj.status.as_ref().map_or(&[][..], |s| list(&s.declared_features));
    let path = Path::new("status").child("declaredFeatures");
    for (index, feature) in features.iter().enumerate() {
        let word = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.chars().all(|c| c.is_ascii_alphanumeric())
        };
        if feature.len() > 253 {
            let rule = format!("invalid feature name {feature:?}: must be no more than 253 characters");
            errs.push(Error::invalid(&path.index(index), feature, rule));
        } else if !feature.starts_with(|c: char| c.is_ascii_uppercase()) || !feature.split('/').all(word) {
            let rule = format!(
                "invalid feature name {feature:?}: must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
            );
            errs.push(Error::invalid(&path.index(index), feature, rule));
        }
        let Some(next) = features.get(index + 1) else { continue };
        let path = path.index(index + 1);
        if feature == next {
            errs.push(Error::duplicate(&path, next));
        } else if feature > next {
            errs.push(Error::invalid(&path, next, "list must be sorted alphabetically"));
        }
    }
}

/// A changed node: the rules of a new one, then those of a change (the strategy's `ValidateUpdate`).
pub fn node_update(new: &Node, old: &Node) -> ErrorList {
    let mut errs = node_create(new);
    errs.extend(node_status_update(new, old));
    errs
}

/// A changed node or its status (`ValidateNodeUpdate`).
pub fn node_status_update(new: &Node, old: &Node) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    amounts(&mut errs, new);
    declared_features(&mut errs, new);
    let mut seen = BTreeSet::new();
    for (index, address) in new.status.iter().flat_map(|s| list(&s.addresses)).enumerate() {
        if !seen.insert((&address.type_, &address.address)) {
            let path = Path::new("status").child("addresses").index(index);
            errs.push(Error::duplicate(&path, shown("core.NodeAddress", address)));
        }
    }
    let path = Path::new("spec");
    let cidrs = |n: &Node| n.spec.as_ref().and_then(|s| s.pod_cidrs.clone()).unwrap_or_default();
    if !cidrs(old).is_empty() && cidrs(old) != cidrs(new) {
        let (old, new) = (cidrs(old), cidrs(new));
        let differ = old.iter().zip(&new).filter(|(o, n)| o != n).count();
        let times = if old.len() == new.len() { differ } else { 1 };
        for _ in 0..times {
            let rule = "node updates may not change podCIDR except from \"\" to valid";
            errs.push(Error::forbidden(&path.child("podCIDRs"), rule));
        }
    }
    let provider = |n: &Node| n.spec.as_ref().and_then(|s| s.provider_id.clone()).unwrap_or_default();
    if !provider(old).is_empty() && provider(old) != provider(new) {
        let rule = "node updates may not change providerID except from \"\" to valid";
        errs.push(Error::forbidden(&path.child("providerID"), rule));
    }
    configurations(&mut errs, new);
    taints(&mut errs, new);
    let external = |n: &Node| n.spec.as_ref().and_then(|s| s.external_id.clone()).unwrap_or_default();
    if external(new) != external(old) {
        errs.push(Error::forbidden(&path.child("externalID"), "may not be updated"));
    }
    errs
}

/// `ValidateNodeResources`.
fn amounts(errs: &mut ErrorList, obj: &Node) {
    let Some(status) = &obj.status else { return };
    for (field, amounts) in [("capacity", &status.capacity), ("allocatable", &status.allocatable)] {
        for (name, raw) in amounts.iter().flatten() {
            let path = Path::new("status").child(field).child(name);
            resources::amount(errs, name, raw, &path);
        }
    }
}

/// `validateNodeTaints`; upstream reports them under metadata.
fn taints(errs: &mut ErrorList, obj: &Node) {
    let taints = obj.spec.as_ref().map_or(&[][..], |s| list(&s.taints));
    let path = Path::new("metadata").child("taints");
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        qualified_name(errs, &path.child("key"), &taint.key);
        let value = text(&taint.value);
        let messages = is_valid_label_value(value);
        if !messages.is_empty() {
            errs.push(Error::invalid(&path.child("value"), value, messages.join(";")));
        }
        if taint.effect.is_empty() {
            errs.push(Error::required(&path.child("effect"), ""));
        } else {
            scheduling::taint_effect(errs, &taint.effect, &path.child("effect"));
        }
        let same = |t: &Taint| t.key == taint.key && t.effect == taint.effect;
        if taints[..index].iter().any(same) {
            let mut error = Error::duplicate(&path, shown("core.Taint", taint));
            error.detail = "taints must be unique by key and effect pair".to_string();
            errs.push(error);
        }
    }
}
