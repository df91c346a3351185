//! GET of a collection.

use apimachinery::status::Result;
use axum::body::Body;
use http::Response;

use super::{Call, component_statuses, respond};
use crate::registry::options::ListOptions;

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    if call.row.plural == "componentstatuses" {
        return component_statuses::list(&call).await;
    }
    let out = call.output()?;
    let mut options = ListOptions::parse(&call.query, false)?;
    options.bind(call.row, &call.ctx.info.name)?;
    let list = call.store()?.list(call.namespace(), &options).await?;
    respond::list(&out, &call.query, call.row, &list)
}
