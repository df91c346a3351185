//! Reading request bodies, with a limit.

use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

/// Upstream's `MaxRequestBodyBytes`.
pub(crate) const LIMIT: usize = 3 * 1024 * 1024;
/// A body above the limit is read on to here and thrown away, so that the client gets to read the
/// answer; beyond, its stream is cut.
const PATIENCE: usize = 8 * LIMIT;

/// The whole body; 413 above the limit.
pub(crate) async fn read(mut body: Body) -> Result<Bytes> {
    let mut all = BytesMut::new();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| ApiError::bad_request(format!("error reading the request body: {e}")))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > PATIENCE {
            break;
        }
        if seen <= LIMIT {
            all.extend_from_slice(&data);
        }
    }
    if seen > LIMIT {
        return Err(ApiError::too_large(format!("limit is {LIMIT}")));
    }
    Ok(all.freeze())
}
