//! PUT of an object or its status.

use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::{Response, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;

use super::admit::Admit;
use super::{Call, codec, negotiate, owner_references, patch, respond, settle};
use crate::admission::Operation;
use crate::registry::{ChangeFn, field_manager};
use crate::storage::StorageError;

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let out = call.output()?;
    let format = negotiate::input(&call.head.headers)?;
    let strictness = codec::Strictness::parse(&call.query);
    let bytes = call.body().await?;
    let store = call.store()?.clone();
    let read = || {
        let mut obj = codec::decode(format, &bytes, call.expected(), strictness, &call.ctx)?;
        if field_manager::body_says_no_owners(&bytes) {
            field_manager::set_no_owners(&mut obj);
        }
        check_name(&obj, &call.ctx.info.name)?;
        let mut obj = settle(&store, call.row, obj);
        owner_references::deduplicate(&call.ctx, &mut obj, false);
        Ok(obj)
    };
    // Most updates try once; who must try again reads the body again, rather than all keep a copy.
    let first = Mutex::new(Some(read()?));
    let writer = call.writer();
    let change = |old: &Value| {
        let taken = first.lock().take();
        let mut new = taken.map_or_else(&read, Ok)?;
        writer.track(old, &mut new);
        Ok(new)
    };
    replace(&call, &out, &change, false).await
}

/// The body may leave its name out, but not have another (upstream `checkName`).
pub(super) fn check_name(obj: &Value, name: &str) -> Result<()> {
    match meta::name(obj) {
        "" => Err(ApiError::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))),
        own if own == name => Ok(()),
        own => Err(ApiError::bad_request(format!(
            "the name of the object ({own}) does not match the name on the URL ({name})"
        ))),
    }
}

/// Runs a change through the store and answers with the result. `creates`: also when there is no object yet.
pub(super) async fn replace(
    call: &Call,
    out: &negotiate::Output,
    change: ChangeFn<'_>,
    creates: bool,
) -> Result<Response<Body>> {
    let store = call.store()?;
    let admit = Admit::new(&call.api, &call.ctx, Operation::Update).creating(creates);
    let strategy = call.strategy(store);
    let (ns, name) = (call.namespace(), call.ctx.info.name.as_str());
    let allocators = call.api.allocators.as_ref();
    let allocators = allocators.filter(|a| a.concerns(call.row) && call.sub.is_none());
    let update = async |change: ChangeFn<'_>| match allocators {
        Some(a) => a.update(store, &call.ctx, ns, name, change, &admit).await,
        None => store.update(&call.ctx, ns, name, strategy, change, &admit).await,
    };
    let applies = || patch::Kind::of(&call.head.headers) == Some(patch::Kind::Apply);
    let (entry, created) = match update(change).await {
        // Nothing was written, and the owners can be most of it.
        Err(e) if StorageError::was_too_large(&e) && !applies() => {
            let without_owners = |old: &Value| {
                let mut new = change(old)?;
                meta::remove(&mut new, "managedFields");
                Ok(new)
            };
            update(&without_owners).await?
        }
        updated => updated?,
    };
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    respond::object(status, out, &call.query, call.row, &entry)
}
