//! What the runtime has of one pod, in the kubelet's terms.

use k8s_openapi::jiff::Timestamp;

use cri_proto::v1;

use super::annotations as marks;
use super::{Result, Runtime};

/// State of a container in the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Made, not started.
    Created,
    /// Its process runs.
    Running,
    /// Its process has ended.
    Exited,
    /// The runtime cannot tell.
    Unknown,
}

impl State {
    /// From the CRI's number.
    #[must_use]
    pub fn from_cri(state: i32) -> Self {
        match v1::ContainerState::try_from(state) {
            Ok(v1::ContainerState::ContainerCreated) => Self::Created,
            Ok(v1::ContainerState::ContainerRunning) => Self::Running,
            Ok(v1::ContainerState::ContainerExited) => Self::Exited,
            _ => Self::Unknown,
        }
    }
}

/// One sandbox of a pod.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SandboxStatus {
    /// Runtime's identifier.
    pub id: String,
    /// Counts the sandboxes of the pod, from 0.
    pub attempt: u32,
    /// It runs.
    pub ready: bool,
    /// Nanoseconds since the epoch.
    pub created_at: i64,
    /// It shares the node's network.
    pub host_network: bool,
    /// Its addresses, primary first; none with the node's network.
    pub ips: Vec<String>,
}

/// One container of a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerStatus {
    /// Runtime's identifier, without the runtime's name.
    pub id: String,
    /// Name in the pod's spec.
    pub name: String,
    /// State.
    pub state: State,
    /// Nanoseconds since the epoch.
    pub created_at: i64,
    /// When its process began; `None`: not yet.
    pub started_at: Option<Timestamp>,
    /// When its process ended.
    pub finished_at: Option<Timestamp>,
    /// Exit code of an ended process.
    pub exit_code: i32,
    /// Image as named by the runtime.
    pub image: String,
    /// Digested image reference.
    pub image_ref: String,
    /// Hash of the spec it was made from.
    pub hash: String,
    /// Which restart of the container it is.
    pub restart_count: u32,
    /// `Completed`, `Error`, `OOMKilled`, ...
    pub reason: String,
    /// Termination message, or the runtime's.
    pub message: String,
    /// Its sandbox.
    pub sandbox_id: String,
    /// Path of its log file.
    pub log_path: String,
    /// The annotations it was created with.
    pub annotations: std::collections::HashMap<String, String>,
    /// Where its termination log is on the node.
    pub termination_log: Option<String>,
}

/// All the runtime has of one pod.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PodStatus {
    /// Newest first.
    pub sandboxes: Vec<SandboxStatus>,
    /// Newest first.
    pub containers: Vec<ContainerStatus>,
}

impl PodStatus {
    /// The newest container of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&ContainerStatus> {
        self.containers.iter().find(|c| c.name == name)
    }

    /// Containers that run.
    pub fn running(&self) -> impl Iterator<Item = &ContainerStatus> {
        self.containers.iter().filter(|c| c.state == State::Running)
    }

    /// Addresses of the newest sandbox, if it is ready.
    #[must_use]
    pub fn ips(&self) -> Vec<String> {
        self.sandboxes
            .first()
            .filter(|s| s.ready)
            .map(|s| s.ips.clone())
            .unwrap_or_default()
    }
}

