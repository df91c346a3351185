//! The schema table as OpenAPI v3 schemas.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::schema::{Field, Kind, ListType, MapType, Patch, Schema, Shape, Type, TypeId, group_prefix};
use serde_json::{Map, Value, json};

use crate::resources::{self, Resource};

/// Where references point to.
const PREFIX: &str = "#/components/schemas/";

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const EXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

/// Kinds every group version speaks besides its own.
const SHARED: [&str; 3] = ["meta.v1.APIResourceList", "meta.v1.DeleteOptions", "meta.v1.Status"];

/// All schemas a group version needs, by OpenAPI name.
pub(super) fn schemas(group: &str, version: &str) -> Map<String, Value> {
    let schema = api::schema();
    let mut wanted: BTreeSet<TypeId> = SHARED.iter().filter_map(|n| schema.id(n)).collect();
    for r in resources::resources()
        .iter()
        .filter(|r| r.group == group && r.version == version)
    {
        wanted.extend(schema.kind_of(group, version, r.kind));
        if r.has_verb("list") {
            wanted.extend(schema.kind_of(group, version, &format!("{}List", r.kind)));
        }
        for s in &r.subresources {
            wanted.extend(schema.kind_of(s.group.unwrap_or(group), s.version.unwrap_or(version), s.kind));
        }
    }
    let mut out = BTreeMap::new();
    let mut special = BTreeSet::new();
    let mut done = BTreeSet::new();
    while let Some(id) = wanted.pop_first() {
        if !done.insert(id) {
            continue;
        }
        let t = &schema[id];
        for f in t.fields() {
            match f.kind {
                Kind::Struct(next) => drop(wanted.insert(next)),
                Kind::OrArray | Kind::OrBool | Kind::OrStrings => {
                    wanted.extend(schema.id("apiextensions.v1.JSONSchemaProps"));
                    special.extend(special_name(t, f));
                }
                _ => special.extend(special_name(t, f)),
            }
        }
        out.insert(name(&t.name), type_schema(schema, t, group, version));
    }
    for n in special {
        out.insert(n.to_owned(), special_schema(n));
    }
    for (n, v) in [
        ("Patch", json!({"type": "object"})),
        ("WatchEvent", watch_event(group, version)),
    ] {
        out.insert(format!("{META}.{n}"), v);
    }
    out.insert(
        "io.k8s.apimachinery.pkg.runtime.RawExtension".to_owned(),
        json!({"type": "object"}),
    );
    out.into_iter().collect()
}

/// The OpenAPI name of a type of the table.
pub(super) fn name(type_name: &str) -> String {
    match type_name.split_once('.') {
        Some(("meta", rest)) => format!("io.k8s.apimachinery.pkg.apis.meta.{rest}"),
        Some(("apiextensions", rest)) => format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{rest}"),
        Some(("apiregistration", rest)) => format!("io.k8s.kube-aggregator.pkg.apis.apiregistration.{rest}"),
        _ => format!("io.k8s.api.{type_name}"),
    }
}

/// A reference to a type of the table.
pub(super) fn reference(type_name: &str) -> Value {
    json!({"$ref": format!("{PREFIX}{}", name(type_name))})
}

fn watch_event(group: &str, version: &str) -> Value {
    json!({
        "type": "object",
        "required": ["type", "object"],
        "properties": {
            "type": {"type": "string", "default": ""},
            "object": {"allOf": [{"$ref": format!("{PREFIX}io.k8s.apimachinery.pkg.runtime.RawExtension")}]},
        },
        "x-kubernetes-group-version-kind": shared_kinds("WatchEvent", group, version),
    })
}

/// Shared kinds exist in `v1` and in the group's version.
fn shared_kinds(kind: &str, group: &str, version: &str) -> Value {
    let one = |g: &str, v: &str| json!({"group": g, "kind": kind, "version": v});
    if group.is_empty() {
        json!([one("", version)])
    } else {
        json!([one("", "v1"), one(group, version)])
    }
}

