//! Small checks that every rule set uses. Each appends to the error list it is given.

mod addresses;
mod collections;
mod webhook;

use std::collections::BTreeMap;

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::quantity::Quantity;
use apimachinery::validation as rules;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;
use serde_json::Value;

pub(crate) use addresses::{is_dual_stack, is_ipv6, legacy_cidr, legacy_ip, sloppy_cidr, sloppy_ip};
pub use addresses::{warnings_for_cidr, warnings_for_ip};
pub(crate) use collections::{conditions, limited, limited_set, shown};
pub(crate) use webhook::{
    Url, WebhookService, ca_bundle, is_ca_bundle, is_review_version, review_versions, webhook_client,
};

/// Text of an optional string; absent is empty.
pub(crate) fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("")
}

/// Elements of an optional list; absent is empty.
pub(crate) fn list<T>(value: &Option<Vec<T>>) -> &[T] {
    value.as_deref().unwrap_or(&[])
}

/// One `Invalid` per message.
pub(crate) fn invalid_each(errs: &mut ErrorList, path: &Path, value: impl Into<BadValue>, messages: Vec<String>) {
    let value = value.into();
    errs.extend(messages.into_iter().map(|m| Error::invalid(path, value.clone(), m)));
}

/// An optional number must not be negative (`ValidateNonnegativeField`).
pub(crate) fn non_negative(errs: &mut ErrorList, path: &Path, value: impl Into<Option<i64>>) {
    if let Some(value) = value.into().filter(|v| *v < 0) {
        errs.push(Error::invalid(path, value, NEGATIVE));
    }
}

/// Upstream's `IsNegativeErrorMsg`.
pub(crate) const NEGATIVE: &str = "must be greater than or equal to 0";
/// Upstream's `FieldImmutableErrorMsg`.
pub(crate) const IMMUTABLE: &str = "field is immutable";

/// A value out of a fixed set, which is a type of its own in Go; `allowed` in the order the message lists it.
pub(crate) fn one_of(errs: &mut ErrorList, path: &Path, value: &str, allowed: &[&str]) {
    if !allowed.contains(&value) {
        errs.push(Error::not_supported(path, BadValue::named(value), allowed));
    }
}

/// [`one_of`] for a field that is a plain text in Go.
pub(crate) fn text_of(errs: &mut ErrorList, path: &Path, value: &str, allowed: &[&str]) {
    if !allowed.contains(&value) {
        errs.push(Error::not_supported(path, value, allowed));
    }
}

/// [`one_of`] for a value that must be there.
pub(crate) fn required_one_of(errs: &mut ErrorList, path: &Path, value: &str, allowed: &[&str]) {
    if value.is_empty() {
        errs.push(Error::required(path, ""));
    } else {
        one_of(errs, path, value, allowed);
    }
}

/// A text that must be there.
pub(crate) fn required(errs: &mut ErrorList, path: &Path, value: &str) {
    if value.is_empty() {
        errs.push(Error::required(path, ""));
    }
}

/// A DNS-1123 label (`ValidateDNS1123Label`).
pub(crate) fn dns_label(errs: &mut ErrorList, path: &Path, value: &str) {
    invalid_each(errs, path, value, rules::is_dns1123_label(value));
}

/// A DNS-1123 subdomain (`ValidateDNS1123Subdomain`).
pub(crate) fn dns_subdomain(errs: &mut ErrorList, path: &Path, value: &str) {
    invalid_each(errs, path, value, rules::is_dns1123_subdomain(value));
}

/// A qualified name (`ValidateQualifiedName`, `ValidateLabelName`).
pub(crate) fn qualified_name(errs: &mut ErrorList, path: &Path, value: &str) {
    invalid_each(errs, path, value, rules::is_qualified_name(value));
}

/// A port number, 1 to 65535 (`IsValidPortNum`).
pub(crate) fn port(errs: &mut ErrorList, path: &Path, value: i32) {
    for message in rules::is_valid_port(i64::from(value)) {
        errs.push(Error::invalid(path, value, message));
    }
}

/// A port number or name (`ValidatePortNumOrName`).
pub(crate) fn port_or_name(errs: &mut ErrorList, path: &Path, value: &IntOrString) {
    match value {
        IntOrString::Int(number) => port(errs, path, *number),
        IntOrString::String(name) => invalid_each(errs, path, name, rules::is_valid_port_name(name)),
    }
}

/// A user or group id.
pub(crate) fn unix_id(errs: &mut ErrorList, path: &Path, value: Option<i64>) {
    let Some(id) = value else { return };
    for message in rules::is_valid_unix_id(id) {
        errs.push(Error::invalid(path, id, message));
    }
}

