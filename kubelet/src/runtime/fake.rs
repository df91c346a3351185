//! A runtime that keeps containers in memory: for tests, and for hollow nodes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cri_proto::v1;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Result, Runtime, RuntimeError};
use crate::runtime::annotations::POD_UID;

/// Sandboxes, containers and images in memory. Every container runs until it is stopped or
/// [`FakeRuntime::exit`] ends it; every image can be "pulled".
#[derive(Default)]
pub struct FakeRuntime {
    state: Mutex<State>,
    counter: AtomicU64,
    /// How many calls there were.
    made: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    sandboxes: HashMap<String, v1::PodSandboxStatus>,
    containers: HashMap<String, (String, v1::ContainerStatus)>,
    images: HashMap<String, v1::Image>,
    calls: Vec<String>,
    refused_images: Vec<String>,
    exec_exit_code: i32,
}

impl FakeRuntime {
    /// The calls that changed something, in order, as `verb name`.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().calls.clone()
    }

    /// Changes with every call that changes something.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<usize> {
        self.made.subscribe()
    }

    fn record(&self, state: &mut State, call: String) {
        state.calls.push(call);
        self.made.send_replace(state.calls.len());
    }

    /// Lets pulls of `image` fail.
    pub fn refuse_image(&self, image: &str) {
        self.state.lock().refused_images.push(image.to_owned());
    }

    /// Exit code of every later `exec_sync`.
    pub fn set_exec_exit_code(&self, code: i32) {
        self.state.lock().exec_exit_code = code;
    }

    /// Ends all running containers called `name` with `code`.
    pub fn exit(&self, name: &str, code: i32) {
        let now = self.tick();
        for (_, container) in self.state.lock().containers.values_mut() {
            let named = container.metadata.as_ref().is_some_and(|m| m.name == name);
            if named && container.state == v1::ContainerState::ContainerRunning as i32 {
                end(container, code, now);
            }
        }
    }

    /// Nanoseconds that grow with every call.
    fn tick(&self) -> i64 {
        let step = self.counter.fetch_add(1, Ordering::Relaxed);
        let now = k8s_openapi::jiff::Timestamp::now().as_nanosecond();
        i64::try_from(now).unwrap_or(i64::MAX) + i64::try_from(step).unwrap_or_default()
    }

    fn id(&self, kind: &str) -> String {
        format!("{kind}{}", self.counter.fetch_add(1, Ordering::Relaxed))
    }
}

fn end(container: &mut v1::ContainerStatus, code: i32, now: i64) {
    container.state = v1::ContainerState::ContainerExited as i32;
    container.exit_code = code;
    container.finished_at = now;
    container.reason = if code == 0 { "Completed" } else { "Error" }.to_owned();
}

fn not_found(what: &str, id: &str) -> RuntimeError {
    RuntimeError {
        code: "NotFound",
        message: format!("{what} {id:?}: not found"),
    }
}

fn unimplemented(what: &str) -> RuntimeError {
    RuntimeError {
        code: "Unimplemented",
        message: format!("unknown method {what}"),
    }
}

fn of_pod(labels: &HashMap<String, String>, uid: Option<&str>) -> bool {
    uid.is_none_or(|uid| labels.get(POD_UID).is_some_and(|own| own == uid))
}

#[async_trait]
impl Runtime for FakeRuntime {
    async fn version(&self) -> Result<v1::VersionResponse> {
        Ok(v1::VersionResponse {
            version: "0.1.0".to_owned(),
            runtime_name: "fake".to_owned(),
            runtime_version: "1.0.0".to_owned(),
            runtime_api_version: "v1".to_owned(),
        })
    }

    async fn status(&self) -> Result<v1::StatusResponse> {
        let condition = |kind: &str| v1::RuntimeCondition {
            r#type: kind.to_owned(),
            status: true,
            ..Default::default()
        };
        Ok(v1::StatusResponse {
            status: Some(v1::RuntimeStatus {
                conditions: vec![condition("RuntimeReady"), condition("NetworkReady")],
            }),
            ..Default::default()
        })
    }

    async fn runtime_config(&self) -> Result<v1::RuntimeConfigResponse> {
        Err(unimplemented("RuntimeConfig"))
    }

