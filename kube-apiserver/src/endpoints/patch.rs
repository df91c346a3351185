//! PATCH: JSON patch, merge patch, strategic merge patch.

use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::Response;
use serde_json::Value;

use super::{Call, codec, negotiate, settle, update};
use crate::registry::convert;

/// Patch media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own, driven by the schema table.
    Strategic,
}

const MEDIA_TYPES: [(&str, Kind); 3] = [
    ("application/json-patch+json", Kind::Json),
    ("application/merge-patch+json", Kind::Merge),
    ("application/strategic-merge-patch+json", Kind::Strategic),
];

/// A patch read from a request.
pub(super) struct Patch {
    kind: Kind,
    body: Value,
    strictness: codec::Strictness,
}

impl Patch {
    /// Reads the patch; 415 for other media types (server-side apply comes with a later issue).
    pub(super) async fn read(call: &Call) -> Result<Self> {
        let content_type = negotiate::content_type(&call.head.headers);
        let kind = MEDIA_TYPES.iter().find(|(m, _)| *m == content_type).map(|(_, k)| *k);
        let Some(kind) = kind else {
            return Err(ApiError::unsupported_media_type(&MEDIA_TYPES.map(|(m, _)| m)));
        };
        let strictness = codec::Strictness::parse(&call.query);
        let bytes = call.body().await?;
        let body = codec::decode_patch(&bytes)?;
        Ok(Patch { kind, body, strictness })
    }

    /// Applies it to an object in a served version, and checks the result's fields.
    pub(super) fn apply(&self, call: &Call, object: &Value) -> Result<Value> {
        let expected = call.expected();
        let patched = codec::apply_patch(self.kind, object, &self.body, expected)?;
        codec::check_patched(patched, expected, self.strictness, &call.ctx)
    }
}

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let out = call.output()?;
    let patch = Patch::read(&call).await?;
    let store = call.store()?.clone();
    let name = call.ctx.info.name.clone();
    let this = &call;
    update::replace(this, &out, &move |old| {
        if old.is_null() {
            return Err(ApiError::not_found(store.group_resource(), &name));
        }
        let served = convert::from_hub(this.row, old);
        let new = patch.apply(this, &served)?;
        update::check_name(&new, &name)?;
        Ok(settle(&store, this.row, new))
    })
    .await
}
