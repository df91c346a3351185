//! Answers that browsers let pages of other origins read (upstream `apiserver/pkg/server/filters/cors.go`).

use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, HeaderName, HeaderValue, ORIGIN,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use regex::bytes::Regex;

const FIXED: [(HeaderName, &str); 4] = [
    (ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, OPTIONS, PUT, DELETE, PATCH"),
    (
        ACCESS_CONTROL_ALLOW_HEADERS,
        "Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, If-Modified-Since",
    ),
    (ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    (ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
];

/// The origin of a request that one of `allowed` matches.
pub(super) fn allowed(allowed: &[Regex], headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN).filter(|o| !o.is_empty())?;
    allowed
        .iter()
        .any(|re| re.is_match(origin.as_bytes()))
        .then(|| origin.clone())
}

/// The answer to a browser's question before the request; it needs no credentials.
pub(super) fn preflight(request: &Request<Body>) -> Option<Response<Body>> {
    (request.method() == Method::OPTIONS).then(|| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    })
}

/// Tells the browser that the answer may be read.
pub(super) fn mark(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_origins_are_let_in() {
        let list = [Regex::new(r"//example\.com(:|$)").unwrap()];
        for (origin, yes) in [
            ("https://example.com", true),
            ("http://example.com:8080", true),
            ("https://example.com.evil", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, origin.parse().unwrap());
            assert_eq!(allowed(&list, &headers).is_some(), yes, "{origin}");
        }
        assert!(allowed(&list, &HeaderMap::new()).is_none());
    }
}
