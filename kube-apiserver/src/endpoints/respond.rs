//! Answers: objects, lists and errors as HTTP responses in the negotiated encoding.

mod list_body;

use apimachinery::codec::proto;
use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, VARY};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::codec::Gzip;
use super::negotiate::{self, Format, Output, View};
use super::{codec, table};
use crate::registry::Entry;
use crate::registry::convert;
use crate::registry::store::List;
use crate::request::Query;
use crate::resources::Resource;
use list_body::ListBody;

/// A response with a body of known type.
pub(crate) fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut r = Response::new(body.into());
    *r.status_mut() = status;
    r.headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    r
}

/// Go's `http.NotFound`: paths that belong to nobody.
pub(crate) fn page_not_found() -> Response<Body> {
    bytes(
        StatusCode::NOT_FOUND,
        "text/plain; charset=utf-8",
        "404 page not found\n",
    )
}

/// Any value with apiVersion and kind.
pub(crate) fn value(status: StatusCode, out: &Output, v: &Value) -> Result<Response<Body>> {
    Ok(whole(status, out, codec::encode(out.format, out.pretty, v)?))
}

/// A body that is complete, compressed when that is worth it.
fn whole(status: StatusCode, out: &Output, body: impl Into<Bytes>) -> Response<Body> {
    let body = body.into();
    let media_type = out.format.media_type();
    let Some(mut gzip) = Gzip::worth(body.len()).filter(|_| out.gzip) else {
        return bytes(status, media_type, body);
    };
    let start = gzip.piece(&body);
    compressed(bytes(status, media_type, [start, gzip.end()].concat()))
}

/// A list's body, which is made while it is read.
fn streamed(out: &Output, body: ListBody) -> Response<Body> {
    let (body, smaller) = body.stream(out.gzip);
    let r = bytes(StatusCode::OK, out.format.media_type(), body);
    if smaller { compressed(r) } else { r }
}

/// Says of an answer that its body is compressed.
pub(super) fn compressed(mut r: Response<Body>) -> Response<Body> {
    let headers = r.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    r
}

/// An error as a `Status`, in the encoding the client reads.
pub(crate) fn error(headers: &HeaderMap, query: &Query, e: &ApiError) -> Response<Body> {
    let code = StatusCode::from_u16(e.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // An error is never hidden behind one of negotiation: then it is indented JSON (`WriteRawJSON`).
    let out = negotiate::error_output(headers, query).unwrap_or_else(|| Output {
        pretty: true,
        ..Output::default()
    });
    let mut r = value(code, &out, &e.to_value()).unwrap_or_else(|_| bytes(code, "application/json", e.to_json()));
    if let Some(seconds) = e.retry_after().filter(|s| *s > 0) {
        r.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    r
}

/// One stored object, in the version of `row` and the view the client asked for.
pub(crate) fn object(
    status: StatusCode,
    out: &Output,
    query: &Query,
    row: &Resource,
    entry: &Entry,
) -> Result<Response<Body>> {
    match (out.view, out.format) {
        (View::Object, Format::Json) if convert::is_hub(row) && !out.pretty => {
            Ok(whole(status, out, with_type(row, entry.item_json(), true)))
        }
        (View::Object, Format::Protobuf) if convert::is_hub(row) => Ok(whole(status, out, envelope(row, entry)?)),
        (View::MetadataList, _) => Err(not_this("PartialObjectMetadataList", "not a list", row, "")),
        _ => value(status, out, &view(out, query, row, entry, true)),
    }
}

/// A hub object in protobuf, as it stands alone.
pub(crate) fn envelope(row: &Resource, entry: &Entry) -> Result<Vec<u8>> {
    Ok(proto::wrap(&row.api_version(), row.kind, &entry.message()?))
}

/// 406 of a metadata view of the wrong shape; Go names the internal type
/// (upstream handlers `asPartialObjectMetadata`, `asPartialObjectMetadataList`).
fn not_this(asked: &str, is: &str, row: &Resource, list: &str) -> ApiError {
    let package = apimachinery::schema::group_prefix(row.group);
    let text = format!(
        "you requested {asked}, but the requested object is {is} (*{package}.{}{list})",
        row.kind
    );
    ApiError::generic(406, "NotAcceptable", text)
}

/// The object as the client wants to see it, alone; a Table with column definitions or without.
pub(crate) fn view(out: &Output, query: &Query, row: &Resource, entry: &Entry, headers: bool) -> Value {
    match out.view {
        View::Object => convert::from_hub(row, &entry.value()),
        View::Metadata | View::MetadataList => metadata(out, &entry.head()),
        View::Table => {
            let object = convert::from_hub(row, &entry.value());
            let mut t = table::table(row, &[&object], &out.view_version, headers, query);
            t["metadata"] = json!({"resourceVersion": entry.rev.to_string()});
            t
        }
    }
}

/// The `PartialObjectMetadata` of an object.
pub(crate) fn metadata(out: &Output, v: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{}", out.view_version),
        "metadata": meta::metadata(v),
    })
}

