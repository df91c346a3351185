//! (owner: APISERVER-AUTH)

use axum::body::Body;
use http::{HeaderMap, Response};

/// `/openapi/v2`, `/openapi/v3[/..]`; `None`: 404.
pub(crate) fn serve(_path: &str, _query: &str, _headers: &HeaderMap) -> Option<Response<Body>> {
    None
}
