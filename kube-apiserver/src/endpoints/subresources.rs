//! Subresources that are more than a part of an object's fields: actions, other kinds, streams.

pub(super) mod binding;
mod conditions;
mod eviction;
mod partial;
mod scale;
mod streams;
mod token;

use apimachinery::status::Result;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Call, codec, negotiate, respond};

/// Sends a request to its subresource.
pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let name = call.sub.map_or("", |s| s.name);
    match name {
        "scale" => scale::serve(call).await,
        "binding" => binding::serve(call).await,
        "eviction" => eviction::serve(call).await,
        "token" => token::serve(call).await,
        "finalize" | "approval" | "ephemeralcontainers" | "resize" => partial::serve(call).await,
        "log" | "exec" | "attach" | "portforward" | "proxy" => streams::serve(call).await,
        _ => Err(super::method_not_allowed()),
    }
}

/// The new form of an object, from the present one: by a patch, or the body sent.
type Change = Box<dyn Fn(&Call, &Value) -> Result<Value> + Send + Sync>;

/// Reads a body of the subresource's kind.
async fn read(call: &Call) -> Result<Value> {
    let format = negotiate::input(&call.head.headers)?;
    let strictness = codec::Strictness::parse(&call.query);
    let bytes = call.body().await?;
    codec::decode(format, &bytes, call.expected(), strictness, &call.ctx)
}

/// `Status` Success of an action that has no object to show.
fn done(call: &Call) -> Result<Response<Body>> {
    let out = negotiate::Output {
        view: Default::default(),
        ..call.output()?
    };
    let v = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    respond::value(StatusCode::CREATED, &out, &v)
}
