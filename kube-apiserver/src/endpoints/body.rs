//! Reading request bodies, with a limit.

use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};

/// Upstream's `MaxRequestBodyBytes`.
pub(crate) const LIMIT: usize = 3 * 1024 * 1024;

/// The whole body; 413 above the limit.
pub(crate) async fn read(body: Body) -> Result<Bytes> {
    match Limited::new(body, LIMIT).collect().await {
        Ok(all) => Ok(all.to_bytes()),
        Err(e) if e.is::<http_body_util::LengthLimitError>() => Err(ApiError::too_large(format!("limit is {LIMIT}"))),
        Err(e) => Err(ApiError::bad_request(format!("error reading the request body: {e}"))),
    }
}
