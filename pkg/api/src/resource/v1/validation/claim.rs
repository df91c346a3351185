//! ResourceClaims and their templates: what is asked for.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::resource::v1::{
    CELDeviceSelector, DeviceClaim, DeviceConstraint, DeviceRequest, DeviceSelector, DeviceToleration,
    OpaqueDeviceConfiguration, ResourceClaim, ResourceClaimSpec, ResourceClaimTemplate,
};
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde_json::Value;

use super::names::fully_qualified;
use crate::check::{
    dns_label, dns_subdomain, immutable_part, invalid_each, limited, limited_set, list, one_of, qualified_name,
    required_one_of, text,
};
use crate::core::v1::validation::csi_driver_name;
use crate::gates::{Gate, on};
use crate::meta;

/// Most requests of a claim, and most names in a list of them (`DeviceRequestsMaxSize`).
const REQUESTS_MAX: usize = 32;
/// `DeviceConstraintsMaxSize`.
const CONSTRAINTS_MAX: usize = 32;
/// `DeviceConfigMaxSize`.
pub(super) const CONFIG_MAX: usize = 32;
/// `DeviceSelectorsMaxSize`.
const SELECTORS_MAX: usize = 32;
/// `FirstAvailableDeviceRequestMaxSize`.
const FIRST_AVAILABLE_MAX: usize = 8;
/// Longest CEL expression, in bytes (`CELSelectorExpressionMaxLength`).
const EXPRESSION_MAX: usize = 10 * 1024;
/// Longest opaque parameters, in bytes (`OpaqueParametersMaxLength`).
const PARAMETERS_MAX: usize = 10 * 1024;
/// `validDeviceTaintEffects`.
pub(super) const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];

/// A new ResourceClaim (`ValidateResourceClaim`).
pub fn resource_claim_create(obj: &ResourceClaim) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    claim_spec(&mut errs, &obj.spec, &Path::new("spec"));
    errs
}

/// A changed ResourceClaim: its spec is fixed (`ValidateResourceClaimUpdate`).
pub fn resource_claim_update(new: &ResourceClaim, old: &ResourceClaim) -> ErrorList {
    let mut errs = meta::create(&new.metadata, true, meta::name_subdomain);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    immutable_part(
        &mut errs,
        &Path::new("spec"),
        "resource.ResourceClaimSpec",
        &new.spec,
        &old.spec,
    );
    errs
}

/// A new ResourceClaimTemplate (`ValidateResourceClaimTemplate`).
pub fn resource_claim_template_create(obj: &ResourceClaimTemplate) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let path = Path::new("spec");
    if let Some(metadata) = &obj.spec.metadata {
        meta::of_template(&mut errs, metadata, &path.child("metadata"));
    }
    claim_spec(&mut errs, &obj.spec.spec, &path.child("spec"));
    errs
}

/// A changed ResourceClaimTemplate: its spec is fixed (`ValidateResourceClaimTemplateUpdate`, after the
/// rules of a new one, as the strategy runs them).
pub fn resource_claim_template_update(new: &ResourceClaimTemplate, old: &ResourceClaimTemplate) -> ErrorList {
    let mut errs = resource_claim_template_create(new);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    immutable_part(
        &mut errs,
        &Path::new("spec"),
        "resource.ResourceClaimTemplateSpec",
        &new.spec,
        &old.spec,
    );
    errs
}

/// `validateDeviceClaim`.
fn claim_spec(errs: &mut ErrorList, spec: &ResourceClaimSpec, path: &Path) {
    let empty = DeviceClaim::default();
    let claim = spec.devices.as_ref().unwrap_or(&empty);
    let path = path.child("devices");
    let names = RequestNames::of(claim);
    limited_set(
        errs,
        &path.child("requests"),
        list(&claim.requests),
        REQUESTS_MAX,
        device_request,
        |r| r.name.clone(),
    );
    limited(
        errs,
        &path.child("constraints"),
        list(&claim.constraints),
        CONSTRAINTS_MAX,
        |errs, c, path| constraint(errs, c, &names, path),
    );
    limited(
        errs,
        &path.child("config"),
        list(&claim.config),
        CONFIG_MAX,
        |errs, config, path| {
            request_refs(errs, list(&config.requests), &names, &path.child("requests"));
            configuration(errs, config.opaque.as_ref(), false, path);
        },
    );
}

