//! `/api`, `/apis` and below: which groups, versions and resources there are.
//!
//! All derived from the resource table, made once. Two forms: the old one, a document per level, and
//! the aggregated one, everything in one document (upstream `apiserver/pkg/endpoints/discovery`,
//! `discovery/aggregated`).

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use base64::Engine as _;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::codec::Gzip;
use super::negotiate::{self, Format, Output};
use super::respond;
use crate::request::Query;
use crate::resources::{self, Resource, Subresource};

mod aggregated;

/// `host:port` clients reach this server at, for `/api`. Set once at start.
static SERVER_ADDRESS: OnceLock<String> = OnceLock::new();

/// Tells discovery the address to publish; the first call counts.
pub(crate) fn set_server_address(address: String) {
    // A second server of the same process keeps the first one's address: only tests do that.
    let _ = SERVER_ADDRESS.set(address);
}

/// A document in JSON, from which the rarer encodings are made.
struct Document {
    body: Bytes,
    /// The same compressed, when it is large enough for that.
    gzip: Option<Bytes>,
    etag: HeaderValue,
}

impl Document {
    fn new(v: &Value) -> Self {
        let mut body = v.to_string().into_bytes();
        body.push(b'\n');
        let gzip = Gzip::worth(body.len()).map(|mut gzip| {
            let start = gzip.piece(&body);
            [start, gzip.end()].concat().into()
        });
        Document {
            etag: etag(&body),
            gzip,
            body: body.into(),
        }
    }
}

fn etag(body: &[u8]) -> HeaderValue {
    let hex: String = Sha256::digest(body).iter().map(|b| format!("{b:02X}")).collect();
    HeaderValue::from_str(&format!("\"{hex}\"")).expect("hexadecimal is a header value")
}

struct Documents {
    /// By path.
    plain: BTreeMap<String, Document>,
    /// Aggregated `/api` and `/apis`, by path and version of apidiscovery.k8s.io.
    aggregated: BTreeMap<(&'static str, &'static str), Document>,
}

static DOCUMENTS: LazyLock<Documents> = LazyLock::new(|| {
    let mut plain = BTreeMap::new();
    plain.insert("/api".to_owned(), Document::new(&api_versions()));
    plain.insert("/apis".to_owned(), Document::new(&group_list()));
    for (group, versions) in groups() {
        if !group.is_empty() {
            let mut g = json!({"kind": "APIGroup", "apiVersion": "v1"});
            for (k, v) in group_value(group, &versions).as_object().into_iter().flatten() {
                g[k] = v.clone();
            }
            plain.insert(format!("/apis/{group}"), Document::new(&g));
        }
        for v in versions {
            plain.insert(version_path(group, v), Document::new(&resource_list(group, v)));
        }
    }
    let mut aggregated = BTreeMap::new();
    for path in ["/api", "/apis"] {
        for version in ["v2", "v2beta1"] {
            aggregated.insert((path, version), Document::new(&aggregated::document(path, version)));
        }
    }
    Documents { plain, aggregated }
});

/// Answers a discovery path; `None` when there is no such group or version.
pub(crate) fn serve(path: &str, query: &str, headers: &HeaderMap) -> Option<Result<Response<Body>>> {
    let path = path.trim_end_matches('/');
    let docs = &*DOCUMENTS;
    if (path == "/api" || path == "/apis")
        && let Some((media_type, version)) = wants_aggregated(headers)
    {
        let (_, document) = docs.aggregated.iter().find(|((p, v), _)| *p == path && *v == version)?;
        return Some(aggregate(document, headers, media_type, version));
    }
    let document = docs.plain.get(path)?;
    Some(plain(document, &Query::parse(query), headers))
}

/// A document of the old form, in the encoding the client asks for.
fn plain(document: &Document, query: &Query, headers: &HeaderMap) -> Result<Response<Body>> {
    let out = negotiate::output(headers, query, false)?;
    let mut r = encoded(document, &out)?;
    r.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    Ok(r)
}

