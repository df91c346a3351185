//! One request and its whole answer, with the headers and the body as they went over the wire.

use bytes::Bytes;
use client::Client;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;

/// Sends a request and reads the answer to its end. Headers without a value are left out.
///
/// # Panics
/// When there is no answer, or a header is none: a test cannot go on without.
pub async fn exchange(
    client: &Client,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    let request = request.body(body.into()).expect("path and headers are valid");
    let answer = client.request_raw(request).await.expect("the server answers");
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("the answer has an end").to_bytes();
    Response::from_parts(head, body)
}
