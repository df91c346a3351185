//! The document of OpenAPI v2: all group versions in one.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::operations::{Content, Operation, Parameter, Paths, phrase, split};
use super::{info, schemas, write_member};

/// Writes the document.
pub(super) fn write(mut out: impl Write) -> io::Result<()> {
    let mut paths = Paths::new();
    for part in super::parts() {
        paths.extend(part.paths());
    }
    let definitions = schemas::of(&paths, schemas::Dialect::V2);
    write!(
        out,
        "{{\"swagger\":\"2.0\",\"info\":{},\"security\":[{{\"BearerToken\":[]}}],\
         \"securityDefinitions\":{{\"BearerToken\":{}}},\"definitions\":{{",
        info(),
        super::bearer_token()
    )?;
    let mut first = true;
    for (name, schema) in definitions {
        write_member(&mut out, &mut first, &name, &schema)?;
    }
    out.write_all(b"},\"paths\":{")?;
    let (mut first, mut shared) = (true, BTreeMap::new());
    for (path, operations) in paths {
        write_member(&mut out, &mut first, &path, &item(operations, &mut shared))?;
    }
    let shared: Map<String, Value> = shared.into_iter().collect();
    write!(out, "}},\"parameters\":{}}}", Value::Object(shared))
}

/// Parameters that stand once for the whole document, by name.
type Shared = BTreeMap<String, Value>;

fn item(mut operations: Vec<Operation>, shared: &mut Shared) -> Value {
    let of_path = split(&mut operations);
    let mut out = Map::new();
    if !of_path.is_empty() {
        let list = of_path.iter().map(|p| parameter(p, shared)).collect();
        out.insert("parameters".to_owned(), list);
    }
    for o in operations {
        out.insert(o.method.to_owned(), operation(&o, shared));
    }
    Value::Object(out)
}

fn operation(o: &Operation, shared: &mut Shared) -> Value {
    let mut out = json!({
        "operationId": o.id, "description": o.description, "tags": [o.tag], "schemes": ["https"],
        "produces": o.produces,
    });
    if !o.consumes.is_empty() {
        out["consumes"] = json!(o.consumes);
    }
    let mut parameters: Vec<(&str, Value)> = Vec::new();
    for p in &o.parameters {
        parameters.push((p.name, parameter(p, shared)));
    }
    if let Some(b) = &o.body {
        let mut facts = vec![("name", json!("body")), ("in", json!("body"))];
        if b.required {
            facts.push(("required", json!(true)));
        }
        facts.push(("schema", schemas::old_reference(&b.type_name)));
        let value = if b.type_name.starts_with("meta.") {
            refer("body", &facts, shared)
        } else {
            object(&facts)
        };
        parameters.push(("body", value));
    }
    parameters.sort_by_key(|(name, _)| *name);
    if !parameters.is_empty() {
        out["parameters"] = parameters.into_iter().map(|(_, v)| v).collect();
    }
    let mut responses: Map<String, Value> = o
        .answers
        .iter()
        .map(|(code, content)| {
            let schema = match content {
                Content::Type(name) => schemas::old_reference(name),
                Content::Text => json!({"type": "string"}),
            };
            (
                code.to_string(),
                json!({"description": phrase(*code), "schema": schema}),
            )
        })
        .collect();
    responses.insert("401".to_owned(), json!({"description": phrase(401)}));
    out["responses"] = Value::Object(responses);
    super::extend(&mut out, o);
    out
}

/// A parameter, or the reference to it. Clients look for some of them in place
/// (kube-openapi `pkg/builder/parameters.go` `collectSharedParameters`).
fn parameter(p: &Parameter, shared: &mut Shared) -> Value {
    // In the order that the name's hash is made of.
    let mut facts = vec![
        ("uniqueItems", json!(true)),
        ("type", json!(p.kind)),
        ("description", json!(p.description)),
        ("name", json!(p.name)),
        ("in", json!(if p.in_path { "path" } else { "query" })),
    ];
    if p.in_path {
        facts.push(("required", json!(true)));
    }
    match p.name {
        "name" | "fieldValidation" | "dryRun" => object(&facts),
        name => refer(name, &facts, shared),
    }
}

fn object(facts: &[(&str, Value)]) -> Value {
    facts.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

/// Puts a parameter among the shared ones and answers with its reference.
fn refer(name: &str, facts: &[(&str, Value)], shared: &mut Shared) -> Value {
    let members: Vec<String> = facts.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
    let name = format!("{name}-{}", hash(&format!("{{{}}}", members.join(","))));
    let reference = json!({"$ref": format!("#/parameters/{name}")});
    shared.entry(name).or_insert_with(|| object(facts));
    reference
}

/// Six bytes of FNV-1, as upstream's `base64Hash`.
fn hash(text: &str) -> String {
    use base64::Engine as _;
    let step = |hash: u64, byte: u8| hash.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    base64::engine::general_purpose::URL_SAFE.encode(&hash.to_be_bytes()[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_parameters_are_called_as_upstream_calls_them() {
        let mut shared = Shared::new();
        let p = Parameter {
            name: "follow",
            in_path: false,
            kind: "boolean",
            description: "Follow the log stream of the pod. Defaults to false.".to_owned(),
        };
        assert_eq!(
            parameter(&p, &mut shared),
            json!({"$ref": "#/parameters/follow-9OIXh_2R"})
        );
        assert_eq!(shared["follow-9OIXh_2R"]["type"], "boolean");
    }
}