fn encoded(document: &Document, out: &Output) -> Result<Response<Body>> {
    if out.format == Format::Json && !out.pretty {
        let json = |body: &Bytes| respond::bytes(StatusCode::OK, "application/json", body.clone());
        return Ok(match document.gzip.as_ref().filter(|_| out.gzip) {
            Some(gzip) => respond::compressed(json(gzip)),
            None => json(&document.body),
        });
    }
    let value: Value = serde_json::from_slice(&document.body).map_err(ApiError::internal)?;
    respond::value(StatusCode::OK, out, &value)
}

/// The aggregated form, unless the client has it.
fn aggregate(document: &Document, headers: &HeaderMap, media_type: &str, version: &str) -> Result<Response<Body>> {
    let mut r = if headers.get(IF_NONE_MATCH).is_some_and(|v| v == document.etag) {
        let mut r = Response::new(Body::empty());
        *r.status_mut() = StatusCode::NOT_MODIFIED;
        r
    } else {
        let format = Format::named(media_type).unwrap_or(Format::Json);
        let gzip = negotiate::output(headers, &Query::default(), false).is_ok_and(|o| o.gzip);
        let out = Output {
            format,
            gzip,
            ..Output::default()
        };
        let mut r = encoded(document, &out)?;
        let content_type = format!("{media_type};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
        let content_type = HeaderValue::from_str(&content_type).map_err(ApiError::internal)?;
        r.headers_mut().insert(CONTENT_TYPE, content_type);
        r
    };
    let h = r.headers_mut();
    h.insert(ETAG, document.etag.clone());
    h.append(VARY, HeaderValue::from_static("Accept"));
    h.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    Ok(r)
}

/// The first aggregated form that Accept names before a plain one: media type and version.
fn wants_aggregated(headers: &HeaderMap) -> Option<(&'static str, &'static str)> {
    let all = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok());
    let accept = all.collect::<Vec<_>>().join(",");
    for clause in accept.split(',') {
        let mut parts = clause.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        let params: Vec<(&str, &str)> = parts.filter_map(|p| p.split_once('=')).collect();
        let is = |k: &str, v: &str| params.contains(&(k, v));
        let media = match media {
            "*/*" | "application/*" | "application/json" => "application/json",
            "application/yaml" => "application/yaml",
            "application/vnd.kubernetes.protobuf" => "application/vnd.kubernetes.protobuf",
            _ => continue,
        };
        if !params.iter().any(|(k, _)| *k == "as") {
            return None;
        }
        if is("as", "APIGroupDiscoveryList") && is("g", "apidiscovery.k8s.io") {
            for version in ["v2", "v2beta1"] {
                // The schema table has the messages of one version; nobody reads the other in protobuf.
                let encodes = version == "v2" || media != "application/vnd.kubernetes.protobuf";
                if is("v", version) && encodes {
                    return Some((media, version));
                }
            }
        }
    }
    None
}

/// Every path the server answers, for `/`.
pub(crate) fn paths() -> Vec<String> {
    let mut all: Vec<String> = DOCUMENTS.plain.keys().cloned().collect();
    all.extend(
        [
            "/.well-known/openid-configuration",
            "/apis/",
            "/healthz",
            "/healthz/etcd",
            "/healthz/log",
            "/healthz/ping",
            "/livez",
            "/livez/etcd",
            "/livez/log",
            "/livez/ping",
            "/metrics",
            "/metrics/slis",
            "/openapi/v2",
            "/openapi/v3",
            "/openapi/v3/",
            "/openid/v1/jwks",
            "/readyz",
            "/readyz/etcd",
            "/readyz/log",
            "/readyz/ping",
            "/version",
        ]
        .map(str::to_owned),
    );
    all.sort();
    all
}

/// `/api/v1`, `/apis/apps/v1`.
pub(crate) fn version_path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    }
}

/// Groups in table order, each with its versions, the preferred first.
pub(crate) fn groups() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut out: Vec<(&str, Vec<&str>)> = Vec::new();
    for r in resources::served() {
        match out.iter_mut().find(|(g, _)| *g == r.group) {
            Some((_, versions)) if versions.contains(&r.version) => {}
            Some((_, versions)) => versions.push(r.version),
            None => out.push((r.group, vec![r.version])),
        }
    }
    for (_, versions) in &mut out {
        versions.sort_by_key(|v| std::cmp::Reverse(rank(v)));
    }
    out
}

