//! Decides what a pod needs done in the runtime. Pure: the spec, what the runtime has and what the
//! probes say go in, a [`Plan`] comes out (upstream: kuberuntime_manager.go `computePodActions`).

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::pods::PodExt;

use super::annotations;
use super::status::{ContainerStatus, PodStatus, State};

/// What the probes say of a running container; `None`: no verdict yet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Health {
    pub(crate) liveness: Option<bool>,
    pub(crate) startup: Option<bool>,
}

/// Why a container is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KillReason {
    Changed,
    Liveness,
    Startup,
    Unknown,
}

/// A container to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kill {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Text of the Killing event.
    pub(crate) message: String,
    pub(crate) reason: KillReason,
}

/// What is to be done, in this order: kill the pod or single containers, make a sandbox, start
/// ephemeral, init and main containers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// Stop all containers and the sandbox.
    pub(crate) kill_pod: bool,
    /// Make a new sandbox.
    pub(crate) create_sandbox: bool,
    /// The sandbox in use.
    pub(crate) sandbox: Option<String>,
    /// Number of the sandbox in use or to be made.
    pub(crate) attempt: u32,
    pub(crate) kill: Vec<Kill>,
    pub(crate) start_ephemeral: Vec<String>,
    pub(crate) start_init: Vec<String>,
    pub(crate) start: Vec<String>,
}

impl Plan {
    /// Nothing is to be done.
    pub(crate) fn is_empty(&self) -> bool {
        !self.kill_pod
            && !self.create_sandbox
            && self.kill.is_empty()
            && self.start_ephemeral.is_empty()
            && self.start_init.is_empty()
            && self.start.is_empty()
    }
}

/// The plan for `pod`, of which the runtime has `status`.
pub(crate) fn plan(pod: &Pod, status: &PodStatus, health: &dyn Fn(&str) -> Health) -> Plan {
    let (create, attempt, sandbox) = sandbox_changed(pod, status);
    let mut plan = Plan {
        kill_pod: create,
        create_sandbox: create,
        sandbox,
        attempt,
        ..Plan::default()
    };
    if create {
        return with_new_sandbox(pod, status, plan);
    }
    for container in pod.ephemeral_containers() {
        if status.find(&container.name).is_none() {
            plan.start_ephemeral.push(container.name.clone());
        }
    }
    let initialized = plan_init(pod, status, health, &mut plan);
    if plan.kill_pod || !initialized {
        return plan;
    }
    let mut kept = 0;
    for container in &pod.spec().containers {
        match status.find(&container.name) {
            Some(running) if running.state == State::Running => {
                match reason_to_kill(container, running, health(&running.id)) {
                    None => kept += 1,
                    Some((mut message, reason)) => {
                        if reason == KillReason::Changed || restarts_after_failure(pod) {
                            message.push_str(", will be restarted");
                            plan.start.push(container.name.clone());
                        }
                        plan.kill.push(kill(running, message, reason));
                    }
                }
            }
            other => {
                if !should_restart(container, pod, status) {
                    continue;
                }
                plan.start.push(container.name.clone());
                if let Some(unknown) = other.filter(|c| c.state == State::Unknown) {
                    plan.kill.push(kill_unknown(unknown));
                }
            }
        }
    }
    if kept == 0 && plan.start.is_empty() {
        plan.kill_pod = true;
        plan.start_init.clear();
    }
    plan
}

/// Whether a new sandbox is needed, its number, and the sandbox there is
/// (upstream: util.PodSandboxChanged).
fn sandbox_changed(pod: &Pod, status: &PodStatus) -> (bool, u32, Option<String>) {
    let Some(newest) = status.sandboxes.first() else {
        return (true, 0, None);
    };
    let ready = status.sandboxes.iter().filter(|s| s.ready).count();
    let id = Some(newest.id.clone());
    if ready > 1 || !newest.ready {
        return (true, newest.attempt + 1, id);
    }
    if newest.host_network != pod.host_network() {
        return (true, newest.attempt + 1, None);
    }
    if !pod.host_network() && newest.ips.is_empty() {
        return (true, newest.attempt + 1, id);
    }
    (false, newest.attempt, id)
}

fn with_new_sandbox(pod: &Pod, status: &PodStatus, mut plan: Plan) -> Plan {
    if !restarts_after_failure(pod) && plan.attempt != 0 && !status.containers.is_empty() {
        plan.create_sandbox = false;
        return plan;
    }
    let on_failure = restart_policy(pod) == "OnFailure";
    let start: Vec<String> = pod
        .spec()
        .containers
        .iter()
        .filter(|c| !(on_failure && succeeded(status, &c.name)))
        .map(|c| c.name.clone())
        .collect();
    if start.is_empty() && any_main_created(pod, status) {
        plan.create_sandbox = false;
        return plan;
    }
    match pod.init_containers().first() {
        Some(first) => plan.start_init = vec![first.name.clone()],
        None => plan.start = start,
    }
    plan
}

