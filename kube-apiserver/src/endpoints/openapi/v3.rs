//! Documents of OpenAPI v3, one per group version.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::operations::{Body, Content, Operation, Parameter, phrase, split};
use super::{Part, info, schemas, write_member};

/// Writes the document of one part of the API.
pub(super) fn write(part: &Part, mut out: impl Write) -> io::Result<()> {
    let paths = part.paths();
    let mut components = json!({"securitySchemes": {"BearerToken": super::bearer_token()}});
    let schemas = schemas::of(&paths, schemas::Dialect::V3(part.group_version()));
    if !schemas.is_empty() {
        components["schemas"] = Value::Object(schemas);
    }
    write!(
        out,
        "{{\"openapi\":\"3.0.0\",\"info\":{},\"components\":{components},\"paths\":{{",
        info()
    )?;
    let mut first = true;
    for (path, operations) in paths {
        write_member(&mut out, &mut first, &path, &item(operations))?;
    }
    out.write_all(b"}}")
}

fn item(mut operations: Vec<Operation>) -> Value {
    let shared = split(&mut operations);
    let mut out = Map::new();
    if !shared.is_empty() {
        out.insert("parameters".to_owned(), shared.iter().map(parameter).collect());
    }
    for o in operations {
        out.insert(o.method.to_owned(), operation(&o));
    }
    Value::Object(out)
}

fn operation(o: &Operation) -> Value {
    let mut out = json!({"operationId": o.id, "description": o.description, "tags": [o.tag]});
    if !o.parameters.is_empty() {
        out["parameters"] = o.parameters.iter().map(parameter).collect();
    }
    if let Some(b) = &o.body {
        out["requestBody"] = body(b, o.consumes);
    }
    let mut responses: Map<String, Value> = o
        .answers
        .iter()
        .map(|(code, content)| {
            let content = media(&o.produces, &schema(content));
            (
                code.to_string(),
                json!({"description": phrase(*code), "content": content}),
            )
        })
        .collect();
    responses.insert("401".to_owned(), json!({"description": phrase(401)}));
    out["responses"] = Value::Object(responses);
    super::extend(&mut out, o);
    out
}

fn parameter(p: &Parameter) -> Value {
    let mut out = json!({
        "name": p.name,
        "in": if p.in_path { "path" } else { "query" },
        "description": p.description,
        "schema": {"type": p.kind, "uniqueItems": true},
    });
    if p.in_path {
        out["required"] = json!(true);
    }
    out
}

fn body(b: &Body, consumes: &[&str]) -> Value {
    let mut out = json!({"content": media(consumes, &schemas::reference(&b.type_name))});
    if b.required {
        out["required"] = json!(true);
    }
    out
}

fn schema(content: &Content) -> Value {
    match content {
        Content::Type(name) => schemas::reference(name),
        Content::Text => json!({"type": "string"}),
    }
}

fn media(types: &[&str], schema: &Value) -> Value {
    types
        .iter()
        .map(|t| ((*t).to_owned(), json!({"schema": schema})))
        .collect()
}
