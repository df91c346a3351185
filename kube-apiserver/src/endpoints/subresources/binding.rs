//! `pods/binding` and `bindings`: the scheduler's decision becomes `spec.nodeName`.
//!
//! Upstream: `pkg/registry/core/pod/storage/storage.go` `BindingREST`.

use apimachinery::field::{Error, Path};
use apimachinery::gvk::GroupResource;
use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::Response;
use serde_json::Value;

use super::super::Call;
use super::super::admit::Admit;
use super::conditions;
use crate::admission::Operation;
use crate::objects::{items, text};
use crate::proxy::unexplained;
use crate::registry::Hooks as _;
use crate::registry::strategy::RAW;

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let binding = super::read(&call).await?;
    let name = call.ctx.info.name.clone();
    bind(&call, &name, binding).await
}

/// Binds `pod` as `binding` says.
pub(in crate::endpoints) async fn bind(call: &Call, pod: &str, mut binding: Value) -> Result<Response<Body>> {
    let admit = Admit::new(&call.api, &call.ctx, Operation::Create);
    admit.admit(&mut binding, None).await?;
    check(pod, &binding)?;
    admit.validate(Some(&binding), None).await?;

    let store = call
        .api
        .registry
        .store("", "pods")
        .ok_or_else(ApiError::path_not_found)?;
    let namespace = &call.ctx.info.namespace;
    let key = call.api.registry.key(&format!("pods/{namespace}/{pod}"));
    let change = |old: &Value| {
        precondition(&binding, old, &key)
            .map_err(|why| ApiError::conflict(&GroupResource::new("", "pods"), pod, why))?;
        bound(old, &binding).map_err(|why| ApiError::conflict(&GroupResource::new("", "pods/binding"), pod, why))
    };
    store
        .update(&call.ctx, namespace, pod, &RAW, &change, &crate::registry::NoHooks)
        .await?;
    super::done(call)
}

/// What is wrong with the Binding itself. Upstream hands these errors on as they are, without making
/// them an `Invalid` Status.
fn check(pod: &str, binding: &Value) -> Result<()> {
    if meta::name(binding) != pod {
        return Err(ApiError::bad_request(
            "name in URL does not match name in Binding object",
        ));
    }
    let path = Path::new("target");
    let mut errors = vec![];
    let kind = text(binding, "/target/kind");
    if !matches!(kind, "" | "Node") {
        errors.push(Error::not_supported(&path.child("kind"), kind, &["Node", "<empty>"]).to_string());
    }
    if text(binding, "/target/name").is_empty() {
        errors.push(Error::required(&path.child("name"), "").to_string());
    }
    match errors.as_slice() {
        [] => Ok(()),
        [one] => Err(unexplained(one.clone())),
        many => Err(unexplained(format!("[{}]", many.join(", ")))),
    }
}

/// The pod the Binding was made for (upstream `storage.Preconditions.Check`, in the words of its error).
fn precondition(binding: &Value, old: &Value, key: &str) -> std::result::Result<(), String> {
    for (what, wanted, present) in [
        ("UID", meta::uid(binding), meta::uid(old)),
        (
            "ResourceVersion",
            meta::resource_version(binding),
            meta::resource_version(old),
        ),
    ] {
        if !wanted.is_empty() && wanted != present {
            return Err(format!(
                "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: \
                 Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {present}"
            ));
        }
    }
    Ok(())
}

