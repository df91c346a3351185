//! What a schema may say (`ValidateCustomResourceDefinitionOpenAPISchema`, `specStandardValidatorV3`).

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrBool, JSONSchemaPropsOrStringArray, ValidationRule,
};

use super::options::Options;
use super::structural;
use super::version::map_keys;
use super::walk::{additional, item, items};
use crate::check::{list, one_of, shown, text, text_of};
use crate::internal;

/// `openapiV3Types`, sorted.
pub(super) const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// `supportedValidationReason`, sorted.
const REASONS: [&str; 4] = [
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

/// What the place of a schema forbids.
#[derive(Clone, Copy)]
struct Place<'a> {
    options: &'a Options,
    /// Why defaults are forbidden here.
    no_defaults: Option<&'a str>,
    inside_meta: bool,
    root: bool,
}

/// The root schema and all below.
pub(super) fn schema(errs: &mut ErrorList, schema: &JSONSchemaProps, options: &Options, path: &Path) {
    let place = Place {
        options,
        no_defaults: None,
        inside_meta: false,
        root: true,
    };
    walk(errs, schema, place, path);
}

fn walk(errs: &mut ErrorList, s: &JSONSchemaProps, place: Place<'_>, path: &Path) {
    let below = Place { root: false, ..place };
    fields(errs, s, place, path);
    if s.unique_items == Some(true) {
        let rule = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errs.push(Error::forbidden(&path.child("uniqueItems"), rule));
    }
    let at = path.child("additionalProperties");
    let properties = s.properties.iter().flatten();
    if s.additional_properties
        .as_ref()
        .is_some_and(|a| !matches!(a, JSONSchemaPropsOrBool::Bool(true)))
        && properties.clone().next().is_some()
    {
        let rule = "additionalProperties and properties are mutual exclusive";
        errs.push(Error::forbidden(&at, rule));
    }
    if let Some(values) = additional(s) {
        let inside = "inside additionalProperties applying to object metadata";
        let no_defaults = if place.inside_meta {
            Some(inside)
        } else {
            place.no_defaults
        };
        walk(errs, values, Place { no_defaults, ..below }, &at);
    }
    for (name, property) in properties {
        let mut below = below;
        let reason = format!("in top-level {name}");
        if (place.root || s.x_kubernetes_embedded_resource == Some(true))
            && matches!(name.as_str(), "metadata" | "kind" | "apiVersion")
        {
            below.inside_meta = true;
            if place.root {
                below.no_defaults = Some(&reason);
            }
        }
        walk(errs, property, below, &path.child("properties").key(name));
    }
    if let Some(not) = &s.not {
        walk(errs, not, below, &path.child("not"));
    }
    for (field, all) in [("allOf", &s.all_of), ("oneOf", &s.one_of), ("anyOf", &s.any_of)] {
        for (index, one) in list(all).iter().enumerate() {
            walk(errs, one, below, &path.child(field).index(index));
        }
    }
    for (name, definition) in s.definitions.iter().flatten() {
        walk(errs, definition, below, &path.child("definitions").key(name));
    }
    if let Some(item) = item(s) {
        walk(errs, item, below, &path.child("items"));
    }
    for (index, one) in items(s).iter().enumerate() {
        walk(errs, one, below, &path.child("items").index(index));
    }
    for (name, dependency) in s.dependencies.iter().flatten() {
        if let JSONSchemaPropsOrStringArray::Schema(one) = dependency {
            walk(errs, one, below, &path.child("dependencies").key(name));
        }
    }
    extensions(errs, s, place.options, path);
    if place.options.list_keys {
        list_keys(errs, s, path);
    }
    for (index, rule) in list(&s.x_kubernetes_validations).iter().enumerate() {
        self::rule(errs, rule, s, &path.child("x-kubernetes-validations").index(index));
    }
}

