//! GET of a collection.

use apimachinery::status::Result;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::json;

use super::{Call, respond};
use crate::registry::options::ListOptions;

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let out = call.output()?;
    if call.row.plural == "componentstatuses" {
        let v = json!({"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": []});
        return respond::value(
            StatusCode::OK,
            &super::negotiate::Output {
                view: Default::default(),
                ..out
            },
            &v,
        );
    }
    let mut options = ListOptions::parse(&call.query, false)?;
    options.bind(call.row, &call.ctx.info.name)?;
    let list = call.store()?.list(call.namespace(), &options).await?;
    respond::list(&out, &call.query, call.row, &list)
}
