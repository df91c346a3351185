//! POST of an object, and the virtual kinds that only answer a question.

use apimachinery::meta;
use apimachinery::status::Result;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::Value;

use super::admit::Admit;
use super::{Call, codec, negotiate, owner_references, respond, settle, subresources};
use crate::admission::Operation;
use crate::authz::reviews::{Reviews, is_review};
use crate::storage::StorageError;

/// Bytes of a body that may be too large for the store once its owners are written beside it.
const LARGE: usize = 256 << 10;

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let review = is_review(call.row.group, call.row.plural);
    // An answer to a question is no stored object: there is no Table of it.
    let out = negotiate::output(&call.head.headers, &call.query, !review)?;
    let format = negotiate::input(&call.head.headers)?;
    let strictness = codec::Strictness::parse(&call.query);
    let bytes = call.body().await?;
    let obj = codec::decode(format, &bytes, call.expected(), strictness, &call.ctx)?;

    if review {
        let reviews = Reviews {
            authenticator: &call.api.authenticator,
            authorizer: &call.api.authorizer,
            rbac: call.api.rbac.as_deref(),
        };
        let answer = reviews.create(&call.ctx, obj).await?;
        return respond::value(StatusCode::CREATED, &out, &answer);
    }
    if call.row.group.is_empty() && call.row.plural == "bindings" {
        let pod = meta::name(&obj).to_owned();
        return subresources::binding::bind(&call, &pod, obj).await;
    }

    let store = call.store()?.clone();
    let mut obj = settle(&store, call.row, obj);
    // Not the client's, and so nobody's.
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        meta::remove(&mut obj, field);
    }
    owner_references::deduplicate(&call.ctx, &mut obj, false);
    call.writer().track(&Value::Null, &mut obj);
    let admit = Admit::new(&call.api, &call.ctx, Operation::Create);
    let create = async |obj: Value| match call.api.allocators.as_ref().filter(|a| a.concerns(call.row)) {
        Some(a) => a.create(&store, &call.ctx, call.namespace(), obj, &admit).await,
        None => store.create(&call.ctx, call.namespace(), obj, &admit).await,
    };
    let spare = (bytes.len() > LARGE).then(|| obj.clone());
    let entry = match (create(obj).await, spare) {
        // Nothing was written, and the owners can be most of it.
        (Err(e), Some(mut obj)) if StorageError::was_too_large(&e) => {
            meta::remove(&mut obj, "managedFields");
            create(obj).await?
        }
        (created, _) => created?,
    };
    respond::object(StatusCode::CREATED, &out, &call.query, call.row, &entry)
}
