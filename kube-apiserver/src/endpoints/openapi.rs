//! `/openapi/v3` and `/openapi/v2`: what objects look like and which operations there are.
//!
//! Made from the schema table, the resource table and the prose collected by the build script, per group and version
//! when first asked for; what is kept of a document is its compressed form, and the plain one once somebody asked for
//! that. kubectl reads it to explain fields, to
//! learn that the server validates fields, and for the keys of strategic merge patches. Upstream: kube-openapi
//! `pkg/handler` and `pkg/handler3`.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use apimachinery::schema::ListType;
use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, EXPIRES, HeaderName, HeaderValue,
    IF_NONE_MATCH, LOCATION, VARY,
};
use http::{HeaderMap, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};

use super::discovery;
use crate::request::Query;

pub(super) mod descriptions;
mod operations;
mod proto;
mod schemas;
mod v2;
mod v3;

const JSON: &str = "application/json";
/// Ends the name of a document for clients that take no compressed one.
const PLAIN: &str = " plain";

/// Documents made so far, by name (`apis/apps/v1`, `v2`, `v2.pb`); compressed, but those with [`PLAIN`].
static MADE: LazyLock<Mutex<BTreeMap<String, Bytes>>> = LazyLock::new(Mutex::default);

/// Changes whenever what the documents are made of changes. Upstream hashes every document by itself, which would mean
/// making all of them for the index.
static HASH: LazyLock<String> = LazyLock::new(|| {
    let mut h = Sha512::new();
    h.update(env!("CARGO_PKG_VERSION"));
    for (_, t) in api::schema().types() {
        h.update(t.name.as_bytes());
        h.update([u8::from(t.atomic), u8::from(t.type_meta)]);
        for f in t.fields() {
            h.update(format!("{} {:?} {:?} {}", f.name, f.shape, f.kind, f.required));
            h.update(format!("{:?} {:?} {:?}", f.map_type, f.patch, f.default));
            if f.list_type != ListType::Atomic || !f.allowed.is_empty() {
                h.update(format!("{:?} {:?}", f.list_type, f.allowed));
            }
        }
    }
    h.update(format!("{:?}", crate::resources::served().collect::<Vec<_>>()));
    h.update(descriptions::TEXT);
    h.finalize().iter().map(|b| format!("{b:02X}")).collect()
});

/// A part of the API with a document of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `/api`
    ApiVersions,
    /// `/apis`
    Groups,
    /// `/apis/<group>`
    Group(&'static str),
    /// `/apis/<group>/<version>`
    GroupVersion(&'static str, &'static str),
    /// `/version`
    Version,
    /// `/.well-known/openid-configuration`
    OpenIdConfiguration,
    /// `/openid/v1/jwks`
    Keys,
}

impl Part {
    /// Its path without the first slash.
    fn name(self) -> String {
        match self {
            Part::ApiVersions => "api".to_owned(),
            Part::Groups => "apis".to_owned(),
            Part::Group(group) => format!("apis/{group}"),
            Part::GroupVersion(group, version) => discovery::version_path(group, version)[1..].to_owned(),
            Part::Version => "version".to_owned(),
            Part::OpenIdConfiguration => ".well-known/openid-configuration".to_owned(),
            Part::Keys => "openid/v1/jwks".to_owned(),
        }
    }

    fn group_version(&self) -> Option<(&str, &str)> {
        match self {
            Part::GroupVersion(group, version) => Some((group, version)),
            _ => None,
        }
    }

    fn paths(self) -> operations::Paths {
        match self {
            Part::ApiVersions => operations::api_versions(),
            Part::Groups => operations::groups(),
            Part::Group(group) => operations::group(group),
            Part::GroupVersion(group, version) => operations::group_version(group, version),
            Part::Version => operations::version(),
            Part::OpenIdConfiguration => operations::openid_configuration(),
            Part::Keys => operations::keys(),
        }
    }
}

