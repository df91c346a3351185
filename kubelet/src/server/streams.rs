//! Exec, attach, port-forward and run: finds the container, has the runtime prepare a stream, and
//! connects the client to it.

use std::time::Duration;

use component::serving::{Body, full};
use cri_proto::v1;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use streaming::bridge::{self, Kind};
use streaming::remotecommand::Options;

use super::{query, text};
use crate::pods::{PodExt, find_container};
use crate::runtime::status::{State, pod_status};
use crate::shared::Shared;

/// Namespace, pod and container of a path that may have a UID in between.
fn target<'a>(path: &[&'a str]) -> Option<(&'a str, &'a str, &'a str)> {
    match path {
        [namespace, pod, container] | [namespace, pod, _, container] => Some((namespace, pod, container)),
        _ => None,
    }
}

pub(super) async fn exec<B>(shared: &Shared, request: Request<B>, path: &[&str]) -> Response<Body> {
    let Some((namespace, pod, container)) = target(path) else {
        return gone(pod_not_found());
    };
    let pairs = query::pairs(request.uri().query());
    let options = match options(&pairs) {
        Ok(options) => options,
        Err(error) => return text(StatusCode::BAD_REQUEST, error),
    };
    let id = match running(shared, namespace, pod, container).await {
        Ok(id) => id,
        Err(error) => return gone(error),
    };
    let url = shared.runtime.exec(v1::ExecRequest {
        container_id: id,
        cmd: pairs
            .iter()
            .filter(|(k, _)| k == "command")
            .map(|(_, v)| v.clone())
            .collect(),
        tty: options.tty,
        stdin: options.stdin,
        stdout: options.stdout,
        stderr: options.stderr,
        audit_request_id: String::new(),
    });
    connect(request, url.await, Kind::RemoteCommand(options)).await
}

pub(super) async fn attach<B>(shared: &Shared, request: Request<B>, path: &[&str]) -> Response<Body> {
    let Some((namespace, pod, container)) = target(path) else {
        return gone(pod_not_found());
    };
    let pairs = query::pairs(request.uri().query());
    let mut options = match options(&pairs) {
        Ok(options) => options,
        Err(error) => return text(StatusCode::BAD_REQUEST, error),
    };
    let id = match running(shared, namespace, pod, container).await {
        Ok(id) => id,
        Err(error) => return gone(error),
    };
    // A terminal is there or not since the container was made.
    let spec = shared
        .pods
        .by_name(namespace, pod)
        .and_then(|pod| find_container(&pod, container));
    options.tty = spec.is_some_and(|spec| spec.tty == Some(true));
    options.stderr &= !options.tty;
    let url = shared.runtime.attach(v1::AttachRequest {
        container_id: id,
        stdin: options.stdin,
        tty: options.tty,
        stdout: options.stdout,
        stderr: options.stderr,
        audit_request_id: String::new(),
    });
    connect(request, url.await, Kind::RemoteCommand(options)).await
}

pub(super) async fn port_forward<B>(shared: &Shared, request: Request<B>, path: &[&str]) -> Response<Body> {
    let (Some(namespace), Some(name)) = (path.first(), path.get(1)) else {
        return gone(pod_not_found());
    };
    let pairs = query::pairs(request.uri().query());
    let ports = pairs
        .iter()
        .filter(|(key, _)| key == "port" || key == "ports")
        .flat_map(|(_, value)| value.split(','))
        .filter_map(|port| port.parse().ok())
        .collect();
    let missing = format!("pod not found (\"{name}_{namespace}\")");
    let Some(pod) = shared.pods.by_name(namespace, name) else {
        return gone(missing);
    };
    let seen = match pod_status(shared.runtime.as_ref(), pod.uid()).await {
        Ok(seen) => seen,
        Err(error) => return gone(error.to_string()),
    };
    let Some(sandbox) = seen.sandboxes.into_iter().find(|s| s.ready) else {
        return gone(missing);
    };
    let url = shared.runtime.port_forward(v1::PortForwardRequest {
        pod_sandbox_id: sandbox.id,
        port: ports,
    });
    connect(request, url.await, Kind::PortForward).await
}

/// Runs a command and answers with what it wrote.
pub(super) async fn run<B>(shared: &Shared, request: &Request<B>, path: &[&str]) -> Response<Body> {
    let Some((namespace, pod, container)) = target(path) else {
        return gone(pod_not_found());
    };
    let pairs = query::pairs(request.uri().query());
    let command = pairs
        .iter()
        .find(|(key, _)| key == "cmd")
        .map(|(_, value)| value.as_str());
    let command: Vec<String> = command
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let id = match running(shared, namespace, pod, container).await {
        Ok(id) => id,
        Err(error) => return gone(error),
    };
    match shared.runtime.exec_sync(&id, &command, Duration::ZERO).await {
        Ok(answer) => Response::new(full([answer.stdout, answer.stderr].concat())),
        Err(error) => gone(error.to_string()),
    }
}

fn options(pairs: &[(String, String)]) -> Result<Options, &'static str> {
    Options::from_query(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())))
}

async fn running(shared: &Shared, namespace: &str, pod: &str, container: &str) -> Result<String, String> {
    let missing = || format!("container not found (\"{container}\")");
    let Some(pod) = shared.pods.by_name(namespace, pod) else {
        return Err(pod_not_found());
    };
    let seen = pod_status(shared.runtime.as_ref(), pod.uid())
        .await
        .map_err(|e| e.to_string())?;
    let found = seen
        .find(container)
        .filter(|c| c.state == State::Running)
        .ok_or_else(missing)?;
    Ok(found.id.clone())
}

async fn connect<B>(request: Request<B>, url: crate::runtime::Result<String>, kind: Kind) -> Response<Body> {
    match url {
        Ok(url) => {
            let response = bridge::serve(request, &url, kind).await;
            response.map(|body| body.map_err(|never| match never {}).boxed())
        }
        Err(error) => {
            let status = match error.code {
                "NotFound" => StatusCode::NOT_FOUND,
                "ResourceExhausted" => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            text(status, &error.to_string())
        }
    }
}

fn pod_not_found() -> String {
    "pod does not exist".to_owned()
}

fn gone(message: String) -> Response<Body> {
    let status = if message == pod_not_found() {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    text(status, &message)
}
