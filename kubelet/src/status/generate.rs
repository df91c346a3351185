//! The status of a pod as the API shows it. Pure (upstream: kubelet_pods.go `generateAPIPodStatus`,
//! `convertToAPIContainerStatuses`, `getPhase`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::api::core::v1::{Container, ContainerState, ContainerStateTerminated, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::conditions;
use crate::pods::{PodExt, as_container};
use crate::runtime::plan::{any_main_created, restart_policy, should_restart};
use crate::runtime::status as runtime;
use crate::runtime::status::State;

/// What a status is made from.
pub(crate) struct Inputs<'a> {
    pub(crate) pod: &'a Pod,
    /// What the runtime has.
    pub(crate) runtime: &'a runtime::PodStatus,
    /// The last status, ours or the API's.
    pub(crate) old: &'a PodStatus,
    /// No container will be started any more.
    pub(crate) terminal: bool,
    /// Reason and message why a container waits.
    pub(crate) reason: &'a dyn Fn(&str) -> Option<(String, String)>,
    /// Sets `started` and `ready` of the container statuses, from the probes.
    pub(crate) probes: &'a dyn Fn(&mut PodStatus),
    /// `containerd`.
    pub(crate) runtime_name: &'a str,
    /// The node's addresses; empty when standalone.
    pub(crate) host_ips: &'a [String],
    pub(crate) now: Timestamp,
}

/// The status of the pod.
pub(crate) fn generate(inputs: &Inputs<'_>) -> PodStatus {
    let Inputs { pod, old, .. } = *inputs;
    let spec = pod.spec();
    let mut status = PodStatus::default();
    let ips = sorted_ips(inputs.runtime.ips());
    status.pod_ip = ips.first().cloned();
    status.pod_ips = (!ips.is_empty()).then(|| ips.iter().map(|ip| api::PodIP { ip: ip.clone() }).collect());
    status.qos_class = Some(rules::qos::pod_qos(pod).to_owned());
    status.observed_generation = pod.metadata.generation;
    status.resource_claim_statuses.clone_from(&old.resource_claim_statuses);
    status.nominated_node_name.clone_from(&old.nominated_node_name);
    let some = |list: Vec<api::ContainerStatus>| (!list.is_empty()).then_some(list);
    status.container_statuses = some(container_statuses(
        inputs,
        &spec.containers,
        old.container_statuses.as_deref(),
        false,
    ));
    status.init_container_statuses = some(container_statuses(
        inputs,
        pod.init_containers(),
        old.init_container_statuses.as_deref(),
        true,
    ));
    let ephemeral: Vec<Container> = pod.ephemeral_containers().iter().map(as_container).collect();
    status.ephemeral_container_statuses = some(container_statuses(
        inputs,
        &ephemeral,
        old.ephemeral_container_statuses.as_deref(),
        false,
    ));
    let mut phase = phase(inputs, &status);
    let terminal = |phase: &str| matches!(phase, "Failed" | "Succeeded");
    let old_phase = old.phase.as_deref().unwrap_or_default();
    for earlier in [old_phase, pod.phase()] {
        if terminal(earlier) && !terminal(&phase) {
            phase = earlier.to_owned();
        }
    }
    if terminal(pod.phase()) {
        phase = pod.phase().to_owned();
    }
    if phase == old_phase {
        let api_status = pod.status.as_ref();
        status.reason = old.reason.clone().or_else(|| api_status.and_then(|s| s.reason.clone()));
        status.message = old
            .message
            .clone()
            .or_else(|| api_status.and_then(|s| s.message.clone()));
    }
    status.phase = Some(phase);
    (inputs.probes)(&mut status);
    status.start_time = old
        .start_time
        .clone()
        .or_else(|| pod.status.as_ref().and_then(|s| s.start_time.clone()))
        .or(Some(Time(inputs.now)));
    if let Some(host) = inputs.host_ips.first() {
        status.host_ip = Some(host.clone());
        status.host_ips = Some(
            inputs
                .host_ips
                .iter()
                .map(|ip| api::HostIP { ip: ip.clone() })
                .collect(),
        );
        if pod.host_network() && status.pod_ip.is_none() {
            status.pod_ip = Some(host.clone());
            status.pod_ips = Some(inputs.host_ips.iter().map(|ip| api::PodIP { ip: ip.clone() }).collect());
        }
    }
    if status.pod_ip.is_none() && !pod.host_network() {
        // A finished pod keeps showing the address it had (upstream: kubelet.go SyncPod).
        let finished = terminal(status.phase.as_deref().unwrap_or_default());
        if finished {
            status.pod_ip.clone_from(&old.pod_ip);
            status.pod_ips.clone_from(&old.pod_ips);
        }
    }
    status.conditions = Some(conditions::of(pod, &status, old, inputs.runtime, inputs.now));
    status
}