/// The pod on its node, or why it cannot be bound.
fn bound(old: &Value, binding: &Value) -> std::result::Result<Value, String> {
    let pod = meta::name(old);
    if meta::is_terminating(old) {
        return Err(format!("pod {pod} is being deleted, cannot be assigned to a host"));
    }
    let present = text(old, "/spec/nodeName");
    if !present.is_empty() {
        return Err(format!("pod {pod} is already assigned to node {present:?}"));
    }
    if !items(old, "/spec/schedulingGates").is_empty() {
        return Err(format!("pod {pod} has non-empty .spec.schedulingGates"));
    }
    let mut new = old.clone();
    new["spec"]["nodeName"] = text(binding, "/target/name").into();
    if let Some(status) = new.get_mut("status").and_then(Value::as_object_mut) {
        // A nomination means nothing any more.
        status.remove("nominatedNodeName");
    }
    for (k, v) in meta::annotations(binding) {
        meta::set_annotation(&mut new, k, v.as_str().unwrap_or_default());
    }
    for (k, v) in binding
        .pointer("/metadata/labels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        new["metadata"]["labels"][k] = v.clone();
    }
    conditions::set(&mut new, conditions::pod("PodScheduled", "", ""));
    Ok(new)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({
            "metadata": {"name": "p", "uid": "u", "resourceVersion": "7", "labels": {"a": "1"}},
            "spec": {},
            "status": {"phase": "Pending", "nominatedNodeName": "n9", "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
        })
    }

    fn binding() -> Value {
        json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}})
    }

    #[test]
    fn binding_sets_the_node_and_merges_the_bindings_labels_and_annotations() {
        let mut b = binding();
        b["metadata"]["labels"] = json!({"a": "2", "topology.kubernetes.io/zone": "z"});
        b["metadata"]["annotations"] = json!({"x": "y"});
        let new = bound(&pod(), &b).expect("free pod");
        assert_eq!(new["spec"]["nodeName"], "n1");
        assert_eq!(
            new["metadata"]["labels"],
            json!({"a": "2", "topology.kubernetes.io/zone": "z"})
        );
        assert_eq!(new["metadata"]["annotations"], json!({"x": "y"}));
        assert_eq!(new["status"].get("nominatedNodeName"), None);
        let condition = &new["status"]["conditions"][0];
        assert_eq!(
            (&condition["type"], &condition["status"]),
            (&json!("PodScheduled"), &json!("True"))
        );
        assert_eq!(condition.get("reason"), None);
    }

    #[test]
    fn a_pod_that_cannot_be_bound_says_why() {
        let with = |path: &str, field: &str, value: Value| {
            let mut p = pod();
            p[path][field] = value;
            p
        };
        for (pod, why) in [
            (
                with("metadata", "deletionTimestamp", json!("2026-01-01T00:00:00Z")),
                "pod p is being deleted, cannot be assigned to a host",
            ),
            (
                with("spec", "nodeName", json!("n2")),
                "pod p is already assigned to node \"n2\"",
            ),
            (
                with("spec", "schedulingGates", json!([{"name": "g"}])),
                "pod p has non-empty .spec.schedulingGates",
            ),
        ] {
            assert_eq!(bound(&pod, &binding()).expect_err(why), why);
        }
    }

    #[test]
    fn bindings_are_checked_in_upstreams_words() {
        let with = |target: Value| {
            let mut b = binding();
            b["target"] = target;
            b
        };
        for (b, code, reason, message) in [
            (
                json!({"metadata": {"name": "q"}, "target": {"name": "n"}}),
                400,
                "BadRequest",
                "name in URL does not match name in Binding object",
            ),
            (with(json!({"kind": "Node"})), 500, "", "target.name: Required value"),
            (
                with(json!({"kind": "Pod", "name": "n"})),
                500,
                "",
                "target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\"",
            ),
            (
                with(json!({"kind": "Pod"})),
                500,
                "",
                "[target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\", target.name: Required value]",
            ),
        ] {
            let e = check("p", &b).expect_err(message);
            assert_eq!((e.code, &*e.reason, e.message.as_str()), (code, reason, message));
        }
        let mut stale = binding();
        stale["metadata"]["uid"] = json!("v");
        assert_eq!(
            precondition(&stale, &pod(), "/registry/pods/ns/p").expect_err("another pod"),
            "StorageError: invalid object, Code: 4, Key: /registry/pods/ns/p, ResourceVersion: 0, AdditionalErrorMsg: \
             Precondition failed: UID in precondition: v, UID in object meta: u"
        );
        assert_eq!(precondition(&binding(), &pod(), ""), Ok(()));
    }
}