fn parts() -> Vec<Part> {
    let mut out = vec![
        Part::ApiVersions,
        Part::Groups,
        Part::Version,
        Part::OpenIdConfiguration,
        Part::Keys,
    ];
    for (group, versions) in discovery::groups() {
        if !group.is_empty() {
            out.push(Part::Group(group));
        }
        out.extend(versions.into_iter().map(|v| Part::GroupVersion(group, v)));
    }
    out
}

/// Answers an OpenAPI path; `None` when there is no such document.
pub(crate) fn serve(path: &str, query: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    match path.trim_end_matches('/') {
        // The index is JSON whatever the client accepts.
        "/openapi/v3" => Some(answer(headers, JSON, "v3", || compress(|w| write!(w, "{}", index())))),
        "/openapi/v2" => Some(old(headers)),
        other => group(other.strip_prefix("/openapi/v3/")?, query, headers),
    }
}

fn old(headers: &HeaderMap) -> Response<Body> {
    let forms = [
        (JSON, JSON),
        (proto::v2::ACCEPT, proto::v2::CONTENT_TYPE),
        (proto::v2::CONTENT_TYPE, proto::v2::CONTENT_TYPE),
    ];
    let mut r = match accepted(headers, &forms) {
        None => empty(StatusCode::NOT_ACCEPTABLE),
        Some(form) => in_form(headers, form, "v2", proto::v2::encode, |w| v2::write(w)),
    };
    r.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    r
}

fn group(name: &str, query: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let part = parts().into_iter().find(|p| p.name() == name)?;
    let forms = [
        (JSON, JSON),
        (proto::v3::CONTENT_TYPE, proto::v3::CONTENT_TYPE),
        (proto::v3::ACCEPT, proto::v3::CONTENT_TYPE),
    ];
    let query = Query::parse(query);
    let mut r = match (accepted(headers, &forms), query.get("hash").filter(|h| !h.is_empty())) {
        (None, _) => empty(StatusCode::NOT_ACCEPTABLE),
        // A link to what this server had before an upgrade.
        (_, Some(h)) if h != HASH.as_str() => {
            let mut r = empty(StatusCode::MOVED_PERMANENTLY);
            set(&mut r, LOCATION, &link(name));
            r
        }
        (Some(form), hash) => {
            let mut r = in_form(headers, form, name, proto::v3::encode, |w| v3::write(&part, w));
            if hash.is_some() {
                set(&mut r, CACHE_CONTROL, "public, immutable");
                set(&mut r, EXPIRES, &in_a_year());
            }
            r
        }
    };
    r.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    Some(r)
}

/// A document as JSON, or made from its JSON as protobuf.
fn in_form(
    headers: &HeaderMap,
    form: &'static str,
    name: &str,
    encode: fn(&Value) -> Vec<u8>,
    write: impl FnOnce(&mut GzEncoder<Vec<u8>>) -> io::Result<()>,
) -> Response<Body> {
    if form == JSON {
        return answer(headers, form, name, || compress(write));
    }
    answer(headers, form, &format!("{name}.pb"), || {
        let json = made(name, || compress(write));
        compress(|w| w.write_all(&encode(&parsed(&json))))
    })
}

