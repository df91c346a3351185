//! OpenAPI v2, made from the v3 documents: for clients that know no better.

use serde_json::{Map, Value, json};

use super::{document as document_v3, versions};

/// The one document of all groups.
pub(super) fn document() -> Value {
    let mut definitions = Map::new();
    let mut paths = Map::new();
    for (_, group, version) in versions() {
        let mut v3 = document_v3(group, version);
        for (name, schema) in take_map(&mut v3["components"]["schemas"]) {
            // Kinds of several groups (DeleteOptions) list all of them.
            let schema = old_schema(schema);
            match definitions.get_mut(&name) {
                None => drop(definitions.insert(name, schema)),
                Some(have) => merge_kinds(have, &schema),
            }
        }
        for (path, item) in take_map(&mut v3["paths"]) {
            paths.insert(path, old_path(item));
        }
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": component::version::Info::get().git_version},
        "paths": paths,
        "definitions": definitions,
    })
}

fn take_map(v: &mut Value) -> Map<String, Value> {
    match v.take() {
        Value::Object(m) => m,
        _ => Map::new(),
    }
}

fn merge_kinds(have: &mut Value, more: &Value) {
    const KEY: &str = "x-kubernetes-group-version-kind";
    let more = more.get(KEY).and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(list) = have.get_mut(KEY).and_then(Value::as_array_mut) {
        for kind in more {
            if !list.contains(&kind) {
                list.push(kind);
            }
        }
    }
}

/// References point to definitions, `allOf` of one reference is that reference, no `oneOf`.
fn old_schema(v: Value) -> Value {
    match v {
        Value::Object(mut m) => {
            if let Some(Value::Array(mut all)) = m.remove("allOf")
                && let Some(Value::Object(one)) = all.pop()
            {
                m.extend(one);
            }
            if m.remove("oneOf").is_some() {
                m.insert("type".to_owned(), json!("string"));
            }
            Value::Object(m.into_iter().map(|(k, v)| (k, old_schema(v))).collect())
        }
        Value::Array(l) => Value::Array(l.into_iter().map(old_schema).collect()),
        Value::String(s) => match s.strip_prefix("#/components/schemas/") {
            Some(name) => json!(format!("#/definitions/{name}")),
            None => Value::String(s),
        },
        other => other,
    }
}

fn old_path(item: Value) -> Value {
    let Value::Object(operations) = item else { return item };
    let mut out = Map::new();
    for (key, mut value) in operations {
        if key == "parameters" {
            out.insert(key, old_parameters(value));
            continue;
        }
        let mut parameters = old_parameters(value["parameters"].take());
        let body = value["requestBody"].take();
        if let Some(content) = body["content"].as_object() {
            value["consumes"] = json!(content.keys().collect::<Vec<_>>());
            let schema = content
                .values()
                .next()
                .map(|c| old_schema(c["schema"].clone()))
                .unwrap_or_default();
            if let Some(list) = parameters.as_array_mut() {
                list.insert(
                    0,
                    json!({"name": "body", "in": "body", "required": true, "schema": schema}),
                );
            }
        }
        for r in value["responses"].as_object_mut().into_iter().flatten() {
            let content = r.1["content"].take();
            if let Some(m) = r.1.as_object_mut() {
                m.remove("content");
                if let Some(schema) = content
                    .as_object()
                    .and_then(|c| c.values().next())
                    .map(|c| c["schema"].clone())
                {
                    m.insert("schema".to_owned(), old_schema(schema));
                }
            }
        }
        if let Some(m) = value.as_object_mut() {
            m.remove("requestBody");
            m.insert("parameters".to_owned(), parameters);
        }
        out.insert(key, value);
    }
    Value::Object(out)
}

fn old_parameters(list: Value) -> Value {
    let Value::Array(list) = list else { return json!([]) };
    let one = |mut p: Value| {
        if let Value::Object(schema) = p["schema"].take()
            && let Some(m) = p.as_object_mut()
        {
            m.remove("schema");
            m.extend(schema);
        }
        p
    };
    Value::Array(list.into_iter().map(one).collect())
}