/// IPv4 first, then IPv6, one of each.
fn sorted_ips(ips: Vec<String>) -> Vec<String> {
    let (six, four): (Vec<_>, Vec<_>) = ips.into_iter().partition(|ip| ip.contains(':'));
    four.into_iter().take(1).chain(six.into_iter().take(1)).collect()
}

fn container_statuses(
    inputs: &Inputs<'_>,
    containers: &[Container],
    old: Option<&[api::ContainerStatus]>,
    init: bool,
) -> Vec<api::ContainerStatus> {
    let pod = inputs.pod;
    let old: BTreeMap<&str, &api::ContainerStatus> =
        old.unwrap_or_default().iter().map(|s| (s.name.as_str(), s)).collect();
    let initial = if pod.init_containers().is_empty() {
        "ContainerCreating"
    } else {
        "PodInitializing"
    };
    let mut statuses = Vec::new();
    for container in containers {
        let before = old.get(container.name.as_str()).copied();
        let mut status = api::ContainerStatus {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            state: Some(waiting(initial, "")),
            volume_mounts: volume_mounts(container),
            ..api::ContainerStatus::default()
        };
        if let Some(before) = before {
            if terminated(before.state.as_ref()).is_some() {
                status = before.clone();
            } else {
                status.restart_count = before.restart_count;
                status.last_state.clone_from(&before.last_state);
            }
        }
        let seen: Vec<&runtime::ContainerStatus> = inputs
            .runtime
            .containers
            .iter()
            .filter(|c| c.name == container.name)
            .collect();
        if seen.is_empty() {
            lost(&mut status, before, initial, pod.metadata.deletion_timestamp.is_some());
        }
        if let Some(current) = seen.first() {
            let mounts = status.volume_mounts.take();
            status = from_runtime(inputs, current, before);
            status.volume_mounts = mounts;
            if let Some(previous) = seen.get(1) {
                status.last_state = from_runtime(inputs, previous, None).state;
            }
            status.allocated_resources = container.resources.as_ref().and_then(|r| r.requests.clone());
            status.resources.clone_from(&container.resources);
        }
        override_waiting(inputs, container, &mut status, init);
        if status.last_state.is_none() {
            status.last_state = Some(ContainerState::default());
        }
        statuses.push(status);
    }
    if !init {
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
    }
    statuses
}

/// A container that ran and that the runtime knows no more.
fn lost(status: &mut api::ContainerStatus, before: Option<&api::ContainerStatus>, initial: &str, deleted: bool) {
    let ran = before.is_some_and(|b| b.state.as_ref().is_some_and(|s| s.running.is_some()));
    let default_waiting = status
        .state
        .as_ref()
        .and_then(|s| s.waiting.as_ref())
        .is_some_and(|w| w.reason.as_deref() == Some(initial));
    if !ran || !default_waiting || terminated(status.last_state.as_ref()).is_some() {
        return;
    }
    status.last_state = Some(ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code: 137,
            reason: Some("ContainerStatusUnknown".to_owned()),
            message: Some(
                "The container could not be located when the pod was deleted.  The container used to be Running"
                    .to_owned(),
            ),
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    });
    if !deleted {
        status.restart_count += 1;
    }
}

