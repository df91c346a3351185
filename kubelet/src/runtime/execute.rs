//! Does what the plan says (upstream: kuberuntime_manager.go `SyncPod`).

use std::time::Duration;

use cri_proto::v1;
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::jiff::Timestamp;

use super::backoff::go_seconds;
use super::container::{self, Inputs};
use super::plan::Plan;
use super::status::{ContainerStatus, PodStatus, State};
use super::{gc, kill, resize, sandbox};
use crate::downward::Addresses;
use crate::pods::{PodExt, container_reference, find_container};
use crate::probes::handler;
use crate::shared::Shared;
use crate::volumes::Volumes;

/// Why a container did not start; shows as the reason it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartError {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// When another try makes sense, if that is known.
    pub(crate) retry: Option<Duration>,
}

impl StartError {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry: None,
        }
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.retry = Some(delay);
        self
    }
}

/// What came of executing a plan.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Something failed; the first text.
    pub(crate) error: Option<String>,
    /// The earliest time at which a failed step should be tried again.
    pub(crate) retry: Option<Duration>,
}

impl Outcome {
    fn failed(&mut self, error: &StartError) {
        if self.error.is_none() {
            self.error = Some(format!("{}: {}", error.reason, error.message));
        }
        if let Some(delay) = error.retry {
            self.retry = Some(self.retry.map_or(delay, |earlier| earlier.min(delay)));
        }
    }

    fn broken(&mut self, error: String) {
        self.error.get_or_insert(error);
    }
}

/// Executes `plan` for `pod`, of which the runtime has `status`:
/// 1. kill the whole pod, or 2. single containers;
/// 3. make a sandbox; 4. start ephemeral, 5. init, 6. main containers.
pub(crate) async fn execute(shared: &Shared, pod: &Pod, status: &PodStatus, plan: &Plan, volumes: &Volumes) -> Outcome {
    let mut outcome = Outcome::default();
    // 1
    if plan.kill_pod {
        if plan.create_sandbox && plan.sandbox.is_some() {
            shared.recorder.normal(
                &pod.reference(),
                "SandboxChanged",
                "Pod sandbox changed, it will be killed and re-created.",
            );
        }
        if let Err(error) = kill::pod(shared, pod, status, None).await {
            outcome.broken(error.to_string());
            return outcome;
        }
        if plan.create_sandbox && !pod.init_containers().is_empty() {
            purge_init(shared, pod, status).await;
        }
    }
    // 2
    for victim in &plan.kill {
        let Some(current) = status.containers.iter().find(|c| c.id == victim.id) else {
            continue;
        };
        let stopped = kill::container(shared, pod, current, &victim.message, Some(victim.reason), None);
        if let Err(error) = stopped.await {
            outcome.broken(format!("KillContainerError: {error}"));
            return outcome;
        }
    }
    // 3
    let mut config = sandbox::config(shared, pod, plan.attempt);
    let mut addresses = Addresses {
        pod_ips: status.ips(),
        host_ips: shared.facts.host_ips(),
    };
    let id = match make_sandbox(shared, pod, plan, &config, &mut addresses).await {
        Ok(Some(id)) => id,
        Ok(None) => return outcome,
        Err(error) => {
            outcome.broken(error);
            return outcome;
        }
    };
    if let Some(metadata) = &mut config.metadata {
        metadata.attempt = plan.attempt;
    }
    if pod.host_network() {
        addresses.pod_ips.clone_from(&addresses.host_ips);
    }
    // 4 to 6
    let start = Start {
        shared,
        pod,
        status,
        volumes,
        sandbox: &id,
        config: &config,
        addresses: &addresses,
    };
    for name in &plan.start_ephemeral {
        start.one(name, &mut outcome).await;
    }
    for name in &plan.start_init {
        let sidecar = find_container(pod, name).is_some_and(|c| rules::resources::is_restartable_init_container(&c));
        if !start.one(name, &mut outcome).await && !sidecar {
            return outcome;
        }
    }
    for name in &plan.start {
        start.one(name, &mut outcome).await;
    }
    outcome
}

