//! `openapi.v2.Document`.

use serde_json::Value;

use super::{Message, any, info};

/// What kubectl asks for.
pub(in super::super) const ACCEPT: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// What upstream answers with.
pub(in super::super) const CONTENT_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Encodes a document.
pub(in super::super) fn encode(v2: &Value) -> Vec<u8> {
    Message::of(v2, |m, v| {
        m.text(1, &v["swagger"]);
        m.part(2, &v["info"], |m, v| info(m, v, 2));
        m.part(8, &v["paths"], |m, v| m.named(2, v, path_item));
        m.part(9, &v["definitions"], schemas);
        m.part(10, &v["parameters"], |m, v| m.named(1, v, parameter));
        m.parts(12, &v["security"], |m, v| {
            m.named(1, v, |m, scopes| m.texts(1, scopes));
        });
        m.part(13, &v["securityDefinitions"], |m, v| {
            // Of the kinds of security there is one: `ApiKeySecurity`.
            m.named(1, v, |m, v| m.part(2, v, api_key));
        });
    })
}

fn api_key(m: &mut Message, v: &Value) {
    m.text(1, &v["type"]);
    m.text(2, &v["name"]);
    m.text(3, &v["in"]);
    m.text(4, &v["description"]);
}

fn path_item(m: &mut Message, v: &Value) {
    for (tag, method) in (2..).zip(["get", "put", "post", "delete", "options", "head", "patch"]) {
        m.part(tag, &v[method], operation);
    }
    m.parts(9, &v["parameters"], parameters_item);
    m.extensions(10, v);
}

fn operation(m: &mut Message, v: &Value) {
    m.texts(1, &v["tags"]);
    m.text(3, &v["description"]);
    m.text(5, &v["operationId"]);
    m.texts(6, &v["produces"]);
    m.texts(7, &v["consumes"]);
    m.parts(8, &v["parameters"], parameters_item);
    m.part(9, &v["responses"], |m, v| {
        m.named(1, v, |m, v| m.part(1, v, response));
    });
    m.texts(10, &v["schemes"]);
    m.flag(11, &v["deprecated"]);
    m.extensions(13, v);
}

fn response(m: &mut Message, v: &Value) {
    m.text(1, &v["description"]);
    m.part(2, &v["schema"], |m, v| m.part(1, v, schema));
}

/// A parameter in place, or the reference to a shared one.
fn parameters_item(m: &mut Message, v: &Value) {
    if v["$ref"].is_string() {
        m.part(2, v, |m, v| m.text(1, &v["$ref"]));
    } else {
        m.part(1, v, parameter);
    }
}

fn parameter(m: &mut Message, v: &Value) {
    match v["in"].as_str() {
        Some("body") => m.part(1, v, |m, v| {
            m.text(1, &v["description"]);
            m.text(2, &v["name"]);
            m.text(3, &v["in"]);
            m.flag(4, &v["required"]);
            m.part(5, &v["schema"], schema);
        }),
        Some("path") => m.part(2, v, |m, v| m.part(4, v, |m, v| simple(m, v, [5, 19]))),
        _ => m.part(2, v, |m, v| m.part(3, v, |m, v| simple(m, v, [6, 20]))),
    }
}

/// A parameter of the path or the query: the same fields under different numbers.
fn simple(m: &mut Message, v: &Value, [kind, unique]: [u32; 2]) {
    m.flag(1, &v["required"]);
    m.text(2, &v["in"]);
    m.text(3, &v["description"]);
    m.text(4, &v["name"]);
    m.text(kind, &v["type"]);
    m.flag(unique, &v["uniqueItems"]);
}

/// `Definitions` and `Properties` look the same.
fn schemas(m: &mut Message, v: &Value) {
    m.named(1, v, schema);
}

fn schema(m: &mut Message, v: &Value) {
    m.text(1, &v["$ref"]);
    m.text(2, &v["format"]);
    m.text(3, &v["title"]);
    m.text(4, &v["description"]);
    m.part(5, &v["default"], any);
    m.number(7, &v["maximum"]);
    m.number(9, &v["minimum"]);
    m.count(11, &v["maxLength"]);
    m.count(12, &v["minLength"]);
    m.text(13, &v["pattern"]);
    m.count(14, &v["maxItems"]);
    m.count(15, &v["minItems"]);
    m.flag(16, &v["uniqueItems"]);
    m.texts(19, &v["required"]);
    m.parts(20, &v["enum"], any);
    m.part(21, &v["additionalProperties"], |m, v| match v {
        Value::Bool(b) => m.choice(2, *b),
        _ => m.part(1, v, schema),
    });
    m.part(22, &v["type"], |m, v| m.texts(1, v));
    m.part(23, &v["items"], |m, v| m.part(1, v, schema));
    m.parts(24, &v["allOf"], schema);
    m.part(25, &v["properties"], schemas);
    m.extensions(31, v);
}
