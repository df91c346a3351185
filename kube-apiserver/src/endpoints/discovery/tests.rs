#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use http::header::ACCEPT;
use serde_json::Value;

use super::*;

/// Upstream's documents, kept beside the repository; `None` (said aloud) on machines without them.
fn reference(name: &str) -> Option<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/reference/discovery")
        .join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(_) => {
            eprintln!("no reference document {}: this comparison was not made", path.display());
            None
        }
    }
}

fn document(path: &str) -> Value {
    serde_json::from_slice(&DOCUMENTS.plain[path].body).unwrap()
}

#[test]
fn every_served_version_is_described_as_upstream_does() {
    for (group, versions) in groups() {
        for version in versions {
            let path = version_path(group, version);
            let file = format!("{}.json", path.trim_start_matches('/').replace('/', "__"));
            let Some(want) = reference(&file) else { continue };
            let have = document(&path);
            assert_eq!(have, want, "{path}");
        }
        if !group.is_empty()
            && let Some(want) = reference(&format!("apis__{group}.json"))
        {
            // Versions that are off by default are in the reference too.
            let have = document(&format!("/apis/{group}"));
            let names = |v: &Value| -> BTreeSet<String> {
                v["versions"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|x| x["version"].as_str().unwrap().to_owned())
                    .collect()
            };
            assert!(names(&have).is_subset(&names(&want)), "{group}");
            assert_eq!(
                (&have["kind"], &have["preferredVersion"]),
                (&want["kind"], &want["preferredVersion"]),
                "{group}"
            );
        }
    }
}

#[test]
fn aggregated_discovery_matches_upstreams() {
    let Some(want) = reference("aggregated_v2.json") else {
        return;
    };
    let have = aggregated::document("/apis", "v2");
    let item = |list: &Value, name: &str| {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|i| i["metadata"]["name"] == name)
            .cloned()
    };
    let order: Vec<&str> = have["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["metadata"]["name"].as_str().unwrap())
        .collect();
    let upstream: Vec<&str> = want["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|i| i["metadata"]["name"].as_str())
        .filter(|n| order.contains(n))
        .collect();
    assert_eq!(order, upstream);
    for group in order {
        let (have, want) = (item(&have, group).unwrap(), item(&want, group).unwrap());
        for v in have["versions"].as_array().unwrap() {
            let w = want["versions"]
                .as_array()
                .unwrap()
                .iter()
                .find(|w| w["version"] == v["version"])
                .unwrap();
            assert_eq!(v, w, "{group}");
        }
    }
}

#[test]
fn accept_decides_the_form() {
    for (accept, content_type) in [
        ("", "application/json"),
        ("application/json", "application/json"),
        (
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        ),
        (
            "application/json;as=APIGroupDiscoveryList;v=v2beta1;g=apidiscovery.k8s.io",
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        ),
    ] {
        let mut h = HeaderMap::new();
        if !accept.is_empty() {
            h.insert(ACCEPT, accept.parse().unwrap());
        }
        let r = serve("/apis", &h).unwrap();
        assert_eq!(r.headers()[CONTENT_TYPE], content_type);
        h.insert(IF_NONE_MATCH, r.headers()[ETAG].clone());
        assert_eq!(serve("/apis", &h).unwrap().status(), StatusCode::NOT_MODIFIED);
    }
    assert!(serve("/apis/nope", &HeaderMap::new()).is_none());
    assert!(serve("/api/v1/", &HeaderMap::new()).is_some());
}

#[test]
fn newer_and_stabler_versions_are_preferred() {
    let mut v = ["v1alpha1", "v2", "v1beta2", "v1", "v1beta1"];
    v.sort_by_key(|v| std::cmp::Reverse(rank(v)));
    assert_eq!(v, ["v2", "v1", "v1beta2", "v1beta1", "v1alpha1"]);
}
