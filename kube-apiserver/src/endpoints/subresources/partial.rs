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
use crate::objects::items;
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
    let mut merged = old.clone();
    take(&mut merged["spec"], &new["spec"], "ephemeralContainers");
    merged
}

/// Resources of the pod, and of its containers with their resize policies (upstream `dropNonResizeUpdates`). A
/// list of other containers is taken as it is, for validation to refuse.
fn resized(old: &Value, new: &Value) -> Value {
    let mut merged = old.clone();
    for list in ["containers", "initContainers"] {
        let wanted = items(new, &format!("/spec/{list}"));
        let present = items(old, &format!("/spec/{list}"));
        let same = wanted.len() == present.len() && wanted.iter().zip(present).all(|(w, p)| w["name"] == p["name"]);
        if !same {
            take(&mut merged["spec"], &new["spec"], list);
            continue;
        }
        let all = merged["spec"].get_mut(list).and_then(Value::as_array_mut);
        for (container, wanted) in all.into_iter().flatten().zip(wanted) {
            for field in ["resources", "resizePolicy"] {
                take(container, wanted, field);
            }
        }
    }
    take(&mut merged["spec"], &new["spec"], "resources");
    merged
}

/// Makes one field what it is in `from`, also when that has none.
fn take(to: &mut Value, from: &Value, field: &str) {
    match (from.get(field), to.as_object_mut()) {
        (Some(value), Some(map)) => drop(map.insert(field.to_owned(), value.clone())),
        (None, Some(map)) => drop(map.remove(field)),
        _ => {}
    }
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

    #[test]
    fn a_resize_takes_resources_away_too_and_leaves_other_containers_to_validation() {
        let pod =
            |containers: Value| json!({"metadata": {"name": "n"}, "spec": {"containers": containers, "nodeName": "x"}});
        let one = |resources: Value| json!([{"name": "a", "image": "i", "resources": resources}]);
        let old = pod(one(json!({"requests": {"cpu": "1"}})));
        let mut grown = pod(one(json!({"requests": {"cpu": "2"}})));
        grown["spec"]["containers"][0]["image"] = json!("j");
        grown["spec"]["nodeName"] = json!("y");
        grown["spec"]["resources"] = json!({"requests": {"cpu": "3"}});
        let mut want = pod(one(json!({"requests": {"cpu": "2"}})));
        want["spec"]["resources"] = json!({"requests": {"cpu": "3"}});
        assert_eq!(resized(&old, &grown), want);
        let bare = pod(json!([{"name": "a"}]));
        assert_eq!(resized(&old, &bare), pod(json!([{"name": "a", "image": "i"}])));
        let other = pod(json!([{"name": "b"}]));
        assert_eq!(resized(&old, &other)["spec"]["containers"], json!([{"name": "b"}]));
    }
}