/// Requests of a claim by name, with the names of their alternatives (`gatherRequestNames`).
pub(super) struct RequestNames<'a>(BTreeMap<&'a str, BTreeSet<&'a str>>);

impl<'a> RequestNames<'a> {
    pub(super) fn of(claim: &'a DeviceClaim) -> Self {
        let names = list(&claim.requests).iter().map(|request| {
            let subs = list(&request.first_available).iter().map(|s| s.name.as_str());
            (request.name.as_str(), subs.collect())
        });
        RequestNames(names.collect())
    }

    fn has(&self, name: &str) -> bool {
        match name.split_once('/') {
            None => self.0.contains_key(name),
            Some((_, sub)) if sub.contains('/') => false,
            Some((request, sub)) => self.0.get(request).is_some_and(|subs| subs.contains(sub)),
        }
    }
}

/// References to requests, each once.
pub(super) fn request_refs(errs: &mut ErrorList, refs: &[String], names: &RequestNames<'_>, path: &Path) {
    let check = |errs: &mut ErrorList, name: &String, path: &Path| request_ref(errs, name, names, path);
    limited_set(errs, path, refs, REQUESTS_MAX, check, String::clone);
}

/// `validateRequestNameRef`.
pub(super) fn request_ref(errs: &mut ErrorList, name: &str, names: &RequestNames<'_>, path: &Path) {
    const RULE: &str =
        "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
    if name.split('/').count() > 2 {
        errs.push(Error::invalid(path, name, RULE));
        return;
    }
    for segment in name.split('/') {
        dns_label(errs, path, segment);
    }
    if !names.has(name) {
        errs.push(Error::invalid(path, name, RULE));
    }
}

/// `validateDeviceRequest`: one device set, or the first of several that can be had.
fn device_request(errs: &mut ErrorList, request: &DeviceRequest, path: &Path) {
    dns_label(errs, &path.child("name"), &request.name);
    let alternatives = list(&request.first_available);
    match (&request.exactly, alternatives.is_empty()) {
        (None, true) => errs.push(Error::required(
            path,
            "exactly one of `exactly` or `firstAvailable` is required",
        )),
        (Some(_), false) => errs.push(Error::invalid(
            path,
            BadValue::Null,
            "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
        )),
        (None, false) => limited_set(
            errs,
            &path.child("firstAvailable"),
            alternatives,
            FIRST_AVAILABLE_MAX,
            |errs, sub, path| {
                dns_label(errs, &path.child("name"), &sub.name);
                wanted(
                    errs,
                    &Wanted {
                        class: &sub.device_class_name,
                        selectors: list(&sub.selectors),
                        mode: text(&sub.allocation_mode),
                        count: sub.count.unwrap_or(0),
                        tolerations: list(&sub.tolerations),
                    },
                    path,
                );
            },
            |sub| sub.name.clone(),
        ),
        (Some(exact), true) => wanted(
            errs,
            &Wanted {
                class: &exact.device_class_name,
                selectors: list(&exact.selectors),
                mode: text(&exact.allocation_mode),
                count: exact.count.unwrap_or(0),
                tolerations: list(&exact.tolerations),
            },
            &path.child("exactly"),
        ),
    }
}

/// What exact requests and alternatives have in common.
struct Wanted<'a> {
    class: &'a str,
    selectors: &'a [DeviceSelector],
    mode: &'a str,
    count: i64,
    tolerations: &'a [DeviceToleration],
}

/// `validateExactDeviceRequest`, `validateDeviceSubRequest`.
fn wanted(errs: &mut ErrorList, wanted: &Wanted<'_>, path: &Path) {
    let class = path.child("deviceClassName");
    if wanted.class.is_empty() {
        errs.push(Error::required(&class, ""));
    } else {
        dns_subdomain(errs, &class, wanted.class);
    }
    selectors(errs, wanted.selectors, &path.child("selectors"));
    let count = path.child("count");
    match wanted.mode {
        "All" if wanted.count != 0 => {
            let rule = "must not be specified when allocationMode is 'All'";
            errs.push(Error::invalid(&count, wanted.count, rule));
        }
        "All" => {}
        "ExactCount" if wanted.count <= 0 => {
            errs.push(Error::invalid(&count, wanted.count, "must be greater than zero"));
        }
        "ExactCount" => {}
        other => {
            let path = path.child("allocationMode");
            errs.push(Error::not_supported(
                &path,
                BadValue::named(other),
                &["All", "ExactCount"],
            ));
        }
    }
    for (index, toleration) in wanted.tolerations.iter().enumerate() {
        self::toleration(errs, toleration, &path.child("tolerations").index(index));
    }
}

