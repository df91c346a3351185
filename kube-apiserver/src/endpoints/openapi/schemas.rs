//! The schema table as OpenAPI schemas.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::schema::{Field, Kind, ListType, MapType, Patch, Schema, Shape, Type, group_prefix};
use serde_json::{Map, Value, json};

use super::descriptions;
use super::operations::{Content, Paths};
use crate::endpoints::discovery;
use crate::resources::{self, Resource};

/// Where references point to.
const PREFIX: &str = "#/components/schemas/";
const OLD_PREFIX: &str = "#/definitions/";

/// Which version of OpenAPI is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect<'a> {
    /// All kinds in one document; no defaults, no `oneOf`, extensions stand beside references.
    V2,
    /// The document of this group and version.
    V3(Option<(&'a str, &'a str)>),
}

/// Structs of which one member is set, and what says which (`x-kubernetes-unions`): type, discriminator, members.
const UNIONS: [(&str, Option<&str>, &[&str]); 6] = [
    ("core.v1.AppArmorProfile", Some("type"), &["localhostProfile"]),
    ("core.v1.PodSchedulingGroup", None, &["podGroupName"]),
    ("core.v1.SeccompProfile", Some("type"), &["localhostProfile"]),
    ("flowcontrol.v1.LimitResponse", Some("type"), &["queuing"]),
    (
        "flowcontrol.v1.PriorityLevelConfigurationSpec",
        Some("type"),
        &["exempt", "limited"],
    ),
    (
        "flowcontrol.v1.Subject",
        Some("kind"),
        &["group", "serviceAccount", "user"],
    ),
];

/// The schemas that operations need, by OpenAPI name.
pub(super) fn of(paths: &Paths, dialect: Dialect<'_>) -> Map<String, Value> {
    let schema = api::schema();
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for o in paths.values().flatten() {
        wanted.extend(o.body.iter().map(|b| b.type_name.clone()));
        wanted.extend(o.answers.iter().filter_map(|(_, c)| match c {
            Content::Type(name) => Some(name.clone()),
            Content::Text => None,
        }));
    }
    let mut out = BTreeMap::new();
    while let Some(type_name) = wanted.pop_first() {
        let openapi_name = name(&type_name);
        if out.contains_key(&openapi_name) {
            continue;
        }
        let mut value = match schema.get(&type_name) {
            Some(t) => {
                for f in t.fields() {
                    wanted.extend(type_of(schema, t, f));
                    if matches!(f.kind, Kind::OrArray | Kind::OrBool | Kind::OrStrings) {
                        wanted.insert("apiextensions.v1.JSONSchemaProps".to_owned());
                    }
                }
                structure(schema, t, dialect)
            }
            None => special(&type_name, dialect),
        };
        describe(&mut value, descriptions::of_type(&type_name));
        out.insert(openapi_name, value);
    }
    out.into_iter().collect()
}

/// The OpenAPI name of a type of the table.
fn name(type_name: &str) -> String {
    match type_name.split_once('.') {
        Some(("meta", rest)) => format!("io.k8s.apimachinery.pkg.apis.meta.{rest}"),
        Some(("apiextensions", rest)) => format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{rest}"),
        Some(("apiregistration", rest)) => format!("io.k8s.kube-aggregator.pkg.apis.apiregistration.{rest}"),
        Some(("version" | "runtime", _)) => format!("io.k8s.apimachinery.pkg.{type_name}"),
        Some(("intstr", _)) => format!("io.k8s.apimachinery.pkg.util.{type_name}"),
        Some(("resource", "Quantity")) => "io.k8s.apimachinery.pkg.api.resource.Quantity".to_owned(),
        _ => format!("io.k8s.api.{type_name}"),
    }
}

/// A reference to a type, in v3.
pub(super) fn reference(type_name: &str) -> Value {
    json!({"$ref": format!("{PREFIX}{}", name(type_name))})
}

/// A reference to a type, in v2.
pub(super) fn old_reference(type_name: &str) -> Value {
    json!({"$ref": format!("{OLD_PREFIX}{}", name(type_name))})
}

fn describe(value: &mut Value, text: Option<String>) {
    if let Some(text) = text {
        value["description"] = Value::String(text);
    }
}

