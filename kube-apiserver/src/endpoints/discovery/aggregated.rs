//! Aggregated discovery: `apidiscovery.k8s.io` `APIGroupDiscoveryList`.

use serde_json::{Map, Value, json};

use super::{groups, rows};
use crate::resources::Resource;

/// The document of `/api` (the core group) or `/apis` (all others).
pub(super) fn document(path: &str, version: &str) -> Value {
    let items: Vec<Value> = groups()
        .iter()
        .filter(|(g, _)| g.is_empty() == (path == "/api"))
        .map(|(g, versions)| {
            let versions: Vec<Value> = versions.iter().map(|v| version_value(g, v)).collect();
            let mut metadata = Map::new();
            if !g.is_empty() {
                metadata.insert("name".to_owned(), json!(g));
            }
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": items,
    })
}

fn version_value(group: &str, version: &str) -> Value {
    let mut list: Vec<&Resource> = rows(group, version).collect();
    list.sort_by_key(|r| r.plural);
    let resources: Vec<Value> = list.into_iter().map(resource_value).collect();
    json!({"version": version, "resources": resources, "freshness": "Current"})
}

fn kind(group: Option<&str>, version: Option<&str>, kind: &str) -> Value {
    json!({"group": group.unwrap_or(""), "version": version.unwrap_or(""), "kind": kind})
}

fn resource_value(r: &Resource) -> Value {
    let mut m = Map::new();
    m.insert("resource".to_owned(), json!(r.plural));
    m.insert("responseKind".to_owned(), kind(None, None, r.kind));
    m.insert(
        "scope".to_owned(),
        json!(if r.namespaced { "Namespaced" } else { "Cluster" }),
    );
    m.insert("singularResource".to_owned(), json!(r.singular));
    m.insert("verbs".to_owned(), json!(r.verbs));
    if !r.short_names.is_empty() {
        m.insert("shortNames".to_owned(), json!(r.short_names));
    }
    if !r.categories.is_empty() {
        m.insert("categories".to_owned(), json!(r.categories));
    }
    if !r.subresources.is_empty() {
        let mut subs: Vec<_> = r.subresources.iter().collect();
        subs.sort_by_key(|s| s.name);
        let subs: Vec<Value> = subs
            .into_iter()
            .map(|s| {
                json!({
                    "subresource": s.name,
                    "responseKind": kind(s.group, s.version, s.kind),
                    "verbs": s.verbs,
                })
            })
            .collect();
        m.insert("subresources".to_owned(), json!(subs));
    }
    Value::Object(m)
}
