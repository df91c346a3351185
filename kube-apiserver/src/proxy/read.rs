//! Fetches a stream of a kubelet (logs). Upstream: `apiserver/pkg/registry/generic/rest/{streamer,
//! response_checker}.go`.

use std::time::Duration;

use apimachinery::field::quote;
use apimachinery::status::{ApiError, Details, Result, reason};
use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::{Nodes, Target, send, set_host, unexplained};

/// Bytes kept of a refusal.
const MAX_REFUSAL: usize = 50_000;
/// Bytes and time a health answer may take (upstream `componentstatus`, `probe/http`).
const MAX_PROBE: usize = 10 * 1024;
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// GETs `target` and passes the answer on as text while it arrives. A refusal becomes an error about
/// `resource` (`pods/log`) and `name`.
pub(crate) async fn read(nodes: &Nodes, target: &Target, resource: &str, name: &str) -> Result<Response<Body>> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = target.uri()?;
    set_host(request.headers_mut(), target);
    let response = send(nodes, target, request)
        .await
        .map_err(|why| unexplained(format!("Get {}: {why}", quote(&target.url()))))?;
    let status = response.status();
    if status.is_redirection() {
        return Err(unexplained(format!(
            "Get {}: redirects forbidden",
            quote(&target.url())
        )));
    }
    if !(200..=206).contains(&status.as_u16()) {
        let why = match Limited::new(response.into_body(), MAX_REFUSAL).collect().await {
            Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            Err(error) if error.is::<LengthLimitError>() => String::new(),
            Err(error) => return Err(ApiError::internal(error)),
        };
        return Err(refusal(status, resource, name, &why));
    }
    let mut out = Response::new(Body::new(response.into_body()));
    out.headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(out)
}

/// Asks a health path: the text of a good answer, or what is wrong in the words of upstream's HTTP prober.
pub(crate) async fn probe(nodes: &Nodes, target: &Target) -> std::result::Result<String, String> {
    let failed = |why: String| format!("Get {}: {why}", quote(&target.url()));
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = target.uri().map_err(|e| e.message)?;
    set_host(request.headers_mut(), target);
    let answer = async {
        let response = send(nodes, target, request).await.map_err(failed)?;
        let status = response.status().as_u16();
        if !(200..400).contains(&status) {
            return Err(format!("HTTP probe failed with statuscode: {status}"));
        }
        let body = Limited::new(response.into_body(), MAX_PROBE).collect().await;
        let body = body.map_err(|e| failed(e.to_string()))?.to_bytes();
        Ok(String::from_utf8_lossy(&body).into_owned())
    };
    match tokio::time::timeout(PROBE_TIMEOUT, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(failed(
            "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned(),
        )),
    }
}

/// What a code of a backend means to our client (upstream `NewGenericServerResponse`); an empty text is
/// the backend's own.
const MEANINGS: [(u16, &str, &str); 11] = [
    (
        401,
        reason::UNAUTHORIZED,
        "the server has asked for the client to provide credentials",
    ),
    (403, reason::FORBIDDEN, ""),
    (
        404,
        reason::NOT_FOUND,
        "the server could not find the requested resource",
    ),
    (
        405,
        reason::METHOD_NOT_ALLOWED,
        "the server does not allow this method on the requested resource",
    ),
    (406, reason::NOT_ACCEPTABLE, ""),
    (409, reason::CONFLICT, "the server reported a conflict"),
    (415, reason::UNSUPPORTED_MEDIA_TYPE, ""),
    (
        422,
        reason::INVALID,
        "the server rejected our request due to an error in our request",
    ),
    (
        429,
        reason::TOO_MANY_REQUESTS,
        "the server has received too many requests and has asked us to try again later",
    ),
    (
        503,
        reason::SERVICE_UNAVAILABLE,
        "the server is currently unable to handle the request",
    ),
    (
        504,
        reason::TIMEOUT,
        "the server was unable to return a response in the time allotted, but may still be processing the request",
    ),
];

/// Upstream `GenericHttpResponseChecker`.
fn refusal(status: StatusCode, resource: &str, name: &str, why: &str) -> ApiError {
    let code = status.as_u16();
    let (reason, message) = match MEANINGS.iter().find(|(c, ..)| *c == code) {
        _ if code == 500 => return ApiError::internal(why),
        _ if code == 400 => return ApiError::bad_request(why),
        Some((_, reason, "")) => (*reason, why.to_owned()),
        Some((_, reason, message)) => (*reason, (*message).to_owned()),
        None if code > 500 => (
            reason::INTERNAL_ERROR,
            format!(
                "an error on the server ({}) has prevented the request from succeeding",
                quote(why)
            ),
        ),
        None => (
            reason::UNKNOWN,
            format!("the server responded with the status code {code} but did not return more information"),
        ),
    };
    // The gap is the verb, which upstream does not know here.
    let mut error = ApiError::generic(code, reason, format!("{message} ( {resource} {name})"));
    error.details = Some(Box::new(Details {
        name: name.to_owned(),
        kind: resource.to_owned(),
        ..Details::default()
    }));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelets_refusal_has_upstreams_words() {
        for (code, why, reason, message) in [
            (
                400,
                "previous terminated container \"a\" not found",
                "BadRequest",
                "previous terminated container \"a\" not found",
            ),
            (
                404,
                "x",
                "NotFound",
                "the server could not find the requested resource ( pods/log p)",
            ),
            (500, "boom", "InternalError", "Internal error occurred: boom"),
            (
                502,
                "bad\n",
                "InternalError",
                "an error on the server (\"bad\\n\") has prevented the request from succeeding ( pods/log p)",
            ),
        ] {
            let status = StatusCode::from_u16(code).expect("a code");
            let e = refusal(status, "pods/log", "p", why);
            assert_eq!((e.code, &*e.reason, e.message.as_str()), (code, reason, message));
        }
    }
}
