//! LimitRanges and ResourceQuotas.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, ResourceQuota, ResourceQuotaSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

use super::resources;
use crate::check::{IMMUTABLE, list, one_of, qualified_name, quantity, required, to_value};
use crate::meta;

type Amounts = Option<BTreeMap<String, RawQuantity>>;

/// A LimitRange, new or changed (`ValidateLimitRange`; upstream does not compare with the old one).
pub fn limit_range(obj: &LimitRange) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let items: Vec<&LimitRangeItem> = obj.spec.iter().flat_map(|s| &s.limits).collect();
    for (index, item) in items.iter().enumerate() {
        let path = Path::new("spec").child("limits").index(index);
        let type_ = item.type_.as_str();
        qualified_name(&mut errs, &path.child("type"), type_);
        if !type_.contains('/') && !matches!(type_, "Pod" | "Container" | "PersistentVolumeClaim") {
            let rule = "must be a standard limit type or fully qualified";
            errs.push(Error::invalid(&path.child("type"), type_, rule));
        }
        if items[..index].iter().any(|i| i.type_ == type_) {
            errs.push(Error::duplicate(&path.child("type"), type_));
        }
        limit_item(&mut errs, item, &path);
    }
    errs
}

fn limit_item(errs: &mut ErrorList, item: &LimitRangeItem, path: &Path) {
    let name_rule = match item.type_.as_str() {
        "Pod" | "Container" => resources::container_name,
        _ => resources::resource_name,
    };
    for (field, amounts) in [
        ("max", &item.max),
        ("min", &item.min),
        ("default", &item.default),
        ("defaultRequest", &item.default_request),
        ("maxLimitRequestRatio", &item.max_limit_request_ratio),
    ] {
        if item.type_ == "Pod" && field.starts_with("default") {
            if amounts.as_ref().is_some_and(|a| !a.is_empty()) {
                let rule = "may not be specified when `type` is 'Pod'";
                errs.push(Error::forbidden(&path.child(field), rule));
            }
            continue;
        }
        for name in amounts.iter().flatten().map(|(name, _)| name) {
            name_rule(errs, name, &path.child(field).key(name));
        }
    }
    let has_storage = |a: &Amounts| a.as_ref().is_some_and(|a| a.contains_key("storage"));
    if item.type_ == "PersistentVolumeClaim" && !has_storage(&item.min) && !has_storage(&item.max) {
        let rule = "either minimum or maximum storage value is required, but neither was provided";
        errs.push(Error::required(&path.child("limits"), rule));
    }
    order(errs, item, path);
}

/// min <= default request <= default <= max, for every resource.
fn order(errs: &mut ErrorList, item: &LimitRangeItem, path: &Path) {
    let names: BTreeSet<&String> = [&item.max, &item.min, &item.default, &item.default_request]
        .into_iter()
        .flat_map(|a| a.iter().flatten().map(|(name, _)| name))
        .collect();
    for name in names {
        let amount = |a: &Amounts| a.as_ref().and_then(|a| a.get(name)).map(quantity);
        let (min, max) = (amount(&item.min), amount(&item.max));
        let (default, request) = (amount(&item.default), amount(&item.default_request));
        for (field, low, low_text, high, high_text) in [
            ("min", min, "min", max, "max"),
            ("defaultRequest", min, "min", request, "default request"),
            ("defaultRequest", request, "default request", max, "max"),
            ("defaultRequest", request, "default request", default, "default limit"),
            ("default", min, "min", default, "default"),
            ("default", default, "default", max, "max"),
        ] {
            let (Some(low), Some(high)) = (low, high) else { continue };
            if low > high {
                let rule = format!("{low_text} value {low} is greater than {high_text} value {high}");
                errs.push(Error::invalid(&path.child(field).key(name), low.to_string(), rule));
            }
        }
        if let (Some(default), Some(request)) = (default, request)
            && default != request
            && !resources::overcommit_allowed(name)
        {
            let rule = format!("default value {default} must equal to defaultRequest value {request} in {name}");
            let path = path.child("defaultRequest").key(name);
            errs.push(Error::invalid(&path, request.to_string(), rule));
        }
    }
}

/// A new ResourceQuota (`ValidateResourceQuota`).
pub fn resource_quota_create(obj: &ResourceQuota) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    quota_spec(&mut errs, obj.spec.as_ref());
    errs
}

/// A changed ResourceQuota (`ValidateResourceQuotaUpdate`): scopes stay.
pub fn resource_quota_update(new: &ResourceQuota, old: &ResourceQuota) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    quota_spec(&mut errs, new.spec.as_ref());
    let scopes =
        |q: &ResourceQuota| -> BTreeSet<String> { q.spec.iter().flat_map(|s| list(&s.scopes)).cloned().collect() };
    if scopes(new) != scopes(old) {
        let path = Path::new("spec").child("scopes");
        errs.push(Error::invalid(&path, &to_value(&scopes(new)), IMMUTABLE));
    }
    errs
}

/// A changed ResourceQuota status (`ValidateResourceQuotaStatusUpdate`).
pub fn resource_quota_status_update(new: &ResourceQuota, old: &ResourceQuota) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let Some(status) = &new.status else { return errs };
    for (field, amounts) in [("hard", &status.hard), ("used", &status.used)] {
        quota_amounts(&mut errs, amounts, &Path::new("status").child(field));
    }
    errs
}

fn quota_amounts(errs: &mut ErrorList, amounts: &Amounts, path: &Path) {
    for (name, raw) in amounts.iter().flatten() {
        resources::quota_name(errs, name, &path.key(name));
        resources::amount(errs, name, raw, &path.key(name));
    }
}

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];

/// `ValidateResourceQuotaSpec`.
fn quota_spec(errs: &mut ErrorList, spec: Option<&ResourceQuotaSpec>) {
    let Some(spec) = spec else { return };
    let path = Path::new("spec");
    quota_amounts(errs, &spec.hard, &path.child("hard"));
    let scopes = list(&spec.scopes);
    let scopes_path = path.child("scopes");
    if scopes.iter().any(|s| !SCOPES.contains(&s.as_str())) {
        errs.push(Error::invalid(&scopes_path, &to_value(&scopes), "unsupported scope"));
    }
    for pair in [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]] {
        if pair.iter().all(|p| scopes.iter().any(|s| s == p)) {
            errs.push(Error::invalid(&scopes_path, &to_value(&scopes), "conflicting scopes"));
        }
    }
    for r in spec.scope_selector.iter().flat_map(|s| list(&s.match_expressions)) {
        let path = path.child("scopeSelector").child("matchExpressions");
        required(errs, &path.child("scopeName"), &r.scope_name);
        if !SCOPES.contains(&r.scope_name.as_str()) {
            errs.push(Error::invalid(
                &path.child("scopeName"),
                &r.scope_name,
                "unsupported scope",
            ));
        }
        let known = ["In", "NotIn", "Exists", "DoesNotExist"];
        one_of(errs, &path.child("operator"), &r.operator, &known);
        let needs_values = matches!(r.operator.as_str(), "In" | "NotIn");
        if needs_values && list(&r.values).is_empty() {
            let rule = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errs.push(Error::required(&path.child("values"), rule));
        }
    }
}
