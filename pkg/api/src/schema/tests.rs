#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeSet;

use apimachinery::schema::{Field, ListType, MapType};
use serde_json::Value;

use super::schema;

#[test]
fn the_committed_table_parses() {
    let pod = schema().kind_of_object("v1", "Pod").map(|id| schema()[id].name.clone());
    assert_eq!(pod.as_deref(), Some("core.v1.Pod"));
    for (api_version, kind) in [
        ("apps/v1", "DeploymentList"),
        ("v1", "Status"),
        ("apps/v1", "DeleteOptions"),
    ] {
        assert!(schema().kind_of_object(api_version, kind).is_some(), "{kind}");
    }
}

/// Types that are off by default; their markers are not in k8s-pb 0.9 (Kubernetes 1.35).
const WITHOUT_MARKERS: [&str; 2] = ["scheduling.v1alpha2.", "resource.v1alpha3."];

/// Upstream's published specification says nothing else about lists, maps, patches and required fields.
#[test]
fn the_table_agrees_with_upstreams_specification() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/reference/openapi/swagger.json"
    );
    let Ok(text) = std::fs::read(path) else {
        println!("upstream's swagger.json is absent ({path}): nothing was compared");
        return;
    };
    let specification: Value = serde_json::from_slice(&text).unwrap();
    let mut findings = Vec::new();
    let mut compared = 0;
    for (name, definition) in specification["definitions"].as_object().unwrap() {
        let parts: Vec<&str> = name.split('.').collect();
        let name = if name.ends_with("version.Info") {
            "version.Info".to_owned()
        } else {
            parts[parts.len() - 3..].join(".")
        };
        let (Some(properties), Some(ty)) = (definition["properties"].as_object(), schema().get(&name)) else {
            continue;
        };
        let atomic = definition["x-kubernetes-map-type"] == "atomic";
        if atomic != ty.atomic {
            findings.push(format!("{name}: atomic {atomic}"));
        }
        let required: BTreeSet<&str> = texts(&definition["required"]);
        for (property, facts) in properties {
            if ty.type_meta && ["apiVersion", "kind"].contains(&property.as_str()) {
                continue;
            }
            let Some(field) = ty.field(property) else {
                findings.push(format!("{name}.{property} is missing"));
                continue;
            };
            compared += 1;
            if WITHOUT_MARKERS.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let metadata = property == "metadata" && ty.type_meta;
            if field.required != required.contains(property.as_str()) && !metadata {
                findings.push(format!("{name}.{property}: required {}", !field.required));
            }
            for (what, theirs, ours) in markers(facts, field) {
                if theirs != ours {
                    findings.push(format!("{name}.{property}: {what} is {theirs}, not {ours}"));
                }
            }
        }
    }
    assert_eq!(findings, Vec::<String>::new());
    assert!(compared > 2500, "only {compared} fields were compared");
}

fn markers(facts: &Value, field: &Field) -> [(&'static str, String, String); 3] {
    let text = |key: &str| facts[key].as_str().unwrap_or_default().to_owned();
    let list = match &field.list_type {
        ListType::Map(keys) => format!("map {}", keys.join(",")),
        ListType::Set => "set ".to_owned(),
        ListType::Atomic => String::new(),
    };
    let their_list = match text("x-kubernetes-list-type").as_str() {
        "" | "atomic" => String::new(),
        kind => {
            let keys = facts["x-kubernetes-list-map-keys"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
            format!("{kind} {}", keys.join(","))
        }
    };
    let map = match field.map_type {
        Some(MapType::Atomic) => "atomic",
        Some(MapType::Granular) => "granular",
        None => "",
    };
    let patch = &field.patch;
    let named = [
        (patch.merge, "merge"),
        (patch.retain_keys, "retainKeys"),
        (patch.replace, "replace"),
    ];
    let strategies: Vec<&str> = named.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    let ours = format!("{} {}", strategies.join(","), patch.key.as_deref().unwrap_or_default());
    let theirs = format!(
        "{} {}",
        text("x-kubernetes-patch-strategy"),
        text("x-kubernetes-patch-merge-key")
    );
    [
        ("list type", their_list, list),
        ("map type", text("x-kubernetes-map-type"), map.to_owned()),
        ("patch", theirs, ours),
    ]
}

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array()
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}