fn from_runtime(
    inputs: &Inputs<'_>,
    current: &runtime::ContainerStatus,
    before: Option<&api::ContainerStatus>,
) -> api::ContainerStatus {
    let id = format!("{}://{}", inputs.runtime_name, current.id);
    let mut restart_count = i32::try_from(current.restart_count).unwrap_or(i32::MAX);
    let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut last_state = None;
    if let Some(before) = before {
        let ended = before.state.as_ref().filter(|s| s.terminated.is_some());
        if before.container_id.as_deref() != Some(&id) && ended.is_some() {
            last_state = ended.cloned();
        } else {
            last_state.clone_from(&before.last_state);
        }
    }
    let state = match current.state {
        State::Running => ContainerState {
            running: Some(api::ContainerStateRunning {
                started_at: current.started_at.map(Time),
            }),
            ..ContainerState::default()
        },
        State::Exited => ContainerState {
            terminated: Some(ContainerStateTerminated {
                exit_code: current.exit_code,
                reason: optional(&current.reason),
                message: optional(&current.message),
                started_at: Some(Time(current.started_at.unwrap_or(Timestamp::UNIX_EPOCH))),
                finished_at: Some(Time(current.finished_at.unwrap_or(Timestamp::UNIX_EPOCH))),
                container_id: Some(id.clone()),
                signal: None,
            }),
            ..ContainerState::default()
        },
        State::Unknown if before.is_some_and(|b| b.state.as_ref().is_some_and(|s| s.running.is_some())) => {
            restart_count = before.map_or(0, |b| b.restart_count) + 1;
            ContainerState {
                terminated: Some(ContainerStateTerminated {
                    exit_code: 137,
                    reason: Some("ContainerStatusUnknown".to_owned()),
                    message: Some("The container could not be located when the pod was terminated".to_owned()),
                    ..ContainerStateTerminated::default()
                }),
                ..ContainerState::default()
            }
        }
        State::Created | State::Unknown => waiting("", ""),
    };
    api::ContainerStatus {
        name: current.name.clone(),
        restart_count,
        image: current.image.clone(),
        image_id: current.image_ref.clone(),
        container_id: Some(id),
        state: Some(state),
        last_state,
        ..api::ContainerStatus::default()
    }
}

/// A container that is to be started next waits, with the reason of its last failure if there is one.
fn override_waiting(inputs: &Inputs<'_>, container: &Container, status: &mut api::ContainerStatus, init: bool) {
    let current = inputs.runtime.find(&container.name);
    if init {
        let done = current.is_some_and(|c| c.state == State::Exited && c.exit_code == 0);
        let sidecar = rules::resources::is_restartable_init_container(container);
        if done && !sidecar {
            return;
        }
        let waits = status.state.as_ref().is_some_and(|s| s.waiting.is_some());
        if current.is_none() && !sidecar && waits && any_main_created(inputs.pod, inputs.runtime) {
            status.state = Some(ContainerState {
                terminated: Some(ContainerStateTerminated {
                    exit_code: 0,
                    reason: Some("Completed".to_owned()),
                    message: Some(
                        "Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally"
                            .to_owned(),
                    ),
                    ..ContainerStateTerminated::default()
                }),
                ..ContainerState::default()
            });
            return;
        }
    }
    if inputs.terminal || !should_restart(container, inputs.pod, inputs.runtime) {
        return;
    }
    let Some((reason, message)) = (inputs.reason)(&container.name) else {
        return;
    };
    if let Some(state) = status.state.take().filter(|s| s.terminated.is_some()) {
        status.last_state = Some(state);
    }
    status.state = Some(waiting(&reason, &message));
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ContainerState {
        waiting: Some(api::ContainerStateWaiting {
            reason: optional(reason),
            message: optional(message),
        }),
        ..ContainerState::default()
    }
}

