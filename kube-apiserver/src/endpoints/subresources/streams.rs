//! Streams to a node or into a pod: log, exec, attach, portforward and the HTTP proxies.
//!
//! `log` and `pods` say what is asked of which kubelet, `proxies` where the HTTP proxies lead; the
//! bytes are `crate::proxy`'s business. Upstream: `pkg/registry/core/{pod,node,service}/.../rest`.

mod log;
mod pods;
mod proxies;

use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::Response;
use serde_json::Value;

use super::super::Call;
use super::super::admit::Admit;
use crate::admission::Operation;
use crate::objects::{Objects as _, items, text};
use crate::proxy::Target;
use crate::proxy::forward::{Manner, forward};
use crate::registry::Hooks as _;

/// Methods a proxy passes on.
const PROXIED: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let sub = call.sub.map_or("", |s| s.name);
    if sub == "log" {
        return log::serve(call).await;
    }
    if sub == "proxy" && !PROXIED.contains(&call.head.method.as_str()) {
        return Err(super::super::method_not_allowed());
    }
    let admit = Admit::new(&call.api, &call.ctx, Operation::Connect);
    let mut options = Value::Null;
    admit.admit(&mut options, None).await?;
    admit.validate(Some(&options), None).await?;
    if sub != "proxy" {
        return pods::serve(call, sub).await;
    }
    let (target, rewrite) = proxies::locate(&call).await?;
    let api = call.api.clone();
    forward(&api.nodes, target, call.into_request(), Manner::Browse(rewrite)).await
}

/// The pod a request names.
async fn pod(call: &Call) -> Result<std::sync::Arc<Value>> {
    Ok(call.store()?.get(call.namespace(), &call.ctx.info.name).await?.value())
}

/// The pod's Node; none while the pod is not scheduled.
async fn node_of(call: &Call, pod: &Value) -> Result<Option<std::sync::Arc<Value>>> {
    let name = text(pod, "/spec/nodeName");
    if name.is_empty() {
        return Ok(None);
    }
    call.api.registry.get("", "nodes", "", name).await.map(Some)
}

/// The pod's kubelet, and its Node.
async fn kubelet_of(call: &Call, pod: &Value) -> Result<(Target, std::sync::Arc<Value>)> {
    let node = node_of(call, pod)
        .await?
        .ok_or_else(|| ApiError::bad_request(format!("pod {} does not have a host assigned", meta::name(pod))))?;
    Ok((call.api.nodes.kubelet(&node)?, node))
}

/// The container a request means (upstream `pod/strategy.go` `validateContainer`).
fn container(pod: &Value, wanted: Option<&str>) -> Result<String> {
    let name = meta::name(pod);
    let names = |list: &str| -> Vec<String> { items(pod, list).iter().map(|c| text(c, "/name").to_owned()).collect() };
    let main = names("/spec/containers");
    let all = || {
        [
            names("/spec/initContainers"),
            names("/spec/containers"),
            names("/spec/ephemeralContainers"),
        ]
        .concat()
    };
    match wanted.filter(|w| !w.is_empty()) {
        Some(w) if all().iter().any(|c| c == w) => Ok(w.to_owned()),
        Some(w) => Err(ApiError::bad_request(format!(
            "container {w} is not valid for pod {name}"
        ))),
        None if main.len() == 1 => Ok(main[0].clone()),
        None if main.is_empty() => Err(ApiError::bad_request(format!(
            "a container name must be specified for pod {name}"
        ))),
        None => Err(ApiError::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            all().join(" ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_must_be_named_unless_it_is_the_only_one() {
        let pod = |spec: Value| json!({"metadata": {"name": "p"}, "spec": spec});
        let one = pod(json!({"initContainers": [{"name": "i"}], "containers": [{"name": "a"}]}));
        let two = pod(
            json!({"initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "b"}],
            "ephemeralContainers": [{"name": "e"}]}),
        );
        for (pod, wanted, got) in [
            (&one, None, Ok("a")),
            (&one, Some(""), Ok("a")),
            (&two, Some("i"), Ok("i")),
            (&two, Some("e"), Ok("e")),
            (&two, Some("x"), Err("container x is not valid for pod p")),
            (
                &two,
                None,
                Err("a container name must be specified for pod p, choose one of: [i a b e]"),
            ),
            (
                &pod(json!({})),
                None,
                Err("a container name must be specified for pod p"),
            ),
        ] {
            let answer = container(pod, wanted);
            match (answer, got) {
                (Ok(a), Ok(b)) => assert_eq!(a, b),
                (Err(e), Err(message)) => assert_eq!((e.code, e.message.as_str()), (400, message)),
                (a, b) => panic!("{a:?} is not {b:?}"),
            }
        }
    }
}