    async fn run_sandbox(&self, config: v1::PodSandboxConfig, _handler: &str) -> Result<String> {
        let (id, now) = (self.id("sandbox"), self.tick());
        let mut state = self.state.lock();
        let name = config.metadata.as_ref().map(|m| m.name.clone()).unwrap_or_default();
        self.record(&mut state, format!("run_sandbox {name}"));
        let options = config
            .linux
            .and_then(|l| l.security_context)
            .and_then(|s| s.namespace_options);
        let number = state.sandboxes.len() + 1;
        let status = v1::PodSandboxStatus {
            id: id.clone(),
            metadata: config.metadata,
            state: v1::PodSandboxState::SandboxReady as i32,
            created_at: now,
            network: Some(v1::PodSandboxNetworkStatus {
                ip: format!("10.200.{}.{}", number / 250, number % 250 + 1),
                ..Default::default()
            }),
            linux: Some(v1::LinuxPodSandboxStatus {
                namespaces: Some(v1::Namespace { options }),
            }),
            labels: config.labels,
            annotations: config.annotations,
            ..Default::default()
        };
        state.sandboxes.insert(id.clone(), status);
        Ok(id)
    }

    async fn stop_sandbox(&self, id: &str) -> Result<()> {
        let now = self.tick();
        let mut state = self.state.lock();
        self.record(&mut state, format!("stop_sandbox {id}"));
        for (sandbox, container) in state.containers.values_mut() {
            if sandbox == id && container.state == v1::ContainerState::ContainerRunning as i32 {
                end(container, 137, now);
            }
        }
        if let Some(sandbox) = state.sandboxes.get_mut(id) {
            sandbox.state = v1::PodSandboxState::SandboxNotready as i32;
        }
        Ok(())
    }

    async fn remove_sandbox(&self, id: &str) -> Result<()> {
        let mut state = self.state.lock();
        self.record(&mut state, format!("remove_sandbox {id}"));
        state.sandboxes.remove(id);
        state.containers.retain(|_, (sandbox, _)| sandbox != id);
        Ok(())
    }

    async fn sandbox_status(&self, id: &str) -> Result<v1::PodSandboxStatus> {
        self.state
            .lock()
            .sandboxes
            .get(id)
            .cloned()
            .ok_or_else(|| not_found("sandbox", id))
    }

    async fn list_sandboxes(&self, pod_uid: Option<&str>) -> Result<Vec<v1::PodSandbox>> {
        let state = self.state.lock();
        let own = state.sandboxes.values().filter(|s| of_pod(&s.labels, pod_uid));
        Ok(own
            .map(|s| v1::PodSandbox {
                id: s.id.clone(),
                metadata: s.metadata.clone(),
                state: s.state,
                created_at: s.created_at,
                labels: s.labels.clone(),
                annotations: s.annotations.clone(),
                ..Default::default()
            })
            .collect())
    }

    async fn create_container(
        &self,
        sandbox: &str,
        config: v1::ContainerConfig,
        sandbox_config: v1::PodSandboxConfig,
    ) -> Result<String> {
        let (id, now) = (self.id("container"), self.tick());
        let mut state = self.state.lock();
        let name = config.metadata.as_ref().map(|m| m.name.clone()).unwrap_or_default();
        self.record(&mut state, format!("create {name}"));
        let status = v1::ContainerStatus {
            id: id.clone(),
            metadata: config.metadata,
            state: v1::ContainerState::ContainerCreated as i32,
            created_at: now,
            image_ref: config.image.as_ref().map(|i| i.image.clone()).unwrap_or_default(),
            image: config.image,
            labels: config.labels,
            annotations: config.annotations,
            mounts: config.mounts,
            log_path: format!("{}/{}", sandbox_config.log_directory, config.log_path),
            ..Default::default()
        };
        state.containers.insert(id.clone(), (sandbox.to_owned(), status));
        Ok(id)
    }

    async fn start_container(&self, id: &str) -> Result<()> {
        let now = self.tick();
        let mut state = self.state.lock();
        let (_, container) = state.containers.get_mut(id).ok_or_else(|| not_found("container", id))?;
        container.state = v1::ContainerState::ContainerRunning as i32;
        container.started_at = now;
        let name = container.metadata.as_ref().map(|m| m.name.clone()).unwrap_or_default();
        self.record(&mut state, format!("start {name}"));
        Ok(())
    }

