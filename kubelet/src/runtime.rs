//! The container runtime as the kubelet sees it.
//!
//! [`Runtime`] is the whole of what is asked of a runtime; [`cri`] asks containerd or CRI-O, [`fake`]
//! keeps containers in memory. `labels` says how pods are recognised in a runtime, `status` turns
//! what it answers into a [`PodStatus`], `plan` decides what a pod needs, `execute` does it.

pub(crate) mod annotations;
pub(crate) mod backoff;
pub(crate) mod container;
pub mod cri;
pub(crate) mod execute;
pub mod fake;
pub(crate) mod gc;
pub(crate) mod image;
pub(crate) mod kill;
pub(crate) mod log_files;
pub(crate) mod log_rotation;
pub(crate) mod plan;
pub(crate) mod resize;
pub(crate) mod sandbox;
pub(crate) mod security;
pub(crate) mod status;

pub use status::{ContainerStatus, PodStatus, SandboxStatus, State};

use std::time::Duration;

use async_trait::async_trait;
use cri_proto::v1;

/// What a runtime answered instead of doing what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rpc error: code = {code} desc = {message}")]
pub struct RuntimeError {
    /// gRPC code by name, as Go prints it (`NotFound`, `DeadlineExceeded`).
    pub code: &'static str,
    /// The runtime's text.
    pub message: String,
}

impl RuntimeError {
    /// The thing asked about is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code == "NotFound"
    }
}

/// Result of a runtime call.
pub type Result<T> = std::result::Result<T, RuntimeError>;

/// Everything the kubelet asks of a container runtime (the CRI, without its wrapping messages).
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Name and version.
    async fn version(&self) -> Result<v1::VersionResponse>;
    /// Conditions `RuntimeReady` and `NetworkReady`, and the runtime handlers.
    async fn status(&self) -> Result<v1::StatusResponse>;
    /// The cgroup driver the runtime wants; `Unimplemented` by older ones.
    async fn runtime_config(&self) -> Result<v1::RuntimeConfigResponse>;

    /// Creates and starts a sandbox; returns its identifier.
    async fn run_sandbox(&self, config: v1::PodSandboxConfig, handler: &str) -> Result<String>;
    /// Stops everything in a sandbox and frees its network. Idempotent.
    async fn stop_sandbox(&self, id: &str) -> Result<()>;
    /// Removes a sandbox and its containers. Idempotent.
    async fn remove_sandbox(&self, id: &str) -> Result<()>;
    /// One sandbox.
    async fn sandbox_status(&self, id: &str) -> Result<v1::PodSandboxStatus>;
    /// The sandboxes of a pod, or all.
    async fn list_sandboxes(&self, pod_uid: Option<&str>) -> Result<Vec<v1::PodSandbox>>;

    /// Creates a container; returns its identifier.
    async fn create_container(
        &self,
        sandbox: &str,
        config: v1::ContainerConfig,
        sandbox_config: v1::PodSandboxConfig,
    ) -> Result<String>;
    /// Starts a created container.
    async fn start_container(&self, id: &str) -> Result<()>;
    /// Sends the stop signal and kills after `grace`. Idempotent.
    async fn stop_container(&self, id: &str, grace: Duration) -> Result<()>;
    /// Removes a container, by force if it runs. Idempotent.
    async fn remove_container(&self, id: &str) -> Result<()>;
    /// The containers of a pod, or all.
    async fn list_containers(&self, pod_uid: Option<&str>) -> Result<Vec<v1::Container>>;
    /// One container.
    async fn container_status(&self, id: &str) -> Result<v1::ContainerStatus>;
    /// Changes the limits of a running container.
    async fn update_container(&self, id: &str, resources: v1::LinuxContainerResources) -> Result<()>;
    /// Tells the runtime to reopen a container's log after rotation.
    async fn reopen_log(&self, id: &str) -> Result<()>;

    /// Runs a command and waits; zero timeout waits for ever.
    async fn exec_sync(&self, id: &str, command: &[String], timeout: Duration) -> Result<v1::ExecSyncResponse>;
    /// Prepares an interactive command; returns the streaming URL.
    async fn exec(&self, request: v1::ExecRequest) -> Result<String>;
    /// Prepares attaching; returns the streaming URL.
    async fn attach(&self, request: v1::AttachRequest) -> Result<String>;
    /// Prepares port-forwarding; returns the streaming URL.
    async fn port_forward(&self, request: v1::PortForwardRequest) -> Result<String>;

    /// All images.
    async fn list_images(&self) -> Result<Vec<v1::Image>>;
    /// One image by any of its names; `None` when it is not there.
    async fn image_status(&self, image: &str) -> Result<Option<v1::Image>>;
    /// Pulls an image; returns its reference.
    async fn pull_image(
        &self,
        image: &str,
        auth: Option<v1::AuthConfig>,
        sandbox_config: v1::PodSandboxConfig,
    ) -> Result<String>;
    /// Removes an image. Idempotent.
    async fn remove_image(&self, image: &str) -> Result<()>;
    /// Usage of the image file system.
    async fn image_fs_info(&self) -> Result<v1::ImageFsInfoResponse>;
    /// CPU and memory use of all running containers.
    async fn list_container_stats(&self) -> Result<Vec<v1::ContainerStats>>;
}