/// `DeleteOptions` and `WatchEvent` are kinds of every group version that has resources.
fn shared_kinds(kind: &str, dialect: Dialect<'_>) -> Value {
    let one = |(group, version): (&str, &str)| json!({"group": group, "kind": kind, "version": version});
    let mut versions: Vec<(&str, &str)> = match dialect {
        Dialect::V3(Some(one)) => vec![one],
        Dialect::V3(None) => Vec::new(),
        Dialect::V2 => discovery::groups()
            .into_iter()
            .flat_map(|(g, versions)| versions.into_iter().map(move |v| (g, v)))
            .collect(),
    };
    versions.push(("", "v1"));
    versions.sort_unstable();
    versions.dedup();
    versions.into_iter().map(one).collect()
}

fn structure(schema: &Schema, t: &Type, dialect: Dialect<'_>) -> Value {
    let mut properties = Map::new();
    if t.type_meta {
        for n in ["apiVersion", "kind"] {
            let mut p = json!({"type": "string"});
            describe(&mut p, descriptions::of_field(&t.name, n));
            properties.insert(n.to_owned(), p);
        }
    }
    let mut required = Vec::new();
    for f in t.fields() {
        properties.insert(f.name.to_string(), field(schema, t, f, dialect));
        if f.required {
            required.push(f.name.to_string());
        }
    }
    let mut out = json!({"type": "object"});
    if !properties.is_empty() {
        out["properties"] = Value::Object(properties);
    }
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    if t.atomic {
        out["x-kubernetes-map-type"] = json!("atomic");
    }
    let kinds = match &*t.name {
        n @ ("meta.v1.DeleteOptions" | "meta.v1.WatchEvent") => shared_kinds(n.trim_start_matches("meta.v1."), dialect),
        n if !t.type_meta || n.starts_with("version.") => Value::Null,
        n if n.starts_with("meta.v1.") => json!([{"group": "", "kind": t.struct_name(), "version": "v1"}]),
        _ => json!([own_kind(t)]),
    };
    if !kinds.is_null() {
        out["x-kubernetes-group-version-kind"] = kinds;
    }
    if let Some((_, discriminator, members)) = UNIONS.iter().find(|(n, ..)| **n == *t.name) {
        out["x-kubernetes-unions"] = json!([union(*discriminator, members)]);
    }
    out
}

fn union(discriminator: Option<&str>, members: &[&str]) -> Value {
    // Members are mapped to the names of Go's fields.
    let go = |m: &str| format!("{}{}", m[..1].to_uppercase(), &m[1..]);
    let members: Map<String, Value> = members.iter().map(|m| ((*m).to_owned(), json!(go(m)))).collect();
    let mut out = json!({"fields-to-discriminateBy": members});
    if let Some(d) = discriminator {
        out["discriminator"] = json!(d);
    }
    out
}

/// Group, version and kind of a top-level type.
fn own_kind(t: &Type) -> Value {
    let mut parts = t.name.split('.');
    let (prefix, version) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let group = resources::resources()
        .iter()
        .map(|r: &Resource| r.group)
        .find(|g| group_prefix(g) == prefix);
    json!({"group": group.unwrap_or(prefix), "kind": t.struct_name(), "version": version})
}

fn field(schema: &Schema, t: &Type, f: &Field, dialect: Dialect<'_>) -> Value {
    let one = kind(schema, t, f, dialect);
    let mut out = match f.shape {
        Shape::Single => one,
        Shape::List => json!({"type": "array", "items": one}),
        Shape::Map => json!({"type": "object", "additionalProperties": one}),
    };
    describe(&mut out, descriptions::of_field(&t.name, &f.name));
    if dialect != Dialect::V2
        && let Some(d) = default(t, f)
    {
        out["default"] = d;
    }
    // The items of a List object are not for applying.
    let of_list_object = &*f.name == "items" && t.type_meta && t.name.ends_with("List");
    if f.shape == Shape::List && !of_list_object {
        match &f.list_type {
            ListType::Atomic => out["x-kubernetes-list-type"] = json!("atomic"),
            ListType::Set => out["x-kubernetes-list-type"] = json!("set"),
            ListType::Map(keys) => {
                out["x-kubernetes-list-type"] = json!("map");
                out["x-kubernetes-list-map-keys"] = json!(keys.iter().map(|k| k.to_string()).collect::<Vec<_>>());
            }
        }
    }
    match f.map_type {
        Some(MapType::Atomic) => out["x-kubernetes-map-type"] = json!("atomic"),
        Some(MapType::Granular) => out["x-kubernetes-map-type"] = json!("granular"),
        None => {}
    }
    if let Some(s) = strategy(&f.patch) {
        out["x-kubernetes-patch-strategy"] = json!(s);
    }
    if let Some(k) = &f.patch.key {
        out["x-kubernetes-patch-merge-key"] = json!(&**k);
    }
    if dialect != Dialect::V2 {
        wrap(&mut out);
    }
    out
}

