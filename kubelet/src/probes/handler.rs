//! Lifecycle hooks, and what they share with probes (upstream: pkg/kubelet/lifecycle/handlers.go).

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Pod};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::http::{self, Request};
use crate::pods::{PodExt, find_container};
use crate::runtime::status::ContainerStatus;
use crate::shared::Shared;

/// How long an HTTP hook may take.
const HTTP_LIMIT: Duration = Duration::from_secs(30);

/// Runs a hook of a container to its end.
pub(crate) async fn run(
    shared: &Shared,
    pod: &Pod,
    status: &ContainerStatus,
    hook: &LifecycleHandler,
) -> Result<(), String> {
    if let Some(exec) = &hook.exec {
        let command = exec.command.clone().unwrap_or_default();
        let answer = shared.runtime.exec_sync(&status.id, &command, Duration::ZERO).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if answer.exit_code == 0 {
            return Ok(());
        }
        return Err(format!(
            "command '{}' exited with {}: {}",
            command.join(" "),
            answer.exit_code,
            String::from_utf8_lossy(&answer.stderr)
        ));
    }
    if let Some(get) = &hook.http_get {
        let container = find_container(pod, &status.name).unwrap_or_default();
        let port = port_number(&container, &get.port)?;
        let ip = match get.host.as_deref().filter(|h| !h.is_empty()) {
            Some(host) => host.to_owned(),
            None => pod_ip(shared, pod).await?,
        };
        return http::send(&Request::of_action(get, &ip, port), HTTP_LIMIT)
            .await
            .map(drop);
    }
    if let Some(sleep) = &hook.sleep {
        let seconds = u64::try_from(sleep.seconds).unwrap_or_default();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        return Ok(());
    }
    Err("invalid handler: no action".to_owned())
}

async fn pod_ip(shared: &Shared, pod: &Pod) -> Result<String, String> {
    if pod.host_network() {
        let ips = shared.facts.host_ips();
        return ips
            .into_iter()
            .next()
            .ok_or_else(|| "the node has no address".to_owned());
    }
    let status = crate::runtime::status::pod_status(shared.runtime.as_ref(), pod.uid());
    let ips = status.await.map_err(|error| error.to_string())?.ips();
    ips.into_iter()
        .next()
        .ok_or_else(|| "failed to find networking container".to_owned())
}

/// The number of a port given by number or by the name of one of the container's ports.
pub(super) fn port_number(container: &Container, port: &IntOrString) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => container
            .ports
            .iter()
            .flatten()
            .find(|p| p.name.as_deref() == Some(name))
            .map(|p| p.container_port)
            .or_else(|| name.parse().ok()),
    };
    number
        .and_then(|n| u16::try_from(n).ok())
        .filter(|n| *n > 0)
        .ok_or_else(|| format!("invalid port number: {port:?}"))
}