/// The sandbox to start containers in; `None` when none is wanted.
async fn make_sandbox(
    shared: &Shared,
    pod: &Pod,
    plan: &Plan,
    config: &v1::PodSandboxConfig,
    addresses: &mut Addresses,
) -> Result<Option<String>, String> {
    if !plan.create_sandbox {
        return Ok(plan.sandbox.clone().filter(|_| !plan.kill_pod));
    }
    let failed = |error: String| {
        shared.recorder.warning(
            &pod.reference(),
            "FailedCreatePodSandBox",
            format!("Failed to create pod sandbox: {error}"),
        );
        format!("CreatePodSandboxError: {error}")
    };
    std::fs::create_dir_all(&config.log_directory).map_err(|e| failed(e.to_string()))?;
    let handler = runtime_handler(shared, pod).await.map_err(failed)?;
    let id = shared
        .runtime
        .run_sandbox(config.clone(), &handler)
        .await
        .map_err(|e| failed(e.to_string()))?;
    tracing::debug!(pod = %pod.key(), sandbox = %id, "created the sandbox");
    let status = shared.runtime.sandbox_status(&id).await.map_err(|e| e.to_string())?;
    if !pod.host_network()
        && let Some(network) = status.network
    {
        addresses.pod_ips = std::iter::once(network.ip)
            .chain(network.additional_ips.into_iter().map(|ip| ip.ip))
            .filter(|ip| !ip.is_empty())
            .collect();
    }
    Ok(Some(id))
}

/// The runtime handler of the pod's RuntimeClass.
async fn runtime_handler(shared: &Shared, pod: &Pod) -> Result<String, String> {
    let Some(name) = pod.spec().runtime_class_name.as_deref().filter(|n| !n.is_empty()) else {
        return Ok(String::new());
    };
    let Some(client) = &shared.client else {
        return Err(format!("RuntimeClass \"{name}\" not found"));
    };
    let api = client::Api::<k8s_openapi::api::node::v1::RuntimeClass>::all(client.clone());
    match api.get(name).await {
        Ok(class) => Ok(class.handler),
        Err(error) if error.is_not_found() => Err(format!("RuntimeClass \"{name}\" not found")),
        Err(error) => Err(error.to_string()),
    }
}

/// Removes ended init containers, which are to run again in a new sandbox.
async fn purge_init(shared: &Shared, pod: &Pod, status: &PodStatus) {
    for container in &status.containers {
        if pod.init_containers().iter().any(|c| c.name == container.name) {
            gc::remove_container(shared, &container.id).await;
        }
    }
}

/// The surroundings of starting one container.
struct Start<'a> {
    shared: &'a Shared,
    pod: &'a Pod,
    status: &'a PodStatus,
    volumes: &'a Volumes,
    sandbox: &'a str,
    config: &'a v1::PodSandboxConfig,
    addresses: &'a Addresses,
}

