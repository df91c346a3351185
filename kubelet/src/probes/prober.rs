//! Runs one probe once (upstream: pkg/kubelet/prober/prober.go, pkg/probe).

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};
use tokio::net::TcpStream;

use super::handler::port_number;
use super::http::{self, Request};
use crate::runtime::container::env::expand;
use crate::shared::Shared;

/// Longest output of a command shown in an event, in bytes (upstream: `maxReadLength`).
const MAX_OUTPUT: usize = 10 * 1024;

/// Why a probe did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The container is not well.
    Unhealthy(String),
    /// The probe itself could not be made.
    Broken(String),
}

use Failure::{Broken, Unhealthy};

/// Probes the container with the identifier `id` (as the API shows it) once.
pub(super) async fn run(
    shared: &Shared,
    container: &Container,
    probe: &Probe,
    pod_ip: &str,
    limit: Duration,
    id: &str,
) -> Result<(), Failure> {
    if let Some(exec) = &probe.exec {
        let command = expand_command(container, exec.command.as_deref().unwrap_or_default());
        return run_command(shared, id, &command, limit).await;
    }
    if let Some(get) = &probe.http_get {
        let port = port_number(container, &get.port).map_err(Broken)?;
        let request = Request::of_action(get, pod_ip, port);
        let status = http::send(&request, limit).await.map_err(Unhealthy)?;
        return if (200..400).contains(&status) {
            Ok(())
        } else {
            Err(Unhealthy(format!("HTTP probe failed with statuscode: {status}")))
        };
    }
    if let Some(tcp) = &probe.tcp_socket {
        let port = port_number(container, &tcp.port).map_err(Broken)?;
        let host = tcp.host.as_deref().filter(|h| !h.is_empty()).unwrap_or(pod_ip);
        let address = http::join(host, port);
        return match tokio::time::timeout(limit, TcpStream::connect(&address)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Unhealthy(format!("dial tcp {address}: {}", http::go_error(&error)))),
            Err(_) => Err(Unhealthy(format!("dial tcp {address}: i/o timeout"))),
        };
    }
    if let Some(grpc) = &probe.grpc {
        let address = http::join(pod_ip, u16::try_from(grpc.port).unwrap_or_default());
        let service = grpc.service.as_deref().unwrap_or_default();
        let limit_text = limit.as_secs();
        return match tokio::time::timeout(limit, grpc_health(&address, service)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Unhealthy(format!(
                "timeout: failed to connect service \"{address}\" within {limit_text}s: context deadline exceeded"
            ))),
        };
    }
    Err(Broken(format!("missing probe handler for {}", container.name)))
}

async fn run_command(shared: &Shared, id: &str, command: &[String], limit: Duration) -> Result<(), Failure> {
    let timed_out = || {
        Unhealthy(format!(
            "command timed out: \"{}\" timed out after {}s",
            command.join(" "),
            limit.as_secs()
        ))
    };
    let id = id.rsplit("://").next().unwrap_or(id);
    let answer = shared.runtime.exec_sync(id, command, limit);
    match tokio::time::timeout(limit + Duration::from_secs(1), answer).await {
        Err(_) => Err(timed_out()),
        Ok(Err(error)) if error.code == "DeadlineExceeded" => Err(timed_out()),
        Ok(Err(error)) => Err(Broken(error.to_string())),
        Ok(Ok(answer)) if answer.exit_code == 0 => Ok(()),
        Ok(Ok(answer)) => {
            let mut output = [answer.stdout, answer.stderr].concat();
            output.truncate(MAX_OUTPUT);
            Err(Unhealthy(String::from_utf8_lossy(&output).into_owned()))
        }
    }
}

/// `$(VAR)` of variables given as plain values.
fn expand_command(container: &Container, command: &[String]) -> Vec<String> {
    let lookup = |name: &str| {
        let variables = container.env.iter().flatten();
        variables.filter(|v| v.name == name).find_map(|v| v.value.clone())
    };
    command.iter().map(|word| expand(word, &lookup)).collect()
}

/// grpc.health.v1.HealthCheckRequest.
#[derive(Clone, PartialEq, prost::Message)]
struct HealthRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// grpc.health.v1.HealthCheckResponse; status 1 is SERVING.
#[derive(Clone, PartialEq, prost::Message)]
struct HealthResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Upstream: pkg/probe/grpc.
async fn grpc_health(address: &str, service: &str) -> Result<(), Failure> {
    let broken = |error: tonic::transport::Error| Broken(error.to_string());
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .map_err(broken)?
        .user_agent("kube-probe/1.36")
        .map_err(broken)?
        .connect()
        .await
        .map_err(|_| {
            Unhealthy(format!(
                "failed to connect service at \"{address}\": connection refused"
            ))
        })?;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Unhealthy(error.to_string()))?;
    let codec = tonic_prost::ProstCodec::<HealthRequest, HealthResponse>::default();
    let path = ::http::uri::PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let request = tonic::Request::new(HealthRequest {
        service: service.to_owned(),
    });
    match client.unary(request, path, codec).await {
        Ok(answer) if answer.get_ref().status == 1 => Ok(()),
        Ok(answer) => {
            let names = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
            let index = usize::try_from(answer.get_ref().status).unwrap_or_default();
            let name = names.get(index).unwrap_or(&"UNKNOWN");
            Err(Unhealthy(format!("service unhealthy (responded with \"{name}\")")))
        }
        Err(status) if status.code() == tonic::Code::Unimplemented => Err(Unhealthy(format!(
            "this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
            status.message()
        ))),
        Err(status) => Err(Unhealthy(format!("health rpc probe failed: {}", status.message()))),
    }
}