/// Nothing may stand beside a reference in v3: it moves into `allOf`.
fn wrap(property: &mut Value) {
    if let Some(m) = property.as_object_mut()
        && m.len() > 1
        && let Some(target) = m.remove("$ref")
    {
        m.insert("allOf".to_owned(), json!([{"$ref": target}]));
    }
}

/// The default of a field: its own, or the zero value where Go holds the field by value and writes it always
/// (kube-openapi `pkg/generators/openapi.go` `mustEnforceDefault`).
fn default(t: &Type, f: &Field) -> Option<Value> {
    if let Some(d) = &f.default {
        return Some(d.clone()).filter(|d| !d.is_null());
    }
    if f.shape != Shape::Single {
        return None;
    }
    if t.type_meta && &*f.name == "metadata" {
        return Some(json!({}));
    }
    let by_value = f.required && !f.pointer;
    let zero = match f.kind {
        Kind::Str => json!(""),
        Kind::Bool => json!(false),
        Kind::I32 | Kind::I64 | Kind::F64 => json!(0),
        Kind::Struct(_) => json!({}),
        _ => return None,
    };
    by_value.then_some(zero)
}

fn strategy(p: &Patch) -> Option<&'static str> {
    match (p.merge, p.retain_keys, p.replace) {
        (true, true, _) => Some("merge,retainKeys"),
        (true, false, _) => Some("merge"),
        (false, true, _) => Some("retainKeys"),
        (false, false, true) => Some("replace"),
        _ => None,
    }
}

/// One value of a field.
fn kind(schema: &Schema, t: &Type, f: &Field, dialect: Dialect<'_>) -> Value {
    let mut out = match f.kind {
        Kind::Str => json!({"type": "string"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::I32 => json!({"type": "integer", "format": "int32"}),
        Kind::I64 => json!({"type": "integer", "format": "int64"}),
        Kind::F64 => json!({"type": "number", "format": "double"}),
        Kind::Bytes => json!({"type": "string", "format": "byte"}),
        Kind::StrList => json!({"type": "array", "items": {"type": "string"}}),
        _ => match (type_of(schema, t, f), dialect) {
            (Some(n), Dialect::V2) => old_reference(&n),
            (Some(n), Dialect::V3(_)) => reference(&n),
            (None, _) => json!({}),
        },
    };
    if !f.allowed.is_empty() {
        out["enum"] = json!(f.allowed.iter().map(|a| a.to_string()).collect::<Vec<_>>());
    }
    out
}

/// The type that a field refers to: of the table, or one of those that are no structs.
fn type_of(schema: &Schema, t: &Type, f: &Field) -> Option<String> {
    let special = match f.kind {
        Kind::Struct(id) => return Some(schema[id].name.to_string()),
        Kind::Time => "meta.v1.Time",
        Kind::MicroTime => "meta.v1.MicroTime",
        Kind::Quantity => "resource.Quantity",
        Kind::IntOrString => "intstr.IntOrString",
        Kind::Raw | Kind::Any if &*f.name == "fieldsV1" => "meta.v1.FieldsV1",
        Kind::Raw | Kind::Any if t.name.starts_with("apiextensions.") => "apiextensions.v1.JSON",
        Kind::Raw | Kind::Any => "runtime.RawExtension",
        Kind::OrArray => "apiextensions.v1.JSONSchemaPropsOrArray",
        Kind::OrBool => "apiextensions.v1.JSONSchemaPropsOrBool",
        Kind::OrStrings => "apiextensions.v1.JSONSchemaPropsOrStringArray",
        _ => return None,
    };
    Some(special.to_owned())
}

/// A type that is no struct of the table.
fn special(type_name: &str, dialect: Dialect<'_>) -> Value {
    match (type_name, dialect) {
        ("meta.v1.Time" | "meta.v1.MicroTime", _) => json!({"type": "string", "format": "date-time"}),
        ("resource.Quantity", Dialect::V2) => json!({"type": "string"}),
        ("resource.Quantity", _) => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        ("intstr.IntOrString", Dialect::V2) => json!({"type": "string", "format": "int-or-string"}),
        ("intstr.IntOrString", _) => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        (n, _) if n.starts_with("apiextensions.") => json!({}),
        _ => json!({"type": "object"}),
    }
}
