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
    // All of it: their strategies keep what is not theirs (upstream `namespaceFinalizeStrategy`,
    // `csrApprovalStrategy`), which leaves the metadata to the client.
    ("finalize", |_, new| new.clone()),
    ("approval", |_, new| new.clone()),
    ("ephemeralcontainers", ephemeral_containers),
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

fn ephemeral_containers(old: &Value, new: &Value) -> Value {
    const FIELD: &str = "ephemeralContainers";
    let mut merged = old.clone();
    match new.pointer("/spec/ephemeralContainers") {
        Some(wanted) => merged["spec"][FIELD] = wanted.clone(),
        None => {
            if let Some(spec) = merged["spec"].as_object_mut() {
                spec.remove(FIELD);
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
    fn of_a_pod_only_the_named_part_changes() {
        let old = json!({"metadata": {"name": "n"}, "spec": {"nodeName": "x", "ephemeralContainers": [1]}});
        let new = json!({"metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {}});
        assert_eq!(
            ephemeral_containers(&old, &new),
            json!({"metadata": {"name": "n"}, "spec": {"nodeName": "x"}})
        );
    }
}