/// Fields of OpenAPI that custom resources do not have (`specStandardValidatorV3.validate`).
fn fields(errs: &mut ErrorList, s: &JSONSchemaProps, place: Place<'_>, path: &Path) {
    let type_ = text(&s.type_);
    if place.options.valid_types && !type_.is_empty() {
        text_of(errs, &path.child("type"), type_, &TYPES);
    }
    if let Some(reason) = place.no_defaults.filter(|_| s.default.is_some()) {
        errs.push(Error::forbidden(
            &path.child("default"),
            format!("must not be set {reason}"),
        ));
    }
    let has = |map: bool| map;
    for (field, set) in [
        ("id", !text(&s.id).is_empty()),
        ("additionalItems", s.additional_items.is_some()),
        (
            "patternProperties",
            has(s.pattern_properties.as_ref().is_some_and(|m| !m.is_empty())),
        ),
        (
            "definitions",
            has(s.definitions.as_ref().is_some_and(|m| !m.is_empty())),
        ),
        ("dependencies", s.dependencies.is_some()),
        ("$ref", s.ref_path.is_some()),
    ] {
        if set {
            errs.push(Error::forbidden(
                &path.child(field),
                format!("{field} is not supported"),
            ));
        }
    }
    if type_ == "null" {
        let rule = "type cannot be set to null, use nullable as an alternative";
        errs.push(Error::forbidden(&path.child("type"), rule));
    }
    if !items(s).is_empty() {
        let rule = "items must be a schema object and not an array";
        errs.push(Error::forbidden(&path.child("items"), rule));
    }
    if place.inside_meta && s.x_kubernetes_embedded_resource == Some(true) {
        let rule = "must not be used inside of resource meta";
        errs.push(Error::forbidden(&path.child("x-kubernetes-embedded-resource"), rule));
    }
}

/// Kubernetes' own fields: maps, lists, sets.
fn extensions(errs: &mut ErrorList, s: &JSONSchemaProps, options: &Options, path: &Path) {
    if s.x_kubernetes_preserve_unknown_fields == Some(false) {
        let path = path.child("x-kubernetes-preserve-unknown-fields");
        errs.push(Error::invalid(&path, false, "must be true or undefined"));
    }
    let type_ = text(&s.type_);
    let of_type = |errs: &mut ErrorList, wanted: &str, field: &str| {
        let rule = format!("must be {wanted} if {field} is specified");
        if type_.is_empty() {
            errs.push(Error::required(&path.child("type"), rule));
        } else if type_ != wanted {
            errs.push(Error::invalid(&path.child("type"), type_, rule));
        }
    };
    if let Some(map_type) = &s.x_kubernetes_map_type {
        of_type(errs, "object", "x-kubernetes-map-type");
        let path = path.child("x-kubernetes-map-type");
        text_of(errs, &path, map_type, &["atomic", "granular"]);
    }
    let Some(list_type) = s.x_kubernetes_list_type.as_deref() else {
        if !map_keys(s).is_empty() {
            let rule = "must be map if x-kubernetes-list-map-keys is non-empty";
            errs.push(Error::required(&path.child("x-kubernetes-list-type"), rule));
        }
        return;
    };
    if type_ != "array" {
        of_type(errs, "array", "x-kubernetes-list-type");
    } else if let Some(item) = item(s).filter(|_| options.atomic_sets && list_type == "set") {
        let field = match text(&item.type_) {
            "array" if item.x_kubernetes_list_type.as_deref().is_some_and(|t| t != "atomic") => {
                Some("x-kubernetes-list-type")
            }
            "object" if item.x_kubernetes_map_type.as_deref() != Some("atomic") => Some("x-kubernetes-map-type"),
            _ => None,
        };
        if let Some(field) = field {
            let rule = "must be atomic as item of a list with x-kubernetes-list-type=set";
            // Upstream shows the list type in both cases.
            let value = shown(&item.x_kubernetes_list_type);
            errs.push(Error::invalid(&path.child("items").child(field), value, rule));
        }
    }
    let at = path.child("x-kubernetes-list-type");
    text_of(errs, &at, list_type, &["atomic", "set", "map"]);
    if !map_keys(s).is_empty() && list_type != "map" {
        let rule = "must be map if x-kubernetes-list-map-keys is non-empty";
        errs.push(Error::invalid(&at, list_type, rule));
    }
    if list_type == "map" {
        list_map(errs, s, path);
    }
}

