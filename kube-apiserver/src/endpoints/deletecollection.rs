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
    list.bind(call.row, "")?;
    let options = delete::options(&mut call).await?;
    let store = call.store()?;
    let mut ctx = call.ctx.clone();
    // The name of the request is each object's in turn.
    ctx.info.name.clear();
    let admit = Admit::new(&call.api, &ctx, Operation::Delete);
    let deleted = store
        .delete_collection(&ctx, call.namespace(), &list, &options, &admit)
        .await?;
    if let Some(a) = call
        .api
        .allocators
        .as_ref()
        .filter(|a| a.concerns(call.row) && !ctx.dry_run)
    {
        for entry in &deleted.items {
            a.released(&entry.value()).await;
        }
    }
    respond::list(&out, &call.query, call.row, &deleted)
}