/// Asks the runtime for all it has of the pod `uid`. Containers that vanish while asked about are
/// left out.
pub(crate) async fn pod_status(runtime: &dyn Runtime, uid: &str) -> Result<PodStatus> {
    let mut sandboxes = Vec::new();
    for sandbox in runtime.list_sandboxes(Some(uid)).await? {
        match runtime.sandbox_status(&sandbox.id).await {
            Ok(status) => sandboxes.push(from_sandbox(&status)),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    let mut containers = Vec::new();
    for container in runtime.list_containers(Some(uid)).await? {
        match runtime.container_status(&container.id).await {
            Ok(status) => {
                let mut status = from_container(&status, &container.pod_sandbox_id);
                read_termination_message(&mut status);
                containers.push(status);
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    sandboxes.sort_by_key(|s| std::cmp::Reverse(s.created_at));
    containers.sort_by_key(|c| std::cmp::Reverse(c.created_at));
    Ok(PodStatus { sandboxes, containers })
}

fn from_sandbox(status: &v1::PodSandboxStatus) -> SandboxStatus {
    let namespaces = status.linux.as_ref().and_then(|l| l.namespaces.as_ref());
    let network_mode = namespaces.and_then(|n| n.options.as_ref()).map_or(0, |o| o.network);
    let mut ips = Vec::new();
    if let Some(network) = &status.network {
        ips.extend((!network.ip.is_empty()).then(|| network.ip.clone()));
        ips.extend(network.additional_ips.iter().map(|ip| ip.ip.clone()));
    }
    let host_network = network_mode == v1::NamespaceMode::Node as i32;
    SandboxStatus {
        id: status.id.clone(),
        attempt: status.metadata.as_ref().map_or(0, |m| m.attempt),
        ready: status.state == v1::PodSandboxState::SandboxReady as i32,
        created_at: status.created_at,
        host_network,
        ips: if host_network { Vec::new() } else { ips },
    }
}

fn from_container(status: &v1::ContainerStatus, sandbox_id: &str) -> ContainerStatus {
    let annotation = |key: &str| status.annotations.get(key).map(String::as_str);
    let restart_count = annotation(marks::RESTART_COUNT).and_then(|c| c.parse().ok());
    let name = status
        .labels
        .get(marks::CONTAINER_NAME)
        .cloned()
        .or_else(|| status.metadata.as_ref().map(|m| m.name.clone()))
        .unwrap_or_default();
    let path = annotation(marks::TERMINATION_MESSAGE_PATH).unwrap_or_default();
    let log = status
        .mounts
        .iter()
        .find(|m| !path.is_empty() && m.container_path == path);
    ContainerStatus {
        id: status.id.clone(),
        name,
        state: State::from_cri(status.state),
        created_at: status.created_at,
        started_at: timestamp(status.started_at),
        finished_at: timestamp(status.finished_at),
        exit_code: status.exit_code,
        image: status.image.as_ref().map(|i| i.image.clone()).unwrap_or_default(),
        image_ref: status.image_ref.clone(),
        hash: annotation(marks::CONTAINER_HASH).unwrap_or_default().to_owned(),
        restart_count: restart_count.unwrap_or_else(|| status.metadata.as_ref().map_or(0, |m| m.attempt)),
        reason: status.reason.clone(),
        message: status.message.clone(),
        sandbox_id: sandbox_id.to_owned(),
        log_path: status.log_path.clone(),
        annotations: status.annotations.clone(),
        termination_log: log.map(|m| m.host_path.clone()),
    }
}

/// Nanoseconds since the epoch; zero is "never".
pub(crate) fn timestamp(nanoseconds: i64) -> Option<Timestamp> {
    (nanoseconds > 0)
        .then(|| Timestamp::from_nanosecond(i128::from(nanoseconds)).ok())
        .flatten()
}

/// The longest termination message kept, in bytes (upstream: container.MaxContainerTerminationMessageLength).
const MAX_MESSAGE: usize = 4096;
/// Lines and bytes of log used instead of a message (upstream: MaxContainerTerminationMessageLogLength, ...LogLines).
const MAX_LOG_LINES: usize = 80;
const MAX_LOG_BYTES: usize = 2048;

/// Replaces the runtime's message of an ended container by what it wrote to its termination log, or,
/// when it failed silently and its policy says so, by the end of its log
/// (upstream: kuberuntime_container.go `getTerminationMessage`).
fn read_termination_message(status: &mut ContainerStatus) {
    if status.state != State::Exited {
        return;
    }
    let mut written = String::new();
    if let Some(path) = &status.termination_log
        && let Ok(bytes) = read_head(path, MAX_MESSAGE)
    {
        written = String::from_utf8_lossy(&bytes).into_owned();
    }
    let policy = status.annotations.get(marks::TERMINATION_MESSAGE_POLICY);
    let fall_back = policy.is_some_and(|p| p == "FallbackToLogsOnError");
    if written.is_empty() && fall_back && status.exit_code != 0 {
        written = crate::runtime::log_files::tail_text(&status.log_path, MAX_LOG_LINES, MAX_LOG_BYTES);
    }
    if !written.is_empty() {
        status.message = if status.message.is_empty() {
            written
        } else {
            format!("{}: {written}", status.message)
        };
    }
}

fn read_head(path: &str, limit: usize) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