/// `{"kind":..,"apiVersion":..,` in front of an item's JSON; a newline behind it, as Go's encoder.
fn with_type(row: &Resource, item: &[u8], newline: bool) -> Vec<u8> {
    let head = format!("{{\"kind\":\"{}\",\"apiVersion\":\"{}\"", row.kind, row.api_version());
    let mut body = Vec::with_capacity(head.len() + item.len() + 2);
    body.extend_from_slice(head.as_bytes());
    if item.len() > 2 {
        body.push(b',');
    }
    body.extend_from_slice(&item[1..]);
    if newline {
        body.push(b'\n');
    }
    body
}

/// A list.
pub(crate) fn list(out: &Output, query: &Query, row: &Resource, list: &List) -> Result<Response<Body>> {
    let mut m = Map::new();
    m.insert("resourceVersion".into(), list.resource_version.to_string().into());
    if !list.continue_token.is_empty() {
        m.insert("continue".into(), list.continue_token.clone().into());
    }
    if let Some(n) = list.remaining {
        m.insert("remainingItemCount".into(), n.into());
    }
    let api_version = row.api_version();
    match out.view {
        View::Object if convert::is_hub(row) && out.format == Format::Json && !out.pretty => {
            let head = format!(
                "{{\"kind\":\"{}List\",\"apiVersion\":\"{api_version}\",\"metadata\":{},\"items\":[",
                row.kind,
                Value::Object(m)
            );
            let body = ListBody {
                head: head.into_bytes(),
                items: list.items.iter().map(|e| e.item_json().clone()).collect(),
                before: |out, index, _| out.extend_from_slice(if index > 0 { b"," } else { b"" }),
                end: b"]}\n",
            };
            Ok(streamed(out, body))
        }
        View::Object if convert::is_hub(row) && out.format == Format::Protobuf => {
            let head = json!({"kind": format!("{}List", row.kind), "apiVersion": api_version, "metadata": m});
            let items: Vec<Bytes> = list.items.iter().map(|e| e.message()).collect::<Result<_>>()?;
            let body = ListBody {
                head: codec::protobuf_list::head(&head, items.iter().map(Bytes::len))?,
                items,
                before: codec::protobuf_list::before,
                end: proto::ENVELOPE_END,
            };
            Ok(streamed(out, body))
        }
        View::Object => {
            let items: Vec<Value> = list
                .items
                .iter()
                .map(|e| {
                    let mut v = convert::from_hub(row, &e.value());
                    if let Some(map) = v.as_object_mut() {
                        map.remove("apiVersion");
                        map.remove("kind");
                    }
                    v
                })
                .collect();
            value(
                StatusCode::OK,
                out,
                &json!({"kind": format!("{}List", row.kind), "apiVersion": api_version, "metadata": m, "items": items}),
            )
        }
        View::Metadata => Err(not_this("PartialObjectMetadata", "a list", row, "List")),
        View::MetadataList => {
            let items: Vec<Value> = list.items.iter().map(|e| metadata(out, &e.head())).collect();
            let v = json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": format!("meta.k8s.io/{}", out.view_version),
                "metadata": m,
                "items": items,
            });
            value(StatusCode::OK, out, &v)
        }
        View::Table => {
            let objects: Vec<Value> = list.items.iter().map(|e| convert::from_hub(row, &e.value())).collect();
            let refs: Vec<&Value> = objects.iter().collect();
            let mut t = table::table(row, &refs, &out.view_version, true, query);
            t["metadata"] = Value::Object(m);
            value(StatusCode::OK, out, &t)
        }
    }
}