impl Start<'_> {
    /// Starts the container of a name; false when it did not start.
    async fn one(&self, name: &str, outcome: &mut Outcome) -> bool {
        let Some(container) = find_container(self.pod, name) else {
            return false;
        };
        let result = match self.back_off(&container) {
            Err(error) => Err(error),
            Ok(()) => self.start(&container).await,
        };
        match result {
            Ok(()) => {
                self.shared.reasons.clear(self.pod.uid(), name);
                true
            }
            Err(error) => {
                tracing::debug!(pod = %self.pod.key(), container = name, reason = error.reason,
                    message = %error.message, "container did not start");
                outcome.failed(&error);
                self.shared
                    .reasons
                    .set(self.pod.uid(), name, error.reason, &error.message);
                false
            }
        }
    }

    /// Upstream: kuberuntime_manager.go `doBackOff`.
    fn back_off(&self, container: &Container) -> Result<(), StartError> {
        let last = self
            .status
            .containers
            .iter()
            .find(|c| c.name == container.name && c.state == State::Exited && c.finished_at.is_some());
        let Some(finished) = last.and_then(|c| c.finished_at) else {
            return Ok(());
        };
        let pod = self.pod;
        let key = format!(
            "{}_{}_{}_{}_{}",
            pod.name(),
            pod.namespace(),
            pod.uid(),
            container.name,
            super::annotations::hash(container)
        );
        let backoff = &self.shared.crash_backoff;
        let now = Timestamp::now();
        if let Some(left) = backoff.remaining(&key, finished, now) {
            let full = format!("{}_{}({})", pod.name(), pod.namespace(), pod.uid());
            self.shared.recorder.warning(
                &container_reference(pod, &container.name),
                "BackOff",
                format!("Back-off restarting failed container {} in pod {full}", container.name),
            );
            let delay = go_seconds(backoff.delay(&key));
            let message = format!(
                "back-off {delay} restarting failed container={} pod={full}",
                container.name
            );
            return Err(StartError::new("CrashLoopBackOff", message).after(left));
        }
        backoff.next(&key, finished, now);
        Ok(())
    }

    /// Upstream: kuberuntime_container.go `startContainer`.
    async fn start(&self, container: &Container) -> Result<(), StartError> {
        let Self { shared, pod, .. } = *self;
        let about = container_reference(pod, &container.name);
        let failed = |error: StartError| {
            shared
                .recorder
                .warning(&about, "Failed", format!("Error: {}", error.message));
            error
        };
        let present = shared
            .images
            .ensure(shared, pod, container, self.config)
            .await
            .inspect_err(|error| {
                let text = format!("Error: {}", error.reason);
                shared.recorder.warning(&about, "Failed", text);
            })?;
        let restart_count = self.restart_count(container);
        let target = container::target_of(pod, &container.name)
            .and_then(|target| self.status.find(target))
            .map(|target| target.id.as_str());
        let inputs = Inputs {
            volumes: self.volumes,
            addresses: self.addresses,
            restart_count,
            image_ref: &present.reference,
            image_user: &present.user,
            target,
        };
        let config = container::config(shared, pod, container, &inputs)
            .await
            .map_err(|message| failed(StartError::new("CreateContainerConfigError", message)))?;
        let log_directory = std::path::Path::new(&self.config.log_directory).join(&container.name);
        std::fs::create_dir_all(&log_directory).map_err(|error| {
            failed(StartError::new(
                "CreateContainerError",
                format!("create log directory: {error}"),
            ))
        })?;
        let id = shared
            .runtime
            .create_container(self.sandbox, config, self.config.clone())
            .await
            .map_err(|error| failed(StartError::new("CreateContainerError", error.message)))?;
        shared.given.note(&id, resize::wanted(shared, pod, container));
        shared.recorder.normal(&about, "Created", "Container created");
        shared
            .runtime
            .start_container(&id)
            .await
            .map_err(|error| failed(StartError::new("RunContainerError", error.message)))?;
        shared.recorder.normal(&about, "Started", "Container started");
        let log = log_directory.join(format!("{restart_count}.log"));
        crate::runtime::log_files::link(&shared.log_links(), pod, &container.name, &id, &log);
        self.post_start(container, &id).await
    }

    async fn post_start(&self, container: &Container, id: &str) -> Result<(), StartError> {
        let hook = container.lifecycle.as_ref().and_then(|l| l.post_start.as_ref());
        let Some(hook) = hook else { return Ok(()) };
        let started = self.started(container, id);
        if let Err(error) = handler::run(self.shared, self.pod, &started, hook).await {
            let about = container_reference(self.pod, &container.name);
            self.shared
                .recorder
                .warning(&about, "FailedPostStartHook", format!("PostStartHook failed: {error}"));
            let _ = kill::container(self.shared, self.pod, &started, "FailedPostStartHook", None, None).await;
            return Err(StartError::new(
                "PostStartHookError",
                format!("PostStartHookError: {error}"),
            ));
        }
        Ok(())
    }

    /// The container just started, as far as hooks need it.
    fn started(&self, container: &Container, id: &str) -> ContainerStatus {
        ContainerStatus {
            id: id.to_owned(),
            name: container.name.clone(),
            state: State::Running,
            created_at: 0,
            started_at: None,
            finished_at: None,
            exit_code: 0,
            image: String::new(),
            image_ref: String::new(),
            hash: String::new(),
            restart_count: 0,
            reason: String::new(),
            message: String::new(),
            sandbox_id: self.sandbox.to_owned(),
            log_path: String::new(),
            annotations: std::collections::HashMap::new(),
            termination_log: None,
        }
    }

    /// One more than the last container's; when the runtime has none left, than its logs'.
    fn restart_count(&self, container: &Container) -> u32 {
        if let Some(last) = self.status.find(&container.name) {
            return last.restart_count + 1;
        }
        let directory = std::path::Path::new(&self.config.log_directory).join(&container.name);
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?.split('.').next()?.parse::<u32>().ok()
        });
        numbers.max().map_or(0, |last| last + 1)
    }
}
