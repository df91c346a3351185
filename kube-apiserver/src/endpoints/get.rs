//! GET of one object.

use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::{Response, StatusCode};

use super::{Call, component_statuses, respond};

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let out = call.output()?;
    if call.query.flag("export") {
        let gone = "the export parameter, deprecated since v1.14, is no longer supported";
        return Err(ApiError::bad_request(gone));
    }
    if call.row.plural == "componentstatuses" {
        return component_statuses::get(&call).await;
    }
    let version = call.query.get("resourceVersion").unwrap_or_default();
    let store = call.store()?;
    let entry = store.get_from(call.namespace(), &call.ctx.info.name, version).await?;
    respond::object(StatusCode::OK, &out, &call.query, call.row, &entry)
}