/// GA before beta before alpha, larger numbers first (upstream `version.CompareKubeAwareVersionStrings`).
fn rank(version: &str) -> (u8, u32, u32) {
    let rest = version.strip_prefix('v').unwrap_or(version);
    let split = |sep: &str| {
        rest.split_once(sep)
            .map(|(a, b)| (a.parse().unwrap_or(0), b.parse().unwrap_or(0)))
    };
    if let Some((a, b)) = split("beta") {
        (1, a, b)
    } else if let Some((a, b)) = split("alpha") {
        (0, a, b)
    } else {
        (2, rest.parse().unwrap_or(0), 0)
    }
}

/// Rows of one group version.
fn rows(group: &str, version: &str) -> impl Iterator<Item = &'static Resource> {
    resources::served().filter(move |r| r.group == group && r.version == version)
}

fn api_versions() -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{
            "clientCIDR": "0.0.0.0/0",
            "serverAddress": SERVER_ADDRESS.get().cloned().unwrap_or_default(),
        }],
    })
}

fn group_list() -> Value {
    let list: Vec<Value> = groups()
        .iter()
        .filter(|(g, _)| !g.is_empty())
        .map(|(g, v)| group_value(g, v))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list})
}

fn group_value(group: &str, versions: &[&str]) -> Value {
    let version = |v: &&str| json!({"groupVersion": format!("{group}/{v}"), "version": v});
    json!({
        "name": group,
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(version),
    })
}

fn resource_list(group: &str, version: &str) -> Value {
    let mut list = Vec::new();
    for r in rows(group, version) {
        list.push(resource_value(r));
        list.extend(r.subresources.iter().map(|s| subresource_value(r, s)));
    }
    // By name, as upstream's installer registers paths.
    list.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    let mut v = json!({"kind": "APIResourceList"});
    if !group.is_empty() {
        v["apiVersion"] = json!("v1");
    }
    v["groupVersion"] = json!(group_version);
    v["resources"] = json!(list);
    v
}

fn resource_value(r: &Resource) -> Value {
    let mut m = Map::new();
    m.insert("name".to_owned(), json!(r.plural));
    m.insert("singularName".to_owned(), json!(r.singular));
    m.insert("namespaced".to_owned(), json!(r.namespaced));
    m.insert("kind".to_owned(), json!(r.kind));
    m.insert("verbs".to_owned(), json!(r.verbs));
    if !r.short_names.is_empty() {
        m.insert("shortNames".to_owned(), json!(r.short_names));
    }
    if !r.categories.is_empty() {
        m.insert("categories".to_owned(), json!(r.categories));
    }
    if let Some(v) = r.storage_version {
        m.insert("storageVersionHash".to_owned(), json!(storage_version_hash(v, r.kind)));
    }
    Value::Object(m)
}

fn subresource_value(r: &Resource, s: &Subresource) -> Value {
    let mut m = Map::new();
    m.insert("name".to_owned(), json!(format!("{}/{}", r.plural, s.name)));
    m.insert("singularName".to_owned(), json!(""));
    m.insert("namespaced".to_owned(), json!(r.namespaced));
    if let Some(g) = s.group.filter(|g| !g.is_empty()) {
        m.insert("group".to_owned(), json!(g));
    }
    if let Some(v) = s.version {
        m.insert("version".to_owned(), json!(v));
    }
    m.insert("kind".to_owned(), json!(s.kind));
    m.insert("verbs".to_owned(), json!(s.verbs));
    Value::Object(m)
}

/// Upstream `discovery.StorageVersionHash`: eight bytes of the SHA-256 of `group/version/kind`, of the
/// version an object is stored in (events are stored in the core group).
fn storage_version_hash(storage_version: &str, kind: &str) -> String {
    let (group, version) = storage_version.split_once('/').unwrap_or(("", storage_version));
    let digest = Sha256::digest(format!("{group}/{version}/{kind}"));
    base64::engine::general_purpose::STANDARD.encode(&digest[..8])
}

#[cfg(test)]
mod tests;