/// RFC 1123, in UTC.
fn in_a_year() -> String {
    let then = SystemTime::now() + Duration::from_secs(365 * 24 * 3600);
    let then = jiff::Timestamp::try_from(then).unwrap_or_default();
    then.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

/// The Content-Type of the first form that Accept names; `forms` are pairs of what is asked for and what is answered.
fn accepted(headers: &HeaderMap, forms: &[(&str, &'static str)]) -> Option<&'static str> {
    let all = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok());
    let accept = all.collect::<Vec<_>>().join(",");
    if accept.trim().is_empty() {
        return forms.first().map(|(_, answer)| *answer);
    }
    let quality = |clause: &str| {
        let q = clause.split(';').skip(1).find_map(|p| p.trim().strip_prefix("q="));
        q.and_then(|q| q.parse::<f32>().ok()).unwrap_or(1.0)
    };
    let mut clauses: Vec<&str> = accept.split(',').collect();
    clauses.sort_by(|a, b| quality(b).total_cmp(&quality(a)));
    clauses.into_iter().find_map(|clause| {
        let media = clause.split(';').next().unwrap_or("").trim();
        let any = matches!(media, "*/*" | "application/*");
        forms
            .iter()
            .find(|(asked, _)| any || *asked == media)
            .map(|(_, answer)| *answer)
    })
}

/// A document in the client's encoding, or that it has not changed.
fn answer(headers: &HeaderMap, content_type: &str, name: &str, make: impl FnOnce() -> Vec<u8>) -> Response<Body> {
    let tag = format!("\"{}\"", &*HASH);
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    let mut known = known.flat_map(|v| v.split(',')).map(str::trim);
    let mut r = if known.any(|k| k == tag || k == "*") {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        let body = made(name, make);
        let gzip = headers.get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
        let mut r = if gzip
            .split(',')
            .any(|c| c.split(';').next().is_some_and(|c| c.trim() == "gzip"))
        {
            let mut r = Response::new(Body::from(body));
            set(&mut r, CONTENT_ENCODING, "gzip");
            r
        } else {
            let plain = made(&format!("{name}{PLAIN}"), || decompress(&body));
            Response::new(Body::from(plain))
        };
        set(&mut r, CONTENT_TYPE, content_type);
        r
    };
    r.headers_mut()
        .append(VARY, HeaderValue::from_static("Accept-Encoding"));
    set(&mut r, ETAG, &tag);
    r
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut r = Response::new(Body::empty());
    *r.status_mut() = status;
    r
}

fn set(r: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        r.headers_mut().insert(name, value);
    }
}

fn made(name: &str, make: impl FnOnce() -> Vec<u8>) -> Bytes {
    if let Some(b) = MADE.lock().get(name) {
        return b.clone();
    }
    // Two who ask at once both make it; nobody waits for a document of another name.
    let b = Bytes::from(make());
    MADE.lock().insert(name.to_owned(), b.clone());
    b
}

/// What `write` writes, compressed.
fn compress(write: impl FnOnce(&mut GzEncoder<Vec<u8>>) -> io::Result<()>) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    let done = write(&mut out).and_then(|()| out.finish());
    let mut bytes = done.expect("writing to memory does not fail");
    bytes.shrink_to_fit();
    bytes
}

fn decompress(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let read = GzDecoder::new(bytes).read_to_end(&mut out);
    read.expect("it was compressed here");
    out
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(&decompress(bytes)).expect("it was written here")
}

fn link(name: &str) -> String {
    format!("/openapi/v3/{name}?hash={}", &*HASH)
}

fn index() -> Value {
    let paths: Map<String, Value> = parts()
        .into_iter()
        .map(|p| (p.name(), json!({"serverRelativeURL": link(&p.name())})))
        .collect();
    json!({"paths": paths})
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": component::version::Info::get().git_version})
}

fn bearer_token() -> Value {
    json!({"description": "Bearer Token authentication", "type": "apiKey", "name": "authorization", "in": "header"})
}

/// One member of a JSON object, so that large objects need not be in memory.
fn write_member(out: &mut impl Write, first: &mut bool, name: &str, value: &Value) -> io::Result<()> {
    let comma = if std::mem::take(first) { "" } else { "," };
    write!(out, "{comma}{}:{value}", Value::from(name))
}

/// What both versions say of an operation in extensions.
fn extend(out: &mut Value, o: &operations::Operation) {
    if let Some(action) = o.action {
        out["x-kubernetes-action"] = json!(action);
    }
    if let Some([group, version, kind]) = &o.kind {
        out["x-kubernetes-group-version-kind"] = json!({"group": group, "version": version, "kind": kind});
    }
}

#[cfg(test)]
pub(super) mod tests;