pub(crate) fn terminated(state: Option<&ContainerState>) -> Option<&ContainerStateTerminated> {
    state?.terminated.as_ref()
}

fn volume_mounts(container: &Container) -> Option<Vec<api::VolumeMountStatus>> {
    let mounts = container.volume_mounts.as_ref().filter(|m| !m.is_empty())?;
    let of = |mount: &api::VolumeMount| api::VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only,
        recursive_read_only: (mount.read_only == Some(true)).then(|| "Disabled".to_owned()),
        ..api::VolumeMountStatus::default()
    };
    Some(mounts.iter().map(of).collect())
}

/// Upstream: kubelet_pods.go `getPhase`.
fn phase(inputs: &Inputs<'_>, status: &PodStatus) -> String {
    let pod = inputs.pod;
    let policy = restart_policy(pod);
    let all: BTreeMap<&str, &api::ContainerStatus> = status
        .container_statuses
        .iter()
        .chain(&status.init_container_statuses)
        .flatten()
        .map(|s| (s.name.as_str(), s))
        .collect();
    let state = |name: &str| all.get(name).and_then(|s| s.state.as_ref());
    let last = |name: &str| all.get(name).and_then(|s| terminated(s.last_state.as_ref()));
    let (mut pending_init, mut pending_sidecar, mut failed_for_good) = (0, 0, false);
    let (mut unknown, mut running, mut waits, mut stopped, mut for_good, mut succeeded) = (0, 0, 0, 0, 0, 0);
    let restarts = |container: &Container, exit_code: i32| match container.restart_policy.as_deref().unwrap_or(policy) {
        "Never" => false,
        "OnFailure" => exit_code != 0,
        _ => true,
    };
    for container in pod.init_containers() {
        let name = container.name.as_str();
        let started = all.get(name).and_then(|s| s.started) == Some(true);
        let sidecar = rules::resources::is_restartable_init_container(container);
        let Some(state) = state(name) else {
            if sidecar {
                unknown += 1
            } else {
                pending_init += 1
            }
            continue;
        };
        if sidecar {
            if state.running.is_some() {
                pending_sidecar += i32::from(!started);
                running += 1;
            } else if state.waiting.is_some() && last(name).is_none() {
                pending_sidecar += 1;
                waits += 1;
            }
            continue;
        }
        let ended = state
            .terminated
            .as_ref()
            .or_else(|| last(name).filter(|_| state.waiting.is_some()));
        match ended {
            Some(ended) if ended.exit_code != 0 => {
                failed_for_good |= !restarts(container, ended.exit_code);
            }
            Some(_) => {}
            None => pending_init += 1,
        }
    }
    for container in &pod.spec().containers {
        let name = container.name.as_str();
        let Some(state) = state(name) else {
            unknown += 1;
            continue;
        };
        let mut ended = |ended: &ContainerStateTerminated, now: bool| {
            stopped += 1;
            for_good += i32::from(!restarts(container, ended.exit_code));
            succeeded += i32::from(now && ended.exit_code == 0);
        };
        if state.running.is_some() {
            running += 1;
        } else if let Some(state) = &state.terminated {
            ended(state, true);
        } else if state.waiting.is_some() {
            match last(name) {
                Some(last) => ended(last, false),
                None => waits += 1,
            }
        } else {
            unknown += 1;
        }
    }
    let has_initialized = any_main_created(pod, inputs.runtime);
    let result = if failed_for_good {
        "Failed"
    } else if pending_init > 0 || (pending_sidecar > 0 && !has_initialized) || waits > 0 {
        "Pending"
    } else if running > 0 && unknown == 0 {
        "Running"
    } else if running == 0 && stopped > 0 && unknown == 0 {
        if (!inputs.terminal || pod.is_static()) && stopped != for_good {
            "Running"
        } else if stopped == succeeded {
            "Succeeded"
        } else {
            "Failed"
        }
    } else {
        "Pending"
    };
    result.to_owned()
}

#[cfg(test)]
mod tests;
