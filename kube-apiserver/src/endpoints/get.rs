//! GET of one object.

use apimachinery::status::Result;
use axum::body::Body;
use http::{Response, StatusCode};

use super::{Call, respond};

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let out = call.output()?;
    let entry = call.store()?.get(call.namespace(), &call.ctx.info.name).await?;
    respond::object(StatusCode::OK, &out, &call.query, call.row, &entry)
}
