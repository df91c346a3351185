//! `openapi.v3.Document`.

use serde_json::Value;

use super::{Message, any, info};

/// What clients ask for.
pub(in super::super) const ACCEPT: &str = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf";
/// What upstream answers with.
pub(in super::super) const CONTENT_TYPE: &str = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";

/// Encodes a document.
pub(in super::super) fn encode(v3: &Value) -> Vec<u8> {
    Message::of(v3, |m, v| {
        m.text(1, &v["openapi"]);
        m.part(2, &v["info"], |m, v| info(m, v, 6));
        m.part(4, &v["paths"], |m, v| m.named(1, v, path_item));
        m.part(5, &v["components"], |m, v| {
            m.part(1, &v["schemas"], schemas);
            m.part(7, &v["securitySchemes"], |m, v| {
                m.named(1, v, |m, v| m.part(1, v, security_scheme));
            });
        });
    })
}

fn security_scheme(m: &mut Message, v: &Value) {
    m.text(1, &v["type"]);
    m.text(2, &v["description"]);
    m.text(3, &v["name"]);
    m.text(4, &v["in"]);
}

fn path_item(m: &mut Message, v: &Value) {
    for (tag, method) in (4..).zip(["get", "put", "post", "delete", "options", "head", "patch"]) {
        m.part(tag, &v[method], operation);
    }
    m.parts(13, &v["parameters"], |m, v| m.part(1, v, parameter));
    m.extensions(14, v);
}

fn operation(m: &mut Message, v: &Value) {
    m.texts(1, &v["tags"]);
    m.text(3, &v["description"]);
    m.text(5, &v["operationId"]);
    m.parts(6, &v["parameters"], |m, v| m.part(1, v, parameter));
    m.part(7, &v["requestBody"], |m, v| {
        m.part(1, v, |m, v| {
            m.text(1, &v["description"]);
            m.part(2, &v["content"], media);
            m.flag(3, &v["required"]);
        });
    });
    m.part(8, &v["responses"], |m, v| {
        m.named(2, v, |m, v| m.part(1, v, response));
    });
    m.flag(10, &v["deprecated"]);
    m.extensions(13, v);
}

fn response(m: &mut Message, v: &Value) {
    m.text(1, &v["description"]);
    m.part(3, &v["content"], media);
}

fn media(m: &mut Message, v: &Value) {
    m.named(1, v, |m, v| m.part(1, &v["schema"], schema_or_reference));
}

fn parameter(m: &mut Message, v: &Value) {
    m.text(1, &v["name"]);
    m.text(2, &v["in"]);
    m.text(3, &v["description"]);
    m.flag(4, &v["required"]);
    m.part(10, &v["schema"], schema_or_reference);
}

/// `SchemasOrReferences` and `Properties` look the same.
fn schemas(m: &mut Message, v: &Value) {
    m.named(1, v, schema_or_reference);
}

fn schema_or_reference(m: &mut Message, v: &Value) {
    if v["$ref"].is_string() {
        m.part(2, v, |m, v| {
            m.text(1, &v["$ref"]);
            m.text(2, &v["summary"]);
            m.text(3, &v["description"]);
        });
    } else {
        m.part(1, v, schema);
    }
}

fn schema(m: &mut Message, v: &Value) {
    m.flag(1, &v["nullable"]);
    m.text(9, &v["title"]);
    m.number(11, &v["maximum"]);
    m.number(13, &v["minimum"]);
    m.count(15, &v["maxLength"]);
    m.count(16, &v["minLength"]);
    m.text(17, &v["pattern"]);
    m.count(18, &v["maxItems"]);
    m.count(19, &v["minItems"]);
    m.flag(20, &v["uniqueItems"]);
    m.texts(23, &v["required"]);
    m.parts(24, &v["enum"], any);
    m.text(25, &v["type"]);
    m.parts(26, &v["allOf"], schema_or_reference);
    m.parts(27, &v["oneOf"], schema_or_reference);
    m.parts(28, &v["anyOf"], schema_or_reference);
    m.part(30, &v["items"], |m, v| m.part(1, v, schema_or_reference));
    m.part(31, &v["properties"], schemas);
    m.part(32, &v["additionalProperties"], |m, v| match v {
        Value::Bool(b) => m.choice(2, *b),
        _ => m.part(1, v, schema_or_reference),
    });
    m.part(33, &v["default"], default);
    m.text(34, &v["description"]);
    m.text(35, &v["format"]);
    m.extensions(36, v);
}

/// `DefaultType`: of objects and lists only that there is one.
fn default(m: &mut Message, v: &Value) {
    match v {
        Value::Number(n) => m.double(1, n.as_f64().unwrap_or_default()),
        Value::Bool(b) => m.choice(2, *b),
        Value::String(s) => m.bytes(3, s.as_bytes()),
        _ => {}
    }
}
