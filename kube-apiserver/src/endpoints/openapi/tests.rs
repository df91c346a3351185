#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;

pub(in crate::endpoints) mod difference;

use difference::{differences, print};

/// Where upstream's documents are; the comparison is not made, and says so, on machines without them.
fn reference(file: &str) -> Option<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/reference/openapi")
        .join(file);
    match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(_) => {
            eprintln!("no reference document {}: this comparison was not made", path.display());
            None
        }
    }
}

fn reference_v3(part: Part) -> Option<Value> {
    reference(&format!("v3/{}_openapi.json", part.name().replace('/', "__")))
}

fn document(part: Part) -> Value {
    let mut out = Vec::new();
    v3::write(&part, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

fn document_v2() -> Value {
    let mut out = Vec::new();
    v2::write(&mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn documents_of_v3_equal_upstreams() {
    let mut all = Vec::new();
    for part in parts() {
        let Some(want) = reference_v3(part) else { continue };
        let name = part.name();
        all.extend(
            differences(&document(part), &want)
                .into_iter()
                .map(|d| format!("{name}: {d}")),
        );
    }
    print(&all);
    assert!(all.is_empty(), "{} differences", all.len());
}

#[test]
fn the_document_of_v2_equals_upstreams() {
    let Some(mut want) = reference("swagger.json") else {
        return;
    };
    let have = document_v2();
    // Upstream's file describes what is off by default too.
    let is_served = |path: &String| {
        parts().into_iter().any(|p| match p {
            Part::GroupVersion(..) => path.starts_with(&format!("/{}/", p.name())),
            _ => *path == format!("/{}/", p.name()),
        })
    };
    want["paths"].as_object_mut().unwrap().retain(|path, _| is_served(path));
    // References without target are another test's matter.
    let used = have["definitions"].as_object().unwrap();
    want["definitions"]
        .as_object_mut()
        .unwrap()
        .retain(|n, _| used.contains_key(n));
    let all = differences(&have, &want);
    print(&all);
    assert!(all.is_empty(), "{} differences", all.len());
}

#[test]
fn references_of_all_documents_have_targets() {
    fn targets<'a>(v: &'a Value, out: &mut BTreeSet<&'a str>) {
        match v {
            Value::Object(m) => {
                out.extend(m.get("$ref").and_then(Value::as_str));
                m.values().for_each(|v| targets(v, out));
            }
            Value::Array(l) => l.iter().for_each(|v| targets(v, out)),
            _ => {}
        }
    }
    for document in parts().into_iter().map(document).chain([document_v2()]) {
        let mut all = BTreeSet::new();
        targets(&document, &mut all);
        for target in all {
            let pointer = target.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }
}

/// What `kubectl explain` prints: every field says what it is for.
#[test]
fn every_type_and_property_is_explained() {
    let mut silent = Vec::new();
    for part in parts() {
        // Which are silent upstream too only the reference tells.
        let Some(want) = reference_v3(part) else { continue };
        let have = document(part);
        for (name, schema) in have["components"]["schemas"].as_object().into_iter().flatten() {
            let upstream = &want["components"]["schemas"][name];
            let is_silent = |have: &Value, want: &Value| {
                let said = |v: &Value| v["description"].as_str().is_some_and(|d| !d.is_empty());
                !said(have) && said(want)
            };
            if is_silent(schema, upstream) {
                silent.push(name.clone());
            }
            for (property, value) in schema["properties"].as_object().into_iter().flatten() {
                if is_silent(value, &upstream["properties"][property]) {
                    silent.push(format!("{name}.{property}"));
                }
            }
        }
    }
    silent.sort();
    silent.dedup();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn patches_say_that_fields_are_validated() {
    let d = document(Part::GroupVersion("apps", "v1"));
    let patch = &d["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group":"apps","version":"v1","kind":"Deployment"})
    );
    let parameters = patch["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|x| x["name"] == "fieldValidation"));
    assert!(
        patch["requestBody"]["content"]
            .get("application/strategic-merge-patch+json")
            .is_some()
    );
}

fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
    list.iter().map(|(n, v)| (n.clone(), v.parse().unwrap())).collect()
}

#[test]
fn the_index_links_to_documents_by_hash() {
    let index: Value = index();
    for part in ["api", "apis", "apis/apps", "apis/apps/v1", "version", "openid/v1/jwks"] {
        assert!(index["paths"][part].is_object(), "{part}");
    }
    let link = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    let (path, query) = link.split_once('?').unwrap();
    let r = serve(path, query, &HeaderMap::new()).unwrap();
    assert_eq!(r.status(), StatusCode::OK);
    assert_eq!(r.headers()[CACHE_CONTROL], "public, immutable");
    assert!(r.headers()[EXPIRES].to_str().unwrap().ends_with(" UTC"));
    let r = serve(path, "hash=old", &HeaderMap::new()).unwrap();
    assert_eq!(
        (r.status(), r.headers()[LOCATION].to_str().unwrap()),
        (StatusCode::MOVED_PERMANENTLY, link)
    );
    assert!(
        serve(path, "", &HeaderMap::new())
            .unwrap()
            .headers()
            .get(CACHE_CONTROL)
            .is_none()
    );
    assert!(serve("/openapi/v3/apis/nope/v1", "", &HeaderMap::new()).is_none());
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    for path in ["/openapi/v3", "/openapi/v2", "/openapi/v3/apis/batch/v1"] {
        let r = serve(path, "", &HeaderMap::new()).unwrap();
        assert_eq!(r.status(), StatusCode::OK);
        let tag = r.headers()[ETAG].to_str().unwrap().to_owned();
        let r = serve(path, "", &headers(&[(IF_NONE_MATCH, &tag)])).unwrap();
        assert_eq!(r.status(), StatusCode::NOT_MODIFIED, "{path}");
        let r = serve(path, "", &headers(&[(IF_NONE_MATCH, "\"other\"")])).unwrap();
        assert_eq!(r.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn bodies_are_compressed_when_asked() {
    let body = |r: Response<Body>| axum::body::to_bytes(r.into_body(), usize::MAX);
    let path = "/openapi/v3/apis/policy/v1";
    let plain = serve(path, "", &HeaderMap::new()).unwrap();
    assert!(plain.headers().get(CONTENT_ENCODING).is_none());
    let plain = body(plain).await.unwrap();
    let r = serve(path, "", &headers(&[(ACCEPT_ENCODING, "gzip, deflate")])).unwrap();
    assert_eq!(r.headers()[CONTENT_ENCODING], "gzip");
    let small = body(r).await.unwrap();
    assert!(small.len() * 4 < plain.len());
    assert_eq!(decompress(&small), plain);
}

#[test]
fn what_is_kept_of_all_documents_is_small() {
    let v3 = parts().into_iter().map(|p| compress(|w| v3::write(&p, w)).len());
    let v3: usize = v3.sum();
    let v2 = compress(|w| v2::write(w));
    let pb = compress(|w| w.write_all(&proto::v2::encode(&parsed(&v2))));
    eprintln!("kept: v3 {v3} bytes, v2 {}, v2 as protobuf {}", v2.len(), pb.len());
    assert!(v3 + v2.len() + pb.len() < 3 << 20);
}

#[test]
fn accept_decides_the_form() {
    for (path, accept, code, content_type) in [
        ("/openapi/v2", "", 200, JSON),
        ("/openapi/v2", "*/*", 200, JSON),
        ("/openapi/v2", proto::v2::ACCEPT, 200, proto::v2::CONTENT_TYPE),
        ("/openapi/v2", proto::v2::CONTENT_TYPE, 200, proto::v2::CONTENT_TYPE),
        (
            "/openapi/v2",
            "application/json;q=0.5, application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
            200,
            proto::v2::CONTENT_TYPE,
        ),
        ("/openapi/v2", "text/html", 406, ""),
        ("/openapi/v3", "text/html", 200, JSON),
        (
            "/openapi/v3/apis/apps/v1",
            proto::v3::ACCEPT,
            200,
            proto::v3::CONTENT_TYPE,
        ),
        (
            "/openapi/v3/apis/apps/v1",
            proto::v3::CONTENT_TYPE,
            200,
            proto::v3::CONTENT_TYPE,
        ),
        ("/openapi/v3/apis/apps/v1", proto::v2::ACCEPT, 406, ""),
        ("/openapi/v3/apis/apps/v1", "text/html", 406, ""),
        ("/openapi/v3/apis/apps/v1", "text/html, application/json", 200, JSON),
    ] {
        let asked = if accept.is_empty() {
            HeaderMap::new()
        } else {
            headers(&[(ACCEPT, accept)])
        };
        let r = serve(path, "", &asked).unwrap();
        let have = r.headers().get(CONTENT_TYPE).map_or("", |v| v.to_str().unwrap());
        assert_eq!((r.status().as_u16(), have), (code, content_type), "{path} {accept}");
    }
}

#[test]
fn clients_learn_the_values_of_enumerations() {
    let d = document(Part::GroupVersion("", "v1"));
    let policy = &d["components"]["schemas"]["io.k8s.api.core.v1.Container"]["properties"]["imagePullPolicy"];
    assert_eq!(policy["enum"], json!(["Always", "IfNotPresent", "Never"]));
}
