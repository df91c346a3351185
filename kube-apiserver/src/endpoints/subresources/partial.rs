//! Subresources that replace one part of their object and nothing else: `namespaces/finalize`,
//! `certificatesigningrequests/approval`, `pods/ephemeralcontainers`, `pods/resize`.

use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::Value;

use super::super::admit::Admit;
use super::super::patch::Patch;
use super::super::{Call, respond, update};
use crate::admission::Operation;
use crate::registry::strategies::subresource_strategy;
use crate::registry::strategy::RAW_SPEC;

/// Takes this path's part of `new` over into `old`.
type Take = fn(old: &Value, new: &Value) -> Value;

const PARTS: [(&str, Take); 4] = [
    ("finalize", |old, new| copy(old, new, "spec", "finalizers")),
    ("approval", |old, new| copy(old, new, "status", "conditions")),
    ("ephemeralcontainers", |old, new| {
        copy(old, new, "spec", "ephemeralContainers")
    }),
    ("resize", resized),
];

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let out = call.output()?;
    let store = call.store()?.clone();
    let name = call.ctx.info.name.clone();
    let sub = call.sub.map_or("", |s| s.name);
    let Some((_, take)) = PARTS.iter().find(|(n, _)| *n == sub) else {
        return Err(ApiError::path_not_found());
    };
    let mut applies = false;
    let change: super::Change = match call.ctx.info.verb.as_str() {
        "get" => {
            let entry = store.get(call.namespace(), &name).await?;
            return respond::object(StatusCode::OK, &out, &call.query, call.row, &entry);
        }
        "patch" => {
            let patch = Patch::read(&call).await?;
            applies = patch.is_apply();
            Box::new(move |call, old| patch.apply(call, old))
        }
        _ => {
            let new = super::read(&call).await?;
            update::check_name(&new, &name)?;
            Box::new(move |_, _| Ok(new.clone()))
        }
    };
    let call = &call;
    let admit = Admit::new(&call.api, &call.ctx, Operation::Update);
    let writer = call.writer();
    let update = |old: &Value| {
        if old.is_null() {
            return Err(ApiError::not_found(store.group_resource(), &name));
        }
        let new = change(call, old)?;
        let mut merged = take(old, &new);
        // The client's version and uid guard the write.
        meta::set(&mut merged, "resourceVersion", meta::resource_version(&new));
        if !meta::uid(&new).is_empty() {
            meta::set(&mut merged, "uid", meta::uid(&new));
        }
        if applies {
            let owners = meta::metadata(&new).get("managedFields").cloned();
            meta::set(&mut merged, "managedFields", owners.unwrap_or_default());
        } else {
            writer.track(old, &mut merged);
        }
        Ok(merged)
    };
    let strategy = subresource_strategy(call.row.group, call.row.plural, sub).unwrap_or(&RAW_SPEC);
    let (entry, _) = store
        .update(&call.ctx, call.namespace(), &name, strategy, &update, &admit)
        .await?;
    respond::object(StatusCode::OK, &out, &call.query, call.row, &entry)
}

fn copy(old: &Value, new: &Value, part: &str, field: &str) -> Value {
    let mut merged = old.clone();
    if !merged[part].is_object() {
        merged[part] = Value::Object(Default::default());
    }
    match new.get(part).and_then(|p| p.get(field)) {
        Some(v) => merged[part][field] = v.clone(),
        None => {
            if let Some(map) = merged[part].as_object_mut() {
                map.remove(field);
            }
        }
    }
    merged
}

/// Container resources and resize policies, by container name.
fn resized(old: &Value, new: &Value) -> Value {
    let mut merged = old.clone();
    for list in ["containers", "initContainers"] {
        let Some(wanted) = new["spec"][list].as_array() else {
            continue;
        };
        let Some(all) = merged["spec"][list].as_array_mut() else {
            continue;
        };
        for c in all {
            if let Some(w) = wanted.iter().find(|w| w["name"] == c["name"]) {
                for field in ["resources", "resizePolicy"] {
                    if let Some(v) = w.get(field) {
                        c[field] = v.clone();
                    }
                }
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_named_part_changes() {
        let old = json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Terminating"}});
        let new = json!({"metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {}, "status": {"phase": "Active"}});
        let merged = PARTS[0].1(&old, &new);
        assert_eq!(
            merged,
            json!({"metadata": {"name": "n"}, "spec": {}, "status": {"phase": "Terminating"}})
        );
    }
}