/// `validateSelectorSlice`.
pub(super) fn selectors(errs: &mut ErrorList, selectors: &[DeviceSelector], path: &Path) {
    limited(errs, path, selectors, SELECTORS_MAX, |errs, selector, path| {
        let path = path.child("cel");
        match &selector.cel {
            None => errs.push(Error::required(&path, "")),
            Some(cel) => expression(errs, cel, &path.child("expression")),
        }
    });
}

/// The part of `validateCELSelector` that needs no compiler.
fn expression(errs: &mut ErrorList, cel: &CELDeviceSelector, path: &Path) {
    if cel.expression.len() > EXPRESSION_MAX {
        errs.push(Error::too_long(path, EXPRESSION_MAX));
    }
}

/// `validateDeviceToleration`.
fn toleration(errs: &mut ErrorList, toleration: &DeviceToleration, path: &Path) {
    let key = text(&toleration.key);
    if !key.is_empty() {
        qualified_name(errs, &path.child("key"), key);
    }
    let value = text(&toleration.value);
    match text(&toleration.operator) {
        "Exists" if !value.is_empty() => {
            let rule = "must be empty for operator `Exists`";
            errs.push(Error::invalid(&path.child("value"), value, rule));
        }
        "Exists" => {}
        "Equal" => label_value(errs, value, &path.child("value")),
        other => required_one_of(errs, &path.child("operator"), other, &["Equal", "Exists"]),
    }
    let effect = text(&toleration.effect);
    if !effect.is_empty() {
        one_of(errs, &path.child("effect"), effect, &EFFECTS);
    }
}

pub(super) fn label_value(errs: &mut ErrorList, value: &str, path: &Path) {
    invalid_each(errs, path, value, apimachinery::validation::is_valid_label_value(value));
}

/// `validateDeviceConstraint`.
fn constraint(errs: &mut ErrorList, constraint: &DeviceConstraint, names: &RequestNames<'_>, path: &Path) {
    request_refs(errs, list(&constraint.requests), names, &path.child("requests"));
    if let Some(attribute) = &constraint.match_attribute {
        fully_qualified(errs, attribute, &path.child("matchAttribute"));
    } else if let Some(attribute) = &constraint.distinct_attribute {
        fully_qualified(errs, attribute, &path.child("distinctAttribute"));
    } else if !on(Gate::ConsumableCapacity) {
        errs.push(Error::required(&path.child("matchAttribute"), ""));
    } else {
        let rule = r#"exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set"#;
        errs.push(Error::required(path, rule));
    }
}

/// `validateDeviceConfiguration`; `stored` parameters may be longer than new ones.
pub(super) fn configuration(
    errs: &mut ErrorList,
    opaque: Option<&OpaqueDeviceConfiguration>,
    stored: bool,
    path: &Path,
) {
    let path = path.child("opaque");
    let Some(opaque) = opaque else {
        errs.push(Error::required(&path, ""));
        return;
    };
    csi_driver_name(errs, &opaque.driver, &path.child("driver"));
    let max = if stored { usize::MAX } else { PARAMETERS_MAX };
    raw(errs, &opaque.parameters, max, &path.child("parameters"));
}

/// `validateRawExtension`: a JSON object of at most `max` bytes.
pub(super) fn raw(errs: &mut ErrorList, raw: &RawExtension, max: usize, path: &Path) {
    match &raw.0 {
        Value::Null => errs.push(Error::required(path, "")),
        value if value.to_string().len() > max => errs.push(Error::too_long(path, max)),
        Value::Object(_) => {}
        _ => errs.push(Error::invalid(path, "<value omitted>", "must be a valid JSON object")),
    }
}
