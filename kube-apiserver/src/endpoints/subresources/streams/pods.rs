//! exec, attach and portforward: which kubelet, which path, and whether the kubelet understands the
//! client by itself. Upstream: `pkg/registry/core/pod/rest/subresources.go`, `pod/strategy.go`.

use apimachinery::meta;
use apimachinery::status::Result;
use axum::body::Body;
use http::Response;
use serde_json::Value;
use streaming::remotecommand::Options;

use super::super::super::Call;
use super::{container, kubelet_of, pod};
use crate::proxy::forward::{Manner, forward};
use crate::proxy::{self, Nodes, Target, translate};

pub(super) async fn serve(call: Call, sub: &str) -> Result<Response<Body>> {
    may_create(&call).await?;
    let pod = pod(&call).await?;
    let (target, node) = match sub {
        "portforward" => ports(&call, &pod).await?,
        _ => command(&call, &pod, sub).await?,
    };
    let api = call.api.clone();
    if !Nodes::speaks_websockets(&node) {
        if sub == "portforward" {
            if translate::wants_tunnel(&call.head.headers) {
                return translate::port_forward(&api.nodes, &target, call.into_request()).await;
            }
        } else if translate::wants_stream_close(&call.head.headers) {
            let options = streams(&call);
            return translate::remote_command(api.nodes.clone(), target, call.into_request(), options);
        }
    }
    forward(&api.nodes, target, call.into_request(), Manner::Stream).await
}

/// A WebSocket client GETs, but does what a POST does (upstream `ensureAuthorizedForVerb`).
async fn may_create(call: &Call) -> Result<()> {
    if call.ctx.info.verb == "create" {
        return Ok(());
    }
    let mut info = call.ctx.info.clone();
    info.verb = "create".to_owned();
    call.api.authorizer.check(&call.ctx.user, &info).await
}

fn streams(call: &Call) -> Options {
    Options {
        stdin: call.query.flag("stdin"),
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
        tty: call.query.flag("tty"),
    }
}

async fn command(call: &Call, pod: &Value, action: &str) -> Result<(Target, std::sync::Arc<Value>)> {
    let container = container(pod, call.query.get("container"))?;
    let (mut target, node) = kubelet_of(call, pod).await?;
    let asked = streams(call);
    let mut query: Vec<(String, String)> = [
        (asked.stdin, "input"),
        (asked.stdout, "output"),
        (asked.stderr, "error"),
        (asked.tty, "tty"),
    ]
    .into_iter()
    .filter(|(on, _)| *on)
    .map(|(_, name)| (name.to_owned(), "1".to_owned()))
    .collect();
    if action == "exec" {
        query.extend(call.query.all("command").map(|c| ("command".to_owned(), c.to_owned())));
    }
    target.path = format!("/{action}/{}/{}/{container}", meta::namespace(pod), meta::name(pod));
    target.query = proxy::encode_query(&query);
    Ok((target, node))
}

async fn ports(call: &Call, pod: &Value) -> Result<(Target, std::sync::Arc<Value>)> {
    let (mut target, node) = kubelet_of(call, pod).await?;
    let ports: Vec<&str> = call.query.all("ports").flat_map(|p| p.split(',')).collect();
    target.path = format!("/portForward/{}/{}", meta::namespace(pod), meta::name(pod));
    if !ports.is_empty() {
        target.query = proxy::encode_query(&[("port".to_owned(), ports.join(","))]);
    }
    Ok((target, node))
}