    async fn stop_container(&self, id: &str, grace: Duration) -> Result<()> {
        let now = self.tick();
        let mut state = self.state.lock();
        let Some((_, container)) = state.containers.get_mut(id) else {
            return Ok(());
        };
        let name = container.metadata.as_ref().map(|m| m.name.clone()).unwrap_or_default();
        if container.state == v1::ContainerState::ContainerRunning as i32 {
            end(container, if grace.is_zero() { 137 } else { 143 }, now);
        }
        self.record(&mut state, format!("stop {name}"));
        Ok(())
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        let mut state = self.state.lock();
        self.record(&mut state, format!("remove {id}"));
        state.containers.remove(id);
        Ok(())
    }

    async fn list_containers(&self, pod_uid: Option<&str>) -> Result<Vec<v1::Container>> {
        let state = self.state.lock();
        let own = state.containers.values().filter(|(_, c)| of_pod(&c.labels, pod_uid));
        Ok(own
            .map(|(sandbox, c)| v1::Container {
                id: c.id.clone(),
                pod_sandbox_id: sandbox.clone(),
                metadata: c.metadata.clone(),
                image: c.image.clone(),
                image_ref: c.image_ref.clone(),
                state: c.state,
                created_at: c.created_at,
                labels: c.labels.clone(),
                annotations: c.annotations.clone(),
                image_id: String::new(),
            })
            .collect())
    }

    async fn container_status(&self, id: &str) -> Result<v1::ContainerStatus> {
        let state = self.state.lock();
        let found = state.containers.get(id).map(|(_, c)| c.clone());
        found.ok_or_else(|| not_found("container", id))
    }

    async fn update_container(&self, id: &str, resources: v1::LinuxContainerResources) -> Result<()> {
        let mut state = self.state.lock();
        let (_, container) = state.containers.get(id).ok_or_else(|| not_found("container", id))?;
        let name = container.metadata.as_ref().map(|m| m.name.clone()).unwrap_or_default();
        self.record(&mut state, format!("update {name} cpu_quota={}", resources.cpu_quota));
        Ok(())
    }

    async fn reopen_log(&self, _id: &str) -> Result<()> {
        Ok(())
    }

    async fn exec_sync(&self, _id: &str, command: &[String], _timeout: Duration) -> Result<v1::ExecSyncResponse> {
        let mut state = self.state.lock();
        self.record(&mut state, format!("exec {}", command.join(" ")));
        let exit_code = state.exec_exit_code;
        Ok(v1::ExecSyncResponse {
            exit_code,
            ..Default::default()
        })
    }

    async fn exec(&self, _request: v1::ExecRequest) -> Result<String> {
        Err(unimplemented("Exec"))
    }

    async fn attach(&self, _request: v1::AttachRequest) -> Result<String> {
        Err(unimplemented("Attach"))
    }

    async fn port_forward(&self, _request: v1::PortForwardRequest) -> Result<String> {
        Err(unimplemented("PortForward"))
    }

    async fn list_images(&self) -> Result<Vec<v1::Image>> {
        Ok(self.state.lock().images.values().cloned().collect())
    }

    async fn image_status(&self, image: &str) -> Result<Option<v1::Image>> {
        Ok(self.state.lock().images.get(image).cloned())
    }

    async fn pull_image(
        &self,
        image: &str,
        _auth: Option<v1::AuthConfig>,
        _sandbox_config: v1::PodSandboxConfig,
    ) -> Result<String> {
        let mut state = self.state.lock();
        self.record(&mut state, format!("pull {image}"));
        if state.refused_images.iter().any(|refused| refused == image) {
            return Err(not_found("image", image));
        }
        let pulled = v1::Image {
            id: format!("sha256:{image}"),
            repo_tags: vec![image.to_owned()],
            size: 1,
            ..Default::default()
        };
        state.images.insert(image.to_owned(), pulled);
        Ok(format!("sha256:{image}"))
    }

    async fn remove_image(&self, image: &str) -> Result<()> {
        self.state
            .lock()
            .images
            .retain(|name, i| name != image && i.id != image);
        Ok(())
    }

    async fn image_fs_info(&self) -> Result<v1::ImageFsInfoResponse> {
        Ok(v1::ImageFsInfoResponse::default())
    }

    async fn list_container_stats(&self) -> Result<Vec<v1::ContainerStats>> {
        Ok(Vec::new())
    }
}
