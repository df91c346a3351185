//! Structural schemas: every field has a type outside of the logical junctors (`pkg/apiserver/schema`).

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrBool, JSONSchemaPropsOrStringArray,
};
use serde_json::{Value, json};

use super::version::map_keys;
use super::walk::{additional, item, items, visit};
use crate::check::{list, text, to_value};

/// Why a schema has no structural form at all (`NewStructural`), in the first place it is found.
pub(super) fn unsupported(schema: &JSONSchemaProps) -> Option<String> {
    let mut found = None;
    visit(schema, &mut |s| {
        if found.is_none() {
            found = unsupported_here(s);
        }
    });
    found
}

/// `validateUnsupportedFields` and the conversions that fail.
fn unsupported_here(s: &JSONSchemaProps) -> Option<String> {
    let filled =
        |m: &Option<std::collections::BTreeMap<String, JSONSchemaProps>>| m.as_ref().is_some_and(|m| !m.is_empty());
    let dependencies: Option<&std::collections::BTreeMap<String, JSONSchemaPropsOrStringArray>> =
        s.dependencies.as_ref();
    let field = [
        ("id", !text(&s.id).is_empty()),
        ("schema", !text(&s.schema).is_empty()),
        ("$ref", !text(&s.ref_path).is_empty()),
        ("patternProperties", filled(&s.pattern_properties)),
        ("dependencies", dependencies.is_some_and(|d| !d.is_empty())),
        ("additionalItems", s.additional_items.is_some()),
        ("definitions", filled(&s.definitions)),
    ];
    if let Some((name, _)) = field.into_iter().find(|(_, set)| *set) {
        return Some(format!("OpenAPIV3Schema '{name}' is not supported"));
    }
    if s.x_kubernetes_preserve_unknown_fields == Some(false) {
        return Some("internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined".to_string());
    }
    (!items(s).is_empty()).then(|| "OpenAPIV3Schema 'items' must be a schema, but is an array".to_string())
}

/// Whether a schema is structural.
pub(super) fn is_structural(schema: &JSONSchemaProps) -> bool {
    let mut errs = vec![];
    structural(&mut errs, schema, &Path::root());
    errs.is_empty() && unsupported(schema).is_none()
}

