//! LimitRanges and ResourceQuotas.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::quantity::{Format, Quantity};
use apimachinery::validation as rules;
use k8s_openapi::api::core::v1::{
    LimitRange, LimitRangeItem, ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

use super::resources;
use crate::check::{IMMUTABLE, invalid_each, list, quantity, shown, text, to_value};
use crate::meta;

type Amounts = Option<BTreeMap<String, RawQuantity>>;

/// A LimitRange, new or changed (`ValidateLimitRange`; upstream does not compare with the old one).
pub fn limit_range(obj: &LimitRange) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let items: Vec<&LimitRangeItem> = obj.spec.iter().flat_map(|s| &s.limits).collect();
    for (index, item) in items.iter().enumerate() {
        let path = Path::new("spec").child("limits").index(index);
        let type_ = item.type_.as_str();
        let before = errs.len();
        invalid_each(
            &mut errs,
            &path.child("type"),
            BadValue::named(type_),
            rules::is_qualified_name(type_),
        );
        if errs.len() == before
            && !type_.contains('/')
            && !matches!(type_, "Pod" | "Container" | "PersistentVolumeClaim")
        {
            let rule = "must be a standard limit type or fully qualified";
            errs.push(Error::invalid(&path.child("type"), BadValue::named(type_), rule));
        }
        if items[..index].iter().any(|i| i.type_ == type_) {
            errs.push(Error::duplicate(&path.child("type"), BadValue::named(type_)));
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
        // Which of the two amounts is shown differs from rule to rule, as it does upstream.
        for (field, low, low_text, high, high_text, shown) in [
            ("min", min, "min", max, "max", min),
            ("defaultRequest", min, "min", request, "default request", request),
            ("defaultRequest", request, "default request", max, "max", request),
            (
                "defaultRequest",
                request,
                "default request",
                default,
                "default limit",
                request,
            ),
            ("default", min, "min", default, "default", min),
            ("default", default, "default", max, "max", max),
        ] {
            let (Some(low), Some(high), Some(shown)) = (low, high, shown) else {
                continue;
            };
            if low > high {
                let rule = format!("{low_text} value {low} is greater than {high_text} value {high}");
                errs.push(Error::invalid(&path.child(field).key(name), shown.to_string(), rule));
            }
        }
        if let Some(ratio) = amount(&item.max_limit_request_ratio) {
            self::ratio(errs, ratio, min, max, &path.child("maxLimitRequestRatio").key(name));
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

/// The largest ratio of limit to request is at least one and within what min and max allow.
fn ratio(errs: &mut ErrorList, ratio: Quantity, min: Option<Quantity>, max: Option<Quantity>, path: &Path) {
    if ratio < Quantity::new(1, Format::DecimalSi) {
        let rule = format!("ratio {ratio} is less than 1");
        errs.push(Error::invalid(path, ratio.to_string(), rule));
    }
    let (Some(min), Some(max)) = (min, max) else { return };
    let most = max.as_f64() / min.as_f64();
    if ratio.as_f64() > most {
        let rule = format!("ratio {ratio} is greater than max/min = {most:.6}");
        errs.push(Error::invalid(path, ratio.to_string(), rule));
    }
}

/// A new ResourceQuota (`ValidateResourceQuota`).
pub fn resource_quota_create(obj: &ResourceQuota) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    quota_spec(&mut errs, obj.spec.as_ref());
    if let Some(status) = &obj.status {
        for (field, amounts) in [("hard", &status.hard), ("used", &status.used)] {
            quota_amounts(&mut errs, amounts, &Path::new("status").child(field));
        }
    }
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
        let scopes = new.spec.as_ref().and_then(|s| s.scopes.as_ref());
        errs.push(Error::invalid(&path, shown(&scopes), IMMUTABLE));
    }
    errs
}

/// A changed ResourceQuota status (`ValidateResourceQuotaStatusUpdate`).
pub fn resource_quota_status_update(new: &ResourceQuota, old: &ResourceQuota) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    if text(&new.metadata.resource_version).is_empty() {
        errs.push(Error::required(&Path::new("resourceVersion"), ""));
    }
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
    for scope in scopes {
        if !SCOPES.contains(&scope.as_str()) {
            errs.push(Error::invalid(&scopes_path, &to_value(&scopes), "unsupported scope"));
        }
        for _ in unfit(scope, &spec.hard) {
            let rule = "unsupported scope applied to resource";
            errs.push(Error::invalid(&scopes_path, &to_value(&scopes), rule));
        }
    }
    let named: Vec<&str> = scopes.iter().map(String::as_str).collect();
    conflicts(errs, &named, spec, &scopes_path);
    if let Some(selector) = &spec.scope_selector {
        let requirements = list(&selector.match_expressions);
        let path = path.child("scopeSelector").child("matchExpressions");
        for r in requirements {
            scope_requirement(errs, r, spec, &path);
        }
        let named: Vec<&str> = requirements.iter().map(|r| r.scope_name.as_str()).collect();
        conflicts(errs, &named, spec, &path);
    }
}

fn conflicts(errs: &mut ErrorList, scopes: &[&str], spec: &ResourceQuotaSpec, path: &Path) {
    for pair in [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]] {
        if pair.iter().all(|p| scopes.contains(p)) {
            errs.push(Error::invalid(path, shown(&spec.scopes), "conflicting scopes"));
        }
    }
}

/// Resources of the quota that a scope cannot be asked about (`IsResourceQuotaScopeValidForResource`).
fn unfit<'a>(scope: &str, hard: &'a Amounts) -> Vec<&'a String> {
    const COMPUTE: [&str; 6] = [
        "cpu",
        "memory",
        "limits.cpu",
        "limits.memory",
        "requests.cpu",
        "requests.memory",
    ];
    let fits = |name: &str| match scope {
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => {
            name == "pods" || COMPUTE.contains(&name)
        }
        _ => true,
    };
    let names = hard.iter().flatten().map(|(name, _)| name);
    names.filter(|n| resources::is_quota_name(n) && !fits(n)).collect()
}

/// `validateScopedResourceSelectorRequirement`.
fn scope_requirement(
    errs: &mut ErrorList,
    r: &ScopedResourceSelectorRequirement,
    spec: &ResourceQuotaSpec,
    path: &Path,
) {
    let scope = r.scope_name.as_str();
    if !SCOPES.contains(&scope) {
        errs.push(Error::invalid(
            &path.child("scopeName"),
            BadValue::named(scope),
            "unsupported scope",
        ));
    }
    for _ in unfit(scope, &spec.hard) {
        let value = crate::internal::shown("*core.ScopeSelector", &spec.scope_selector);
        let rule = "unsupported scope applied to resource";
        errs.push(Error::invalid(path, value, rule));
    }
    if scope != "PriorityClass" && scope != "VolumeAttributesClass" && SCOPES.contains(&scope) && r.operator != "Exists"
    {
        let rule = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
        errs.push(Error::invalid(
            &path.child("operator"),
            BadValue::named(&r.operator),
            rule,
        ));
    }
    let values = path.child("values");
    match (r.operator.as_str(), list(&r.values).is_empty()) {
        ("In" | "NotIn", true) => {
            let rule = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errs.push(Error::required(&values, rule));
        }
        ("Exists" | "DoesNotExist", false) => {
            let rule = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errs.push(Error::invalid(&values, shown(&r.values), rule));
        }
        ("In" | "NotIn" | "Exists" | "DoesNotExist", _) => {}
        (other, _) => {
            let rule = "not a valid selector operator";
            errs.push(Error::invalid(&path.child("operator"), BadValue::named(other), rule));
        }
    }
}
