//! Stops containers: preStop hook, then the stop signal, then force
//! (upstream: kuberuntime_container.go `killContainer`).

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{LifecycleHandler, Pod};

use super::annotations::{POD_TERMINATION_GRACE, PRE_STOP_HANDLER};
use super::plan::KillReason;
use super::status::{ContainerStatus, PodStatus, State};
use crate::pods::{PodExt, container_reference, find_container};
use crate::probes::handler;
use crate::shared::Shared;

/// Time a container gets after its preStop hook used up the grace period
/// (upstream: `minimumGracePeriodInSeconds`).
const MINIMUM_GRACE: Duration = Duration::from_secs(2);

/// How long a container may take to stop.
fn grace_of(
    pod: &Pod,
    container: &ContainerStatus,
    reason: Option<KillReason>,
    override_grace: Option<Duration>,
) -> Duration {
    if let Some(given) = override_grace {
        return given;
    }
    let spec = find_container(pod, &container.name);
    let of_probe = spec.as_ref().and_then(|spec| {
        let probe = match reason? {
            KillReason::Liveness => spec.liveness_probe.as_ref(),
            KillReason::Startup => spec.startup_probe.as_ref(),
            KillReason::Changed | KillReason::Unknown => None,
        };
        probe?.termination_grace_period_seconds
    });
    let annotated = container
        .annotations
        .get(POD_TERMINATION_GRACE)
        .and_then(|s| s.parse().ok());
    let seconds = of_probe
        .or(pod.metadata.deletion_grace_period_seconds)
        .or(pod.spec().termination_grace_period_seconds)
        .or(annotated)
        .unwrap_or(30);
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// Stops one container and waits until it is gone.
pub(crate) async fn container(
    shared: &Shared,
    pod: &Pod,
    status: &ContainerStatus,
    message: &str,
    reason: Option<KillReason>,
    override_grace: Option<Duration>,
) -> super::Result<()> {
    match status.state {
        State::Exited => return Ok(()),
        // It never ran: there is nothing to stop, and the runtime would leave it as it is.
        State::Created => return shared.runtime.remove_container(&status.id).await,
        State::Running | State::Unknown => {}
    }
    let mut grace = grace_of(pod, status, reason, override_grace);
    let about = container_reference(pod, &status.name);
    let text = if message.is_empty() {
        format!("Stopping container {}", status.name)
    } else {
        message.to_owned()
    };
    shared.recorder.normal(&about, "Killing", text);
    if let Some(hook) = pre_stop_hook(pod, status)
        && !grace.is_zero()
        && status.state == State::Running
    {
        let begun = Instant::now();
        let run = handler::run(shared, pod, status, &hook);
        match tokio::time::timeout(grace, run).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                shared
                    .recorder
                    .warning(&about, "FailedPreStopHook", format!("PreStopHook failed: {error}"));
            }
            Err(_) => tracing::warn!(container = %status.name, "preStop hook did not finish in time"),
        }
        grace = grace.saturating_sub(begun.elapsed()).max(MINIMUM_GRACE);
    }
    match shared.runtime.stop_container(&status.id, grace).await {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

fn pre_stop_hook(pod: &Pod, status: &ContainerStatus) -> Option<LifecycleHandler> {
    match find_container(pod, &status.name) {
        Some(spec) => spec.lifecycle?.pre_stop,
        None => serde_json::from_str(status.annotations.get(PRE_STOP_HANDLER)?).ok(),
    }
}

/// Stops all containers of a pod, sidecars after the others and in reverse order, then its
/// sandboxes (upstream: kuberuntime_manager.go `killPodWithSyncResult`).
pub(crate) async fn pod(
    shared: &Shared,
    pod: &Pod,
    status: &PodStatus,
    override_grace: Option<Duration>,
) -> super::Result<()> {
    let begun = Instant::now();
    let sidecars: Vec<&str> = pod
        .init_containers()
        .iter()
        .filter(|c| rules::resources::is_restartable_init_container(c))
        .map(|c| c.name.as_str())
        .collect();
    let (last, first): (Vec<_>, Vec<_>) = status
        .containers
        .iter()
        .partition(|c| sidecars.contains(&c.name.as_str()));
    let stops = first
        .iter()
        .map(|c| container(shared, pod, c, "", None, override_grace));
    let mut outcome = futures::future::join_all(stops)
        .await
        .into_iter()
        .collect::<super::Result<()>>();
    let total = override_grace.or_else(|| {
        let seconds = pod
            .metadata
            .deletion_grace_period_seconds
            .or(pod.spec().termination_grace_period_seconds);
        seconds.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs)
    });
    for name in sidecars.iter().rev() {
        for sidecar in last.iter().filter(|c| c.name == *name) {
            let left = total.map(|total| total.saturating_sub(begun.elapsed()).max(MINIMUM_GRACE.min(total)));
            outcome = outcome.and(container(shared, pod, sidecar, "", None, left.or(override_grace)).await);
        }
    }
    for sandbox in &status.sandboxes {
        match shared.runtime.stop_sandbox(&sandbox.id).await {
            Err(error) if error.is_not_found() => {}
            other => outcome = outcome.and(other),
        }
    }
    outcome
}
