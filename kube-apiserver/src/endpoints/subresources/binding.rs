//! `pods/binding`: the scheduler's decision becomes `spec.nodeName`.
//!
//! Upstream: `pkg/registry/core/pod/storage/storage.go` `BindingREST`.

use apimachinery::field::{Error, Path};
use apimachinery::gvk::{GroupKind, GroupResource};
use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use super::super::Call;
use super::super::admit::Admit;
use crate::admission::Operation;
use crate::registry::Hooks as _;
use crate::registry::strategy::RAW;

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let binding = super::read(&call).await?;
    let name = call.ctx.info.name.clone();
    let own = meta::name(&binding);
    if !own.is_empty() && own != name {
        return Err(ApiError::bad_request(
            "name in URL does not match name in Binding object",
        ));
    }
    bind(&call, &name, binding).await
}

/// Binds `pod` as `binding` says.
pub(in crate::endpoints) async fn bind(call: &Call, pod: &str, mut binding: Value) -> Result<Response<Body>> {
    let admit = Admit::new(&call.api, &call.ctx, Operation::Create);
    admit.admit(&mut binding, None).await?;
    let target = |field: &str| {
        binding
            .pointer(&format!("/target/{field}"))
            .and_then(Value::as_str)
            .unwrap_or("")
    };
    let mut errors = vec![];
    let path = Path::new("target");
    if !matches!(target("kind"), "" | "Node") {
        errors.push(Error::not_supported(
            &path.child("kind"),
            target("kind"),
            &["Node", "<empty>"],
        ));
    }
    if target("name").is_empty() {
        errors.push(Error::required(&path.child("name"), ""));
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid(&GroupKind::new("", "Binding"), pod, errors));
    }
    admit.validate(Some(&binding), None).await?;

    let node = target("name").to_owned();
    let store = call
        .api
        .registry
        .store("", "pods")
        .ok_or_else(ApiError::path_not_found)?;
    let gr = GroupResource::new("", "pods/binding");
    let uid = meta::uid(&binding).to_owned();
    let version = meta::resource_version(&binding).to_owned();
    let change = |old: &Value| {
        if !uid.is_empty() && uid != meta::uid(old) {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                meta::uid(old)
            );
            return Err(ApiError::conflict(&gr, pod, why));
        }
        if !version.is_empty() && version != meta::resource_version(old) {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {}",
                meta::resource_version(old)
            );
            return Err(ApiError::conflict(&gr, pod, why));
        }
        bound(old, &binding, &node).map_err(|why| ApiError::conflict(&gr, pod, why))
    };
    store
        .update(
            &call.ctx,
            &call.ctx.info.namespace,
            pod,
            &RAW,
            &change,
            &crate::registry::NoHooks,
        )
        .await?;
    super::done(call)
}

/// The pod on its node, or why it cannot be bound.
fn bound(old: &Value, binding: &Value, node: &str) -> std::result::Result<Value, String> {
    let pod = meta::name(old);
    if meta::is_terminating(old) {
        return Err(format!("pod {pod} is being deleted, cannot be assigned to a host"));
    }
    if let Some(present) = old
        .pointer("/spec/nodeName")
        .and_then(Value::as_str)
        .filter(|n| !n.is_empty())
    {
        return Err(format!("pod {pod} is already assigned to node {present:?}"));
    }
    if old
        .pointer("/spec/schedulingGates")
        .and_then(Value::as_array)
        .is_some_and(|g| !g.is_empty())
    {
        return Err(format!("pod {pod} has non-empty .spec.schedulingGates"));
    }
    let mut new = old.clone();
    new["spec"]["nodeName"] = node.into();
    for (k, v) in meta::annotations(binding) {
        meta::set_annotation(&mut new, k, v.as_str().unwrap_or_default());
    }
    let condition = json!({
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": null,
        "lastTransitionTime": apimachinery::time::now_rfc3339(),
        "observedGeneration": meta::generation(old),
    });
    let mut conditions = new
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    conditions.retain(|c| c["type"] != "PodScheduled");
    let mut condition = condition;
    if let Some(map) = condition.as_object_mut() {
        map.remove("lastProbeTime");
        if meta::generation(old) == 0 {
            map.remove("observedGeneration");
        }
    }
    conditions.push(condition);
    new["status"]["conditions"] = Value::Array(conditions);
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_bound_once() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {}, "status": {"phase": "Pending"}});
        let new = bound(&pod, &json!({}), "n1").expect("free pod");
        assert_eq!(new["spec"]["nodeName"], "n1");
        assert_eq!(new["status"]["conditions"][0]["type"], "PodScheduled");
        assert_eq!(
            bound(&new, &json!({}), "n2").expect_err("bound"),
            "pod p is already assigned to node \"n1\""
        );
    }
}