/// `ValidateStructural`; its errors are sorted by their texts.
pub(super) fn structural(errs: &mut ErrorList, schema: &JSONSchemaProps, path: &Path) {
    let mut found = vec![];
    invariants(&mut found, schema, Level::Root, path);
    complete(&mut found, schema, Some(schema), path, path);
    found.sort_by_cached_key(ToString::to_string);
    errs.extend(found);
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

/// `validateStructuralInvariants`.
fn invariants(errs: &mut ErrorList, s: &JSONSchemaProps, level: Level, path: &Path) {
    let type_ = text(&s.type_);
    let embedded = s.x_kubernetes_embedded_resource == Some(true);
    let int_or_string = s.x_kubernetes_int_or_string == Some(true);
    let preserve = s.x_kubernetes_preserve_unknown_fields == Some(true);
    if type_ == "array" && item(s).is_none() {
        errs.push(Error::required(&path.child("items"), "must be specified"));
    }
    if let Some(item) = item(s) {
        invariants(errs, item, Level::Item, &path.child("items"));
    }
    for (name, property) in s.properties.iter().flatten() {
        invariants(errs, property, Level::Field, &path.child("properties").key(name));
    }
    let at = path.child("additionalProperties");
    if s.additional_properties.is_some() && level == Level::Root {
        errs.push(Error::forbidden(&at, "must not be used at the root"));
    }
    if let Some(values) = additional(s) {
        invariants(errs, values, Level::Field, &at);
    }
    if int_or_string {
        let rule = "must be false if x-kubernetes-int-or-string is true";
        for (field, set) in [
            ("x-kubernetes-preserve-unknown-fields", preserve),
            ("x-kubernetes-embedded-resource", embedded),
        ] {
            if set {
                errs.push(Error::invalid(&path.child(field), true, rule));
            }
        }
    }
    let first = list(&s.all_of).first();
    values(errs, s, is_int_or_string(s), first.is_some_and(is_int_or_string), path);
    if embedded && type_ != "object" {
        let rule = "must be object if x-kubernetes-embedded-resource is true";
        if type_.is_empty() {
            errs.push(Error::required(&path.child("type"), rule));
        } else {
            errs.push(Error::invalid(&path.child("type"), type_, rule));
        }
    } else if type_.is_empty() && !int_or_string && !preserve {
        let rule = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errs.push(Error::required(&path.child("type"), rule));
    }
    if embedded && s.additional_properties.is_some() {
        let rule = "must not be used if x-kubernetes-embedded-resource is set";
        errs.push(Error::forbidden(&at, rule));
    }
    if level == Level::Root && !type_.is_empty() && type_ != "object" {
        errs.push(Error::invalid(&path.child("type"), type_, "must be object at the root"));
    }
    metadata(errs, s, level, embedded, path);
    if embedded && !preserve && s.properties.as_ref().is_none_or(|p| p.is_empty()) {
        let rule =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errs.push(Error::required(&path.child("properties"), rule));
    }
}

/// A resource's kind and version are texts, and of its metadata only the names may be restricted.
fn metadata(errs: &mut ErrorList, s: &JSONSchemaProps, level: Level, embedded: bool, path: &Path) {
    let property = |name: &str| s.properties.as_ref().and_then(|p| p.get(name));
    let resource = level == Level::Root || embedded;
    for name in ["kind", "apiVersion"] {
        let type_ = property(name).filter(|_| resource).map(|p| text(&p.type_));
        if let Some(type_) = type_.filter(|t| *t != "string") {
            let path = path.child("properties").key(name).child("type");
            errs.push(Error::invalid(&path, type_, "must be string"));
        }
    }
    let Some(metadata) = property("metadata") else { return };
    let path = path.child("properties").key("metadata");
    if resource && text(&metadata.type_) != "object" {
        errs.push(Error::invalid(
            &path.child("type"),
            text(&metadata.type_),
            "must be object",
        ));
    }
    if level == Level::Root && !names_only(metadata) {
        let rule = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errs.push(Error::forbidden(&path, rule));
    }
}

/// Whether a schema of metadata says nothing but how names look.
fn names_only(metadata: &JSONSchemaProps) -> bool {
    let Value::Object(mut fields) = to_value(metadata) else {
        return true;
    };
    fields.remove("type");
    fields.remove("default");
    if let Some(properties) = fields.get("properties").and_then(Value::as_object)
        && properties.keys().all(|k| k == "name" || k == "generateName")
    {
        fields.remove("properties");
    }
    fields.values().all(|v| match v {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    })
}

/// `anyOf: [{type: integer}, {type: string}]`, the one junctor that may name types.
fn is_int_or_string(s: &JSONSchemaProps) -> bool {
    to_value(&s.any_of) == json!([{"type": "integer"}, {"type": "string"}])
}

/// `validateValueValidation`: what the junctors say. Patterns are not compiled.
fn values(errs: &mut ErrorList, s: &JSONSchemaProps, skip_any: bool, skip_first_all: bool, path: &Path) {
    if !skip_any {
        for (index, one) in list(&s.any_of).iter().enumerate() {
            nested(errs, one, false, &path.child("anyOf").index(index));
        }
    }
    for (index, one) in list(&s.all_of).iter().enumerate() {
        nested(
            errs,
            one,
            skip_first_all && index == 0,
            &path.child("allOf").index(index),
        );
    }
    for (index, one) in list(&s.one_of).iter().enumerate() {
        nested(errs, one, false, &path.child("oneOf").index(index));
    }
    if let Some(not) = &s.not {
        nested(errs, not, false, &path.child("not"));
    }
}

/// `validateNestedValueValidation`: within a junctor only values are restricted.
fn nested(errs: &mut ErrorList, s: &JSONSchemaProps, skip_any: bool, path: &Path) {
    values(errs, s, skip_any, false, path);
    if let Some(item) = item(s) {
        nested(errs, item, false, &path.child("items"));
    }
    for (name, property) in s.properties.iter().flatten() {
        nested(errs, property, false, &path.child("properties").key(name));
    }
    let allowed = matches!(s.additional_properties, None | Some(JSONSchemaPropsOrBool::Bool(false)));
    for (field, rule, broken) in [
        ("type", "must be empty", !text(&s.type_).is_empty()),
        ("additionalProperties", "must be undefined", !allowed),
        ("default", "must be undefined", s.default.is_some()),
        ("title", "must be empty", !text(&s.title).is_empty()),
        ("description", "must be empty", !text(&s.description).is_empty()),
        ("nullable", "must be false", s.nullable == Some(true)),
        (
            "x-kubernetes-preserve-unknown-fields",
            "must be false",
            s.x_kubernetes_preserve_unknown_fields == Some(true),
        ),
        (
            "x-kubernetes-embedded-resource",
            "must be false",
            s.x_kubernetes_embedded_resource == Some(true),
        ),
        (
            "x-kubernetes-int-or-string",
            "must be false",
            s.x_kubernetes_int_or_string == Some(true),
        ),
        ("x-kubernetes-list-map-keys", "must be empty", !map_keys(s).is_empty()),
        (
            "x-kubernetes-list-type",
            "must be undefined",
            s.x_kubernetes_list_type.is_some(),
        ),
        (
            "x-kubernetes-map-type",
            "must be undefined",
            s.x_kubernetes_map_type.is_some(),
        ),
        (
            "x-kubernetes-validations",
            "must be empty",
            !list(&s.x_kubernetes_validations).is_empty(),
        ),
    ] {
        if broken {
            errs.push(Error::forbidden(&path.child(field), format!("{rule} to be structural")));
        }
    }
    if s.properties.as_ref().is_some_and(|p| p.contains_key("metadata")) {
        let path = path.child("properties").key("metadata");
        errs.push(Error::forbidden(&path, "must not be specified in a nested context"));
    }
}

/// What the junctors of `v` speak of exists in the structure `s` (`validateValueValidationCompleteness`).
fn complete(errs: &mut ErrorList, v: &JSONSchemaProps, s: Option<&JSONSchemaProps>, at: &Path, from: &Path) {
    if let Some(not) = &v.not {
        complete_nested(errs, not, s, at, &from.child("not"));
    }
    for (field, all) in [("allOf", &v.all_of), ("anyOf", &v.any_of), ("oneOf", &v.one_of)] {
        for (index, one) in list(all).iter().enumerate() {
            complete_nested(errs, one, s, at, &from.child(field).index(index));
        }
    }
}

/// `validateNestedValueValidationCompleteness`.
fn complete_nested(errs: &mut ErrorList, v: &JSONSchemaProps, s: Option<&JSONSchemaProps>, at: &Path, from: &Path) {
    let Some(s) = s else {
        errs.push(Error::required(at, format!("because it is defined in {from}")));
        return;
    };
    complete(errs, v, Some(s), at, from);
    if let Some(inner) = item(v) {
        complete_nested(errs, inner, item(s), &at.child("items"), &from.child("items"));
    }
    for (name, property) in v.properties.iter().flatten() {
        let (at, from) = (at.child("properties").key(name), from.child("properties").key(name));
        complete_nested(
            errs,
            property,
            s.properties.as_ref().and_then(|p| p.get(name)),
            &at,
            &from,
        );
    }
}

/// The schema a simple JSON path leads to, and the path's steps (`cel.ValidFieldPath`).
pub(super) fn field_at<'a>(
    schema: &'a JSONSchemaProps,
    path: &str,
    brackets: bool,
) -> Result<(Vec<String>, &'a JSONSchemaProps), String> {
    const NO_FIELD: &str = "does not refer to a valid field";
    const END: &str = "unexpected end of JSON path";
    let (mut steps, mut at) = (vec![], schema);
    let mut tokens = tokens(path).into_iter();
    while let Some(token) = tokens.next() {
        let name = match token {
            "[" if !brackets => return Err("array notation is not allowed".to_string()),
            "[" => {
                let token = tokens.next().ok_or(END)?;
                let inner = token.strip_prefix('\'').and_then(|t| t.strip_suffix('\''));
                let inner = inner.ok_or(format!("expected single quoted string but got {token}"))?;
                unescaped(inner)
            }
            "." => tokens.next().ok_or(END)?.to_string(),
            other => return Err(format!("expected [ or . but got: {other}")),
        };
        at = if at.properties.as_ref().is_some_and(|p| !p.is_empty()) {
            at.properties.as_ref().and_then(|p| p.get(&name)).ok_or(NO_FIELD)?
        } else {
            additional(at).ok_or(NO_FIELD)?
        };
        steps.push(name);
        if token == "[" {
            match tokens.next().ok_or(END)? {
                "]" => {}
                other => return Err(format!("expected ] but got {other}")),
            }
        }
    }
    Ok((steps, at))
}

/// Delimiters, quoted texts, and the texts between.
fn tokens(path: &str) -> Vec<&str> {
    let (mut out, mut rest) = (vec![], path);
    while !rest.is_empty() {
        let bytes = rest.as_bytes();
        let len = match bytes[0] {
            b'.' | b'[' | b']' => 1,
            b'\'' => (1..bytes.len())
                .find(|i| bytes[*i] == b'\'' && bytes[*i - 1] != b'\\')
                .map_or(bytes.len(), |i| i + 1),
            _ => rest.find(['.', '[', ']']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(len);
        out.push(token);
        rest = after;
    }
    out
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}