fn type_schema(schema: &Schema, t: &Type, group: &str, version: &str) -> Value {
    let mut properties = Map::new();
    if t.type_meta {
        properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
        properties.insert("kind".to_owned(), json!({"type": "string"}));
    }
    let mut required = Vec::new();
    for f in t.fields() {
        properties.insert(f.name.to_string(), field(schema, t, f));
        if f.required {
            required.push(f.name.to_string());
        }
    }
    let mut out = Map::new();
    out.insert("type".to_owned(), json!("object"));
    if !properties.is_empty() {
        out.insert("properties".to_owned(), Value::Object(properties));
    }
    if !required.is_empty() {
        out.insert("required".to_owned(), json!(required));
    }
    if t.atomic {
        out.insert("x-kubernetes-map-type".to_owned(), json!("atomic"));
    }
    if t.type_meta {
        let kinds = match &*t.name {
            "meta.v1.DeleteOptions" => shared_kinds("DeleteOptions", group, version),
            n if n.starts_with("meta.v1.") => shared_kinds(t.struct_name(), "", "v1"),
            _ => json!([gvk_of(t)]),
        };
        out.insert("x-kubernetes-group-version-kind".to_owned(), kinds);
    }
    Value::Object(out)
}

/// Group, version and kind of a top-level type.
fn gvk_of(t: &Type) -> Value {
    let mut parts = t.name.split('.');
    let (prefix, version) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let group = resources::resources()
        .iter()
        .map(|r: &Resource| r.group)
        .find(|g| group_prefix(g) == prefix);
    json!({"group": group.unwrap_or(prefix), "kind": t.struct_name(), "version": version})
}

fn field(schema: &Schema, t: &Type, f: &Field) -> Value {
    let mut one = kind(schema, t, f, f.shape == Shape::Single);
    let mut out = match f.shape {
        Shape::Single => one,
        Shape::List => json!({"type": "array", "items": take(&mut one)}),
        Shape::Map => json!({"type": "object", "additionalProperties": take(&mut one)}),
    };
    if let Some(d) = &f.default {
        out["default"] = d.clone();
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
    out
}

fn take(v: &mut Value) -> Value {
    std::mem::take(v)
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

/// One value of a field. References that stand alone in a property are wrapped in `allOf`, so that
/// extensions can stand beside them.
fn kind(schema: &Schema, t: &Type, f: &Field, alone: bool) -> Value {
    let wrap = |r: Value| if alone { json!({"allOf": [r]}) } else { r };
    let mut out = match f.kind {
        Kind::Str => json!({"type": "string"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::I32 => json!({"type": "integer", "format": "int32"}),
        Kind::I64 => json!({"type": "integer", "format": "int64"}),
        Kind::F64 => json!({"type": "number", "format": "double"}),
        Kind::Bytes => json!({"type": "string", "format": "byte"}),
        Kind::StrList => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Struct(id) => wrap(reference(&schema[id].name)),
        _ => match special_name(t, f) {
            Some(n) => wrap(json!({"$ref": format!("{PREFIX}{n}")})),
            None => json!({}),
        },
    };
    if !f.allowed.is_empty() {
        out["enum"] = json!(f.allowed.iter().map(|a| a.to_string()).collect::<Vec<_>>());
    }
    out
}

/// The OpenAPI name of a kind that is not a struct of the table.
fn special_name(t: &Type, f: &Field) -> Option<&'static str> {
    Some(match f.kind {
        Kind::Time => "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
        Kind::MicroTime => "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
        Kind::Quantity => "io.k8s.apimachinery.pkg.api.resource.Quantity",
        Kind::IntOrString => "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        Kind::Raw | Kind::Any if &*f.name == "fieldsV1" => "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
        Kind::Raw | Kind::Any if t.name.starts_with("apiextensions.") => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"
        }
        Kind::Raw | Kind::Any => "io.k8s.apimachinery.pkg.runtime.RawExtension",
        Kind::OrArray => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray",
        Kind::OrBool => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool",
        Kind::OrStrings => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray",
        _ => return None,
    })
}

fn special_schema(name: &str) -> Value {
    match name.rsplit('.').next().unwrap_or("") {
        "Time" | "MicroTime" => json!({"type": "string", "format": "date-time"}),
        "Quantity" => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        "IntOrString" => json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
        _ if name.starts_with(EXTENSIONS) => json!({}),
        _ => json!({"type": "object"}),
    }
}