/// File permission bits, 0 to 0777.
pub(crate) fn file_mode(errs: &mut ErrorList, path: &Path, mode: Option<i32>) {
    if let Some(mode) = mode.filter(|m| !(0..=0o777).contains(m)) {
        let rule = "must be a number between 0 and 0777 (octal), both inclusive";
        errs.push(Error::invalid(path, mode, rule));
    }
}

/// No `..` element (`validatePathNoBacksteps`).
pub(crate) fn no_backsteps(errs: &mut ErrorList, path: &Path, value: &str) {
    if value.split('/').any(|part| part == "..") {
        errs.push(Error::invalid(path, value, "must not contain '..'"));
    }
}

/// Relative and without `..` (`validateLocalDescendingPath`).
pub(crate) fn descending_path(errs: &mut ErrorList, path: &Path, value: &str) {
    if value.starts_with('/') {
        errs.push(Error::invalid(path, value, "must be a relative path"));
    }
    no_backsteps(errs, path, value);
}

/// [`descending_path`] that also keeps clear of the atomic writer's names
/// (`ValidateLocalNonReservedPath`).
pub(crate) fn non_reserved_path(errs: &mut ErrorList, path: &Path, value: &str) {
    descending_path(errs, path, value);
    if value.starts_with("..") && !value.starts_with("../") {
        errs.push(Error::invalid(path, value, "must not start with '..'"));
    }
}

/// Parses an amount; zero when it is malformed.
pub(crate) fn quantity(raw: &RawQuantity) -> Quantity {
    Quantity::from_api(raw).unwrap_or_default()
}

/// A value that may not change (`ValidateImmutableField`).
pub(crate) fn immutable<T: Serialize>(errs: &mut ErrorList, path: &Path, new: &T, old: &T) {
    let (new, old) = (to_value(new), to_value(old));
    if !equal_values(&new, &old) {
        errs.push(Error::invalid(path, &new, IMMUTABLE));
    }
}

/// [`immutable`] for a text that is a pointer or a type of its own in Go.
pub(crate) fn immutable_named<T: Serialize>(errs: &mut ErrorList, path: &Path, new: &T, old: &T) {
    let (new, old) = (to_value(new), to_value(old));
    if !equal_values(&new, &old) {
        let shown = new.as_str().map_or(BadValue::Null, BadValue::named);
        errs.push(Error::invalid(path, shown, IMMUTABLE));
    }
}

/// [`immutable`] for a part that upstream shows as its own type: `kind` as `crate::internal` names it.
pub(crate) fn immutable_part<T: Serialize + PartialEq>(
    errs: &mut ErrorList,
    path: &Path,
    kind: &'static str,
    new: &T,
    old: &T,
) {
    if !equal(new, old) {
        errs.push(Error::invalid(path, crate::internal::shown(kind, new), IMMUTABLE));
    }
}

/// Whether two objects mean the same (`equality.Semantic.DeepEqual`): a missing list, string,
/// number or false equals the empty one.
pub fn equal<T: Serialize + PartialEq>(a: &T, b: &T) -> bool {
    // Most parts of an update are what they were: then nothing is made to be compared.
    a == b || equal_values(&to_value(a), &to_value(b))
}

pub(crate) fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

fn equal_values(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let same = |key: &String, value: &Value, other: Option<&Value>| match other {
                Some(other) => equal_values(value, other),
                None => is_unset(key, value),
            };
            a.iter().all(|(k, v)| same(k, v, b.get(k))) && b.iter().all(|(k, v)| a.contains_key(k) || is_unset(k, v))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal_values(a, b)),
        (a, b) => a == b,
    }
}

/// Fields that are maps or structs held by value in Go: an empty one equals a missing one. Other empty objects are set
/// pointers (`emptyDir: {}`) and do not.
const MAPS: [&str; 14] = [
    "annotations",
    "data",
    "binaryData",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "overhead",
    "requests",
    "metadata",
    "consumedCapacity",
    "options",
    "parameters",
    "volumeAttributes",
];

fn is_unset(key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && MAPS.contains(&key),
        _ => false,
    }
}

/// Rewrites every amount of a list in canonical form, rounded up to thousandths
/// (`SetDefaults_ResourceList`).
pub(crate) fn canonical_list(list: &mut Option<BTreeMap<String, RawQuantity>>) {
    for raw in list.iter_mut().flat_map(BTreeMap::values_mut) {
        canonical(raw);
    }
}

/// Rewrites one amount in canonical form.
pub(crate) fn canonical(raw: &mut RawQuantity) {
    if let Ok(amount) = Quantity::from_api(raw) {
        let rounded = if amount.nano_units() % 1_000_000 == 0 {
            amount
        } else {
            Quantity::from_milli(amount.milli_value(), amount.format())
        };
        *raw = rounded.to_api();
    }
}
