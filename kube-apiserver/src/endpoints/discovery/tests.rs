#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::PathBuf;

use http::header::{ACCEPT, CONTENT_ENCODING};
use serde_json::Value;

use super::*;
use crate::endpoints::openapi::tests::difference;

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

/// Upstream's groups without the versions that are off by default, and without the groups that have no other.
fn only_served(mut list: Value, version: &str) -> Value {
    let keep = |g: &mut Value| {
        let name = g.pointer("/metadata/name").or(g.get("name")).and_then(Value::as_str);
        let Some((_, served)) = groups().into_iter().find(|(n, _)| Some(*n) == name) else {
            return false;
        };
        let versions = g["versions"].as_array_mut().unwrap();
        versions.retain(|v| served.iter().any(|s| v[version] == *s));
        !versions.is_empty()
    };
    for items in ["groups", "items"] {
        if let Some(items) = list.get_mut(items).and_then(Value::as_array_mut) {
            items.retain_mut(keep);
        }
    }
    list
}

#[test]
fn documents_equal_upstreams() {
    let mut all = Vec::new();
    for path in DOCUMENTS.plain.keys() {
        let file = format!("{}.json", path.trim_start_matches('/').replace('/', "__"));
        let Some(mut want) = reference(&file) else { continue };
        let mut have = document(path);
        if path == "/api" {
            // Where this server is.
            for v in [&mut have, &mut want] {
                v["serverAddressByClientCIDRs"][0]["serverAddress"].take();
            }
        } else if path == "/apis" {
            want = only_served(want, "version");
        } else if have["kind"] == "APIGroup" {
            let list = only_served(serde_json::json!({"groups": [want.clone()]}), "version");
            want = list["groups"][0].clone();
        }
        all.extend(
            difference::differences(&have, &want)
                .into_iter()
                .map(|d| format!("{path}{d}")),
        );
    }
    difference::print(&all);
    assert!(all.is_empty(), "{} differences", all.len());
}

#[test]
fn aggregated_documents_equal_upstreams() {
    let Some(want) = reference("aggregated_v2.json") else {
        return;
    };
    let mut want = only_served(want, "version");
    for version in ["v2", "v2beta1"] {
        want["apiVersion"] = format!("apidiscovery.k8s.io/{version}").into();
        let have = aggregated::document("/apis", version);
        let all = difference::differences(&have, &want);
        difference::print(&all);
        assert!(all.is_empty(), "{} differences", all.len());
    }
}

/// The reference has no aggregated core group: it says the same as the old form.
#[test]
fn the_aggregated_core_group_lists_what_the_old_form_lists() {
    let have = aggregated::document("/api", "v2");
    assert_eq!(have["items"].as_array().unwrap().len(), 1);
    let resources = have["items"][0]["versions"][0]["resources"].as_array().unwrap();
    let mut names = BTreeSet::new();
    for r in resources {
        let name = r["resource"].as_str().unwrap();
        names.insert(name.to_owned());
        for s in r["subresources"].as_array().into_iter().flatten() {
            names.insert(format!("{name}/{}", s["subresource"].as_str().unwrap()));
        }
    }
    let old: BTreeSet<String> = document("/api/v1")["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, old);
}

fn ask(path: &str, accept: &str) -> Result<Response<Body>> {
    let mut h = HeaderMap::new();
    if !accept.is_empty() {
        h.insert(ACCEPT, accept.parse().unwrap());
    }
    serve(path, "", &h).unwrap()
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
        ("application/yaml", "application/yaml"),
        (
            "application/vnd.kubernetes.protobuf",
            "application/vnd.kubernetes.protobuf",
        ),
        (
            "application/vnd.kubernetes.protobuf, */*",
            "application/vnd.kubernetes.protobuf",
        ),
        (
            "application/vnd.kubernetes.protobuf;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io",
            "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        ),
        // An unknown version is passed over.
        (
            "application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList,application/json",
            "application/json",
        ),
    ] {
        let r = ask("/apis", accept).unwrap();
        assert_eq!(r.headers()[CONTENT_TYPE], content_type, "{accept}");
        assert_eq!(
            r.headers().contains_key(ETAG),
            content_type.contains("apidiscovery"),
            "{accept}"
        );
    }
    assert_eq!(ask("/apis", "text/html").unwrap_err().code, 406);
    assert!(serve("/apis/nope", "", &HeaderMap::new()).is_none());
    assert!(serve("/api/v1/", "", &HeaderMap::new()).is_some());
}

#[test]
fn who_has_the_aggregated_document_does_not_get_it_again() {
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let r = ask("/apis", accept).unwrap();
    assert_eq!(
        (&r.headers()[VARY], &r.headers()[CACHE_CONTROL]),
        (&"Accept".parse().unwrap(), &"public".parse().unwrap())
    );
    let mut h = HeaderMap::new();
    h.insert(ACCEPT, accept.parse().unwrap());
    h.insert(IF_NONE_MATCH, r.headers()[ETAG].clone());
    let r = serve("/apis", "", &h).unwrap().unwrap();
    assert_eq!(r.status(), StatusCode::NOT_MODIFIED);
    h.insert(IF_NONE_MATCH, "\"other\"".parse().unwrap());
    assert_eq!(serve("/apis", "", &h).unwrap().unwrap().status(), StatusCode::OK);
}

/// Go leaves out a zero time that is `omitzero`, as that of an object's metadata is.
#[test]
fn groups_of_the_aggregated_form_have_no_time() {
    for path in ["/api", "/apis"] {
        let document = aggregated::document(path, "v2");
        for item in document["items"].as_array().unwrap() {
            assert_eq!(item["metadata"].get("creationTimestamp"), None, "{path}");
        }
    }
}

#[tokio::test]
async fn clients_that_take_gzip_get_large_documents_compressed_and_small_ones_as_they_are() {
    let body = |r: Response<Body>| async { axum::body::to_bytes(r.into_body(), usize::MAX).await.unwrap() };
    for document in [
        &Document::new(&json!({"a": "b"})),
        &Document::new(&json!({"a": "b".repeat(200_000)})),
    ] {
        let out = Output {
            gzip: true,
            ..Output::default()
        };
        let r = encoded(document, &out).unwrap();
        let is_large = document.body.len() > 200_000;
        assert_eq!(r.headers().contains_key(CONTENT_ENCODING), is_large);
        assert_eq!(r.headers()[CONTENT_TYPE], "application/json");
        let sent = body(r).await;
        let mut plain = sent.to_vec();
        if is_large {
            plain.clear();
            flate2::read::GzDecoder::new(&sent[..]).read_to_end(&mut plain).unwrap();
        }
        assert_eq!(plain, document.body);
        let r = encoded(document, &Output::default()).unwrap();
        assert_eq!(body(r).await, document.body);
    }
}

#[test]
fn newer_and_stabler_versions_are_preferred() {
    let mut v = ["v1alpha1", "v2", "v1beta2", "v1", "v1beta1"];
    v.sort_by_key(|v| std::cmp::Reverse(rank(v)));
    assert_eq!(v, ["v2", "v1", "v1beta2", "v1beta1", "v1alpha1"]);
}