/// A list whose items have keys.
fn list_map(errs: &mut ErrorList, s: &JSONSchemaProps, path: &Path) {
    let at = path.child("x-kubernetes-list-map-keys");
    let keys = map_keys(s);
    if keys.is_empty() {
        errs.push(Error::required(
            &at,
            "must not be empty if x-kubernetes-list-type is map",
        ));
    }
    let items_path = path.child("items");
    if s.items.is_none() {
        let rule = "must have a schema if x-kubernetes-list-type is map";
        errs.push(Error::required(&items_path, rule));
        return;
    }
    let Some(item) = item(s) else {
        let rule = "must only have a single schema if x-kubernetes-list-type is map";
        errs.push(Error::invalid(&items_path, internal::shown("*orArray", &s.items), rule));
        return;
    };
    let type_ = text(&item.type_);
    if type_ != "object" {
        let rule = "must be object if parent array's x-kubernetes-list-type is map";
        errs.push(Error::invalid(&items_path.child("type"), type_, rule));
        return;
    }
    for (index, key) in keys.iter().enumerate() {
        match item.properties.as_ref().and_then(|p| p.get(key)) {
            None => {
                let rule = "entries must all be names of item properties";
                errs.push(Error::invalid(&at, shown(&keys), rule));
            }
            Some(property) if matches!(text(&property.type_), "array" | "object") => {
                let path = items_path.child("properties").key(key).child("type");
                let rule = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                errs.push(Error::invalid(&path, type_, rule));
            }
            Some(_) => {}
        }
        if keys[..index].contains(key) {
            errs.push(Error::invalid(&at, shown(&keys), "must not contain duplicate entries"));
        }
    }
}

/// Items of sets and maps are never null, and their keys always there (`validateMapListKeysMapSet`).
pub(super) fn list_keys(errs: &mut ErrorList, s: &JSONSchemaProps, path: &Path) {
    let list_type = text(&s.x_kubernetes_list_type);
    let Some(item) = item(s).filter(|_| matches!(list_type, "set" | "map")) else {
        return;
    };
    let path = path.child("items");
    if item.nullable == Some(true) {
        let rule = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errs.push(Error::forbidden(&path.child("nullable"), rule));
    }
    for key in map_keys(s).iter().filter(|_| list_type == "map") {
        let Some(property) = item.properties.as_ref().and_then(|p| p.get(key)) else {
            continue;
        };
        let path = path.child("properties").key(key);
        if !list(&item.required).contains(key) && property.default.is_none() {
            let rule =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errs.push(Error::required(&path.child("default"), rule));
        }
        if property.nullable == Some(true) {
            let rule = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errs.push(Error::forbidden(&path.child("nullable"), rule));
        }
    }
}

/// One rule of `x-kubernetes-validations`, apart from its expressions.
fn rule(errs: &mut ErrorList, rule: &ValidationRule, s: &JSONSchemaProps, path: &Path) {
    let broken = |text: &str| text.contains(['\n', '\r']);
    let (expression, message) = (rule.rule.trim(), text(&rule.message));
    if expression.is_empty() {
        errs.push(Error::required(&path.child("rule"), "rule is not specified"));
    } else if !message.is_empty() && message.trim().is_empty() {
        let why = "must be non-empty if specified";
        errs.push(Error::invalid(&path.child("message"), message, why));
    } else if broken(message.trim()) {
        errs.push(Error::invalid(
            &path.child("message"),
            message,
            "must not contain line breaks",
        ));
    } else if broken(expression) && message.trim().is_empty() {
        let why = "message must be specified if rule contains line breaks";
        errs.push(Error::required(&path.child("message"), why));
    }
    let message = text(&rule.message_expression);
    if !message.is_empty() && message.trim().is_empty() {
        let why = "messageExpression must be non-empty if specified";
        errs.push(Error::required(&path.child("messageExpression"), why));
    }
    if let Some(reason) = &rule.reason {
        one_of(errs, &path.child("reason"), reason, &REASONS);
    }
    let field = text(&rule.field_path);
    if field.is_empty() {
        return;
    }
    let path = path.child("fieldPath");
    if field.trim().is_empty() {
        errs.push(Error::invalid(&path, field, "must be non-empty if specified"));
    }
    if broken(field) {
        errs.push(Error::invalid(&path, field, "must not contain line breaks"));
    }
    if structural::unsupported(s).is_none() && structural::field_at(s, field, true).is_err() {
        errs.push(Error::invalid(&path, field, "must be a valid path"));
    }
}