/// Adds what the init containers need; true when the main containers may run
/// (upstream: kuberuntime_container.go `computeInitContainerActions`).
fn plan_init(pod: &Pod, status: &PodStatus, health: &dyn Fn(&str) -> Health, plan: &mut Plan) -> bool {
    let containers = pod.init_containers();
    if containers.is_empty() {
        return true;
    }
    let mut initialized = any_main_created(pod, status);
    // Containers before the newest one that ever ran have had their turn.
    let mut passed = initialized;
    let mut to_start = Vec::new();
    let mut any_seen = initialized;
    for (index, container) in containers.iter().enumerate().rev() {
        let sidecar = rules::resources::is_restartable_init_container(container);
        let Some(current) = status.find(&container.name) else {
            if passed && sidecar {
                to_start.push(index);
            }
            continue;
        };
        any_seen = true;
        let mut advance = false;
        match current.state {
            State::Created => {}
            State::Unknown => {
                if sidecar || !passed {
                    plan.kill.push(kill_unknown(current));
                    if sidecar || restarts_after_failure(pod) {
                        to_start.push(index);
                    } else {
                        plan.kill_pod = true;
                        return false;
                    }
                }
            }
            State::Running if sidecar => {
                let verdict = health(&current.id);
                match reason_to_kill(container, current, verdict) {
                    Some((message, reason)) => {
                        let message = format!("{message}, will be restarted");
                        plan.kill.push(kill(current, message, reason));
                        to_start.push(index);
                    }
                    None => {
                        advance = container.startup_probe.is_none() || verdict.startup == Some(true);
                    }
                }
            }
            State::Running => {}
            State::Exited if sidecar => to_start.push(index),
            State::Exited if current.exit_code == 0 => advance = true,
            State::Exited => {
                if !passed {
                    if !restarts_after_failure(pod) {
                        plan.kill_pod = true;
                        return false;
                    }
                    to_start.push(index);
                }
            }
        }
        if advance && !passed {
            if index + 1 < containers.len() {
                to_start.push(index + 1);
            } else {
                initialized = true;
            }
        }
        passed = true;
    }
    if !any_seen {
        to_start.push(0);
    }
    to_start.sort_unstable();
    plan.start_init = to_start.into_iter().map(|i| containers[i].name.clone()).collect();
    initialized
}

fn reason_to_kill(container: &Container, current: &ContainerStatus, health: Health) -> Option<(String, KillReason)> {
    let name = &container.name;
    if current.hash != annotations::hash(container) {
        return Some((format!("Container {name} definition changed"), KillReason::Changed));
    }
    if health.liveness == Some(false) {
        return Some((format!("Container {name} failed liveness probe"), KillReason::Liveness));
    }
    if health.startup == Some(false) {
        return Some((format!("Container {name} failed startup probe"), KillReason::Startup));
    }
    None
}

fn kill(current: &ContainerStatus, message: String, reason: KillReason) -> Kill {
    Kill {
        id: current.id.clone(),
        name: current.name.clone(),
        message,
        reason,
    }
}

fn kill_unknown(current: &ContainerStatus) -> Kill {
    let message = format!(
        "Container is in {:?} state, try killing it before restart",
        State::Unknown
    )
    .to_lowercase()
    .replacen("container", "Container", 1);
    kill(current, message, KillReason::Unknown)
}

/// Whether a container that does not run should be started (upstream: container/helpers.go
/// `ShouldContainerBeRestarted`).
pub(crate) fn should_restart(container: &Container, pod: &Pod, status: &PodStatus) -> bool {
    if pod.metadata.deletion_timestamp.is_some() {
        return false;
    }
    let Some(current) = status.find(&container.name) else {
        return true;
    };
    match current.state {
        State::Running => false,
        State::Unknown | State::Created => true,
        State::Exited => match container.restart_policy.as_deref().unwrap_or(restart_policy(pod)) {
            "Never" => false,
            "OnFailure" => current.exit_code != 0,
            _ => true,
        },
    }
}

pub(crate) fn restart_policy(pod: &Pod) -> &str {
    pod.spec().restart_policy.as_deref().unwrap_or("Always")
}

fn restarts_after_failure(pod: &Pod) -> bool {
    restart_policy(pod) != "Never"
}

fn succeeded(status: &PodStatus, name: &str) -> bool {
    status
        .find(name)
        .is_some_and(|c| c.state == State::Exited && c.exit_code == 0)
}

/// Whether any main container was ever made: then initialisation is over for good.
pub(crate) fn any_main_created(pod: &Pod, status: &PodStatus) -> bool {
    pod.spec().containers.iter().any(|c| status.find(&c.name).is_some())
}

#[cfg(test)]
mod tests;
