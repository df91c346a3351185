//! DELETE of a collection.

use apimachinery::status::Result;
use axum::body::Body;
use http::Response;

use super::admit::Admit;
use super::{Call, delete, respond};
use crate::admission::Operation;
use crate::registry::options::ListOptions;

pub(super) async fn serve(mut call: Call) -> Result<Response<Body>> {
    let out = call.output()?;
    let mut list = ListOptions::parse(&call.query, false)?;
    // The request was let in by the name its selector demands, if it does.
    list.bind(call.row, &call.ctx.info.name)?;
    let options = delete::options(&mut call).await?;
    let store = call.store()?;
    let mut ctx = call.ctx.clone();
    // The name of the request is each object's in turn.
    ctx.info.name.clear();
    let admit = Admit::new(&call.api, &ctx, Operation::Delete);
    let deleted = store
        .delete_collection(&ctx, call.namespace(), &list, &options, &admit)
        .await?;
    respond::list(&out, &call.query, call.row, &deleted)
}
