//! `/openapi/v3` and `/openapi/v2`: what objects look like and which operations there are.
//!
//! Made from the schema table and the resource table, per group and version, when first asked for.
//! kubectl reads it to explain fields, to learn that the server validates fields, and for the keys of
//! strategic merge patches. Field descriptions are not there yet.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use apimachinery::status::ApiError;
use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, LOCATION, VARY};
use http::{HeaderMap, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{discovery, respond};
use crate::request::Query;

mod paths;
mod proto;
mod schemas;
mod v2;

/// Documents made so far, by name (`apis/apps/v1`, `v2`).
static MADE: LazyLock<Mutex<BTreeMap<String, Bytes>>> = LazyLock::new(Mutex::default);

/// Changes whenever what the documents are made of changes.
static HASH: LazyLock<String> = LazyLock::new(|| {
    let mut h = Sha256::new();
    h.update(env!("CARGO_PKG_VERSION"));
    for (_, t) in api::schema().types() {
        h.update(t.name.as_bytes());
        h.update(format!("{:?}", t.fields()));
    }
    h.update(format!("{:?}", crate::resources::resources()));
    h.finalize().iter().map(|b| format!("{b:02X}")).collect()
});

/// Answers an OpenAPI path; `None` when there is no such document.
pub(crate) fn serve(path: &str, query: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let path = path.trim_end_matches('/');
    if path == "/openapi/v2" && accepts(headers, &[proto::ACCEPT]) {
        let mut r = answer(made("v2.pb", || proto::encode(&v2::document())), headers, "v2.pb");
        if r.headers().contains_key(CONTENT_TYPE) {
            r.headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(proto::CONTENT_TYPE));
        }
        return Some(r);
    }
    let any = headers.get(ACCEPT).is_none();
    if !any && !accepts(headers, &["", "*/*", "application/*", "application/json"]) {
        return Some(respond::error(
            headers,
            &ApiError::not_acceptable(&["application/json"]),
        ));
    }
    match path {
        "/openapi/v3" => Some(answer(index().to_string().into(), headers, "v3")),
        "/openapi/v2" => Some(answer(
            made("v2", || v2::document().to_string().into_bytes()),
            headers,
            "v2",
        )),
        other => {
            let name = other.strip_prefix("/openapi/v3/")?;
            let (group, version) = versions()
                .into_iter()
                .find(|(n, ..)| n == name)
                .map(|(_, g, v)| (g, v))?;
            let mut r = match Query::parse(query).get("hash") {
                // A link to what this server had before an upgrade.
                Some(h) if h != HASH.as_str() => {
                    let mut r = Response::new(Body::empty());
                    *r.status_mut() = StatusCode::MOVED_PERMANENTLY;
                    r.headers_mut()
                        .insert(LOCATION, HeaderValue::from_str(&link(name)).ok()?);
                    return Some(r);
                }
                hash => {
                    let mut r = answer(
                        made(name, || document(group, version).to_string().into_bytes()),
                        headers,
                        name,
                    );
                    if hash.is_some() {
                        r.headers_mut()
                            .insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
                    }
                    r
                }
            };
            r.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
            Some(r)
        }
    }
}

/// Whether a clause of Accept names one of `media` types.
fn accepts(headers: &HeaderMap, media: &[&str]) -> bool {
    let all = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok());
    all.flat_map(|v| v.split(','))
        .any(|c| media.contains(&c.split(';').next().unwrap_or("").trim()))
}

fn answer(body: Bytes, headers: &HeaderMap, name: &str) -> Response<Body> {
    let tag = HeaderValue::from_str(&format!("\"{}-{name}\"", &*HASH)).expect("hexadecimal and a path");
    let mut r = if headers.get(IF_NONE_MATCH).is_some_and(|v| *v == tag) {
        let mut r = Response::new(Body::empty());
        *r.status_mut() = StatusCode::NOT_MODIFIED;
        r
    } else {
        let mut r = Response::new(Body::from(body));
        r.headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        r
    };
    r.headers_mut().insert(ETAG, tag);
    r
}

fn made(name: &str, make: impl FnOnce() -> Vec<u8>) -> Bytes {
    if let Some(b) = MADE.lock().get(name) {
        return b.clone();
    }
    let b = Bytes::from(make());
    MADE.lock().insert(name.to_owned(), b.clone());
    b
}

/// All group versions: document name, group, version.
fn versions() -> Vec<(String, &'static str, &'static str)> {
    discovery::groups()
        .into_iter()
        .flat_map(|(g, vs)| {
            vs.into_iter()
                .map(move |v| (discovery::version_path(g, v)[1..].to_owned(), g, v))
        })
        .collect()
}

fn link(name: &str) -> String {
    format!("/openapi/v3/{name}?hash={}", &*HASH)
}

fn index() -> Value {
    let paths: Map<String, Value> = versions()
        .into_iter()
        .map(|(n, ..)| (n.clone(), json!({"serverRelativeURL": link(&n)})))
        .collect();
    json!({"paths": paths})
}

/// The document of one group and version.
fn document(group: &str, version: &str) -> Value {
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": component::version::Info::get().git_version},
        "paths": paths::paths(group, version),
        "components": {
            "schemas": schemas::schemas(group, version),
            "securitySchemes": {
                "BearerToken": {
                    "description": "Bearer Token authentication",
                    "type": "apiKey",
                    "name": "authorization",
                    "in": "header",
                },
            },
        },
    })
}

#[cfg(test)]
mod tests;
