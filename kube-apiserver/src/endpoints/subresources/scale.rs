//! `*/scale`: replicas of a workload as an `autoscaling/v1` Scale.
//!
//! Upstream: `pkg/registry/apps/*/storage` `ScaleREST`.

use apimachinery::field::{Error, Path};
use apimachinery::gvk::{GroupKind, GroupResource};
use apimachinery::status::{ApiError, Result};
use apimachinery::{labels, meta};
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::super::admit::Admit;
use super::super::negotiate::{Output, View};
use super::super::patch::Patch;
use super::super::{Call, respond, table};
use crate::admission::Operation;
use crate::registry::Entry;

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let out = call.output()?;
    let store = call.store()?.clone();
    let name = call.ctx.info.name.clone();
    let mut applies = false;
    let change: super::Change = match call.ctx.info.verb.as_str() {
        "get" => {
            let entry = store.get(call.namespace(), &name).await?;
            return answer(&call, &out, &entry);
        }
        "patch" => {
            let patch = Patch::read(&call).await?;
            applies = patch.is_apply();
            Box::new(move |call, scale| patch.apply(call, scale))
        }
        _ => {
            let scale = super::read(&call).await?;
            super::super::update::check_name(&scale, &name)?;
            Box::new(move |_, _| Ok(scale.clone()))
        }
    };
    let call = &call;
    let admit = Admit::new(&call.api, &call.ctx, Operation::Update);
    let writer = call.writer();
    let scales = GroupResource::new(call.row.group, format!("{}/scale", call.row.plural));
    let update = |old: &Value| {
        if old.is_null() {
            return Err(ApiError::not_found(store.group_resource(), &name));
        }
        let mut before = scale_of(old);
        meta::set(&mut before, "managedFields", writer.owners_of_scale(old)?);
        let mut after = change(call, &before)?;
        if !applies {
            writer.track_scale(&before, &mut after);
        }
        let mut new = into_object(&after, old, &scales, &name)?;
        meta::set(&mut new, "managedFields", writer.owners_of_parent(old, &after)?);
        Ok(new)
    };
    let (entry, _) = store
        .update(&call.ctx, call.namespace(), &name, store.strategy, &update, &admit)
        .await
        .map_err(|error| match error {
            // A write finds no scale where a read finds no workload (upstream `scaleUpdatedObjectInfo`).
            error if error == ApiError::not_found(store.group_resource(), &name) => ApiError::not_found(&scales, &name),
            error => error,
        })?;
    answer(call, &out, &entry)
}

fn answer(call: &Call, out: &Output, entry: &Entry) -> Result<Response<Body>> {
    let scale = scale_of(&entry.value());
    let seen = match out.view {
        View::Object => scale,
        View::Table => table::scale(&scale, &out.view_version, &call.query),
        View::Metadata => respond::metadata(out, &scale),
        View::MetadataList => {
            let text = "you requested PartialObjectMetadataList, but the requested object is not a list \
                        (*autoscaling.Scale)";
            return Err(ApiError::generic(406, "NotAcceptable", text));
        }
    };
    respond::value(StatusCode::OK, out, &seen)
}

/// The Scale view of a workload.
fn scale_of(obj: &Value) -> Value {
    let m = meta::metadata(obj);
    let mut metadata = serde_json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(v) = m.get(field) {
            metadata.insert(field.into(), v.clone());
        }
    }
    let mut status = json!({"replicas": obj.pointer("/status/replicas").cloned().unwrap_or(json!(0))});
    let selector = obj.pointer("/spec/selector").and_then(selector_text);
    if let Some(text) = selector.filter(|t| !t.is_empty()) {
        status["selector"] = text.into();
    }
    let mut spec = json!({});
    if let Some(n) = obj.pointer("/spec/replicas").filter(|n| n.as_i64() != Some(0)) {
        spec["replicas"] = n.clone();
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

/// A LabelSelector, or a plain map (replication controllers), as text.
fn selector_text(selector: &Value) -> Option<String> {
    let map = selector.as_object()?;
    if map.contains_key("matchLabels") || map.contains_key("matchExpressions") {
        let selector = serde_json::from_value(selector.clone()).ok()?;
        return labels::Selector::from_label_selector(&selector)
            .ok()
            .map(|s| s.to_string());
    }
    let pairs: Vec<String> = map
        .iter()
        .filter_map(|(k, v)| v.as_str().map(|v| format!("{k}={v}")))
        .collect();
    Some(pairs.join(","))
}

/// The workload with the Scale's replicas; the Scale's version becomes the update's guard.
fn into_object(scale: &Value, old: &Value, scales: &GroupResource, name: &str) -> Result<Value> {
    let replicas = scale.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(0);
    if replicas < 0 {
        let path = Path::new("spec").child("replicas");
        let e = Error::invalid(&path, replicas, "must be greater than or equal to 0");
        return Err(ApiError::invalid(
            &GroupKind::new("autoscaling", "Scale"),
            name,
            vec![e],
        ));
    }
    let (wanted, present) = (meta::uid(scale), meta::uid(old));
    if !wanted.is_empty() && wanted != present {
        let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {present}");
        return Err(ApiError::conflict(scales, name, why));
    }
    let mut new = old.clone();
    new["spec"]["replicas"] = replicas.into();
    match meta::resource_version(scale) {
        "" => meta::remove(&mut new, "resourceVersion"),
        version => meta::set(&mut new, "resourceVersion", version),
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_shows_selector_and_replicas() {
        let d = json!({"metadata": {"name": "d", "resourceVersion": "7"}, "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}}, "status": {"replicas": 2}});
        let s = scale_of(&d);
        assert_eq!(s["spec"]["replicas"], 3);
        assert_eq!(s["status"], json!({"replicas": 2, "selector": "a=b"}));
    }

    #[test]
    fn scale_writes_replicas_and_guards_the_version() {
        let d = json!({"metadata": {"name": "d", "uid": "u", "resourceVersion": "9"}, "spec": {"replicas": 3}});
        let scales = GroupResource::new("apps", "deployments/scale");
        let write = |scale: Value| into_object(&scale, &d, &scales, "d");
        let new = write(json!({"metadata": {"name": "d", "resourceVersion": "7"}, "spec": {"replicas": 5}}));
        assert_eq!(
            new.expect("valid"),
            json!({"metadata": {"name": "d", "uid": "u", "resourceVersion": "7"}, "spec": {"replicas": 5}})
        );
        let any = write(json!({"metadata": {"uid": "u"}})).expect("valid");
        assert_eq!(
            any,
            json!({"metadata": {"name": "d", "uid": "u"}, "spec": {"replicas": 0}})
        );
        assert_eq!(
            write(json!({"spec": {"replicas": -1}})).expect_err("negative").code,
            422
        );
        let other = write(json!({"metadata": {"uid": "v"}})).expect_err("another one's");
        assert_eq!(
            (other.code, other.message.as_str()),
            (
                409,
                "Operation cannot be fulfilled on deployments/scale.apps \"d\": Precondition failed: \
                 UID in precondition: v, UID in object meta: u"
            )
        );
    }
}
