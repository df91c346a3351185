#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

fn reference(name: &str) -> Option<Value> {
    let file = format!("{}_openapi.json", name.replace('/', "__"));
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/reference/openapi/v3")
        .join(file);
    match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(_) => {
            eprintln!("no reference document {}: this comparison was not made", path.display());
            None
        }
    }
}

/// What is compared: not prose, not zero defaults, not enums (upstream's files have none).
fn essence(v: &Value) -> Value {
    match v {
        // Upstream wraps a reference only where prose stands beside it.
        Value::Object(m) if m.get("allOf").and_then(Value::as_array).is_some_and(|a| a.len() == 1) => {
            let mut m = m.clone();
            let one = m.remove("allOf").unwrap();
            m.extend(one[0].as_object().unwrap().clone());
            essence(&Value::Object(m))
        }
        Value::Object(m) => Value::Object(
            m.iter()
                .filter(|(k, v)| match k.as_str() {
                    "description" => v.is_object(),
                    // Apply needs no unions, and nothing reads them.
                    "default" | "x-kubernetes-unions" => false,
                    "enum" => !v.is_array(),
                    // Said of one byte field, where it means nothing.
                    "x-kubernetes-list-type" => m.get("format").is_none_or(|f| f != "byte"),
                    _ => true,
                })
                .map(|(k, v)| match (k.as_str(), v) {
                    ("required", Value::Array(l)) => {
                        let mut l = l.clone();
                        l.sort_by_key(ToString::to_string);
                        (k.clone(), Value::Array(l))
                    }
                    _ => (k.clone(), essence(v)),
                })
                .collect(),
        ),
        Value::Array(l) => Value::Array(l.iter().map(essence).collect()),
        other => other.clone(),
    }
}

#[test]
fn schemas_equal_upstreams() {
    let mut wrong = Vec::new();
    for (name, group, version) in versions() {
        let Some(want) = reference(&name) else { continue };
        let have = schemas::schemas(group, version);
        for (n, w) in want["components"]["schemas"].as_object().unwrap() {
            match have.get(n) {
                None => wrong.push(format!("{name}: {n} is missing")),
                Some(h) if essence(h) != essence(w) => {
                    wrong.push(format!("{name}: {n}\n have {}\n want {}", essence(h), essence(w)));
                }
                Some(_) => {}
            }
        }
    }
    wrong.dedup_by_key(|w| w.split_once(": ").map(|(_, t)| t.to_owned()));
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(15)].join("\n")
    );
}

#[test]
fn every_operation_of_upstream_is_described() {
    for (name, group, version) in versions() {
        let Some(want) = reference(&name) else { continue };
        let have = paths::paths(group, version);
        for (path, w) in want["paths"].as_object().unwrap() {
            // Old watch paths and proxies answer, but are not worth describing.
            if path.contains("/watch/") || path.contains("/proxy") {
                continue;
            }
            let h = have.get(path).unwrap_or_else(|| panic!("{path} is missing"));
            for (method, w) in w.as_object().unwrap().iter().filter(|(k, _)| *k != "parameters") {
                let h = &h[method];
                assert!(!h.is_null(), "{method} {path}");
                assert_eq!(
                    h["x-kubernetes-group-version-kind"], w["x-kubernetes-group-version-kind"],
                    "{method} {path}"
                );
            }
        }
    }
}

#[test]
fn patches_say_that_fields_are_validated() {
    let p = paths::paths("apps", "v1");
    let patch = &p["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group":"apps","version":"v1","kind":"Deployment"})
    );
    assert!(
        patch["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .any(|x| x["name"] == "fieldValidation")
    );
    assert!(
        patch["requestBody"]["content"]
            .get("application/strategic-merge-patch+json")
            .is_some()
    );
}

#[test]
fn the_index_links_to_documents_by_hash() {
    let index: Value = index();
    let link = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap()
        .to_owned();
    let (path, query) = link.split_once('?').unwrap();
    let r = serve(path, query, &HeaderMap::new()).unwrap();
    assert_eq!(
        (r.status(), &r.headers()[CACHE_CONTROL]),
        (StatusCode::OK, &HeaderValue::from_static("public, immutable"))
    );
    assert_eq!(
        serve(path, "hash=old", &HeaderMap::new()).unwrap().status(),
        StatusCode::MOVED_PERMANENTLY
    );
    assert!(serve("/openapi/v3/apis/nope/v1", "", &HeaderMap::new()).is_none());
}

#[test]
fn the_old_form_has_definitions_only() {
    let v = v2::document();
    let text = v.to_string();
    assert!(!text.contains("#/components/") && !text.contains("allOf"));
    assert_eq!(
        v["definitions"]["io.k8s.api.apps.v1.Deployment"]["properties"]["spec"]["$ref"],
        "#/definitions/io.k8s.api.apps.v1.DeploymentSpec"
    );
}
