//! The task of one probe of one container (upstream: pkg/kubelet/prober/worker.go).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, Probe};
use k8s_openapi::jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Kind, prober};
use crate::pods::PodExt;
use crate::runtime::plan::restart_policy;
use crate::shared::{Poke, Shared};

/// See the module's text.
pub(super) struct Task {
    pub(super) shared: Arc<Shared>,
    pub(super) pod: Arc<Pod>,
    pub(super) container: Container,
    pub(super) probe: Probe,
    pub(super) kind: Kind,
    pub(super) wake: Arc<Notify>,
}

/// What one round came to.
enum Round {
    /// The container cannot be probed now; look again when its status changes.
    Idle,
    /// It must first have run for a while.
    Later(Duration),
    /// It was probed.
    Probed,
    /// There is nothing more to probe.
    Over,
}

/// The container now probed and how its last results were.
#[derive(Default)]
struct Record {
    id: String,
    last: Option<bool>,
    run: i32,
    on_hold: bool,
    /// Eager looks at a readiness that has not come yet.
    eager: u32,
}

/// The first wait between eager looks.
const EAGER: Duration = Duration::from_millis(50);

impl Task {
    pub(super) async fn run(self) {
        let period = seconds(self.probe.period_seconds, 10);
        let mut record = Record::default();
        let mut due = Instant::now();
        loop {
            let wait = match self.round(&mut record, due <= Instant::now()).await {
                Round::Over => return,
                Round::Probed => {
                    due = Instant::now() + period;
                    Some(period)
                }
                Round::Later(delay) => Some(delay),
                Round::Idle => {
                    let left = due.saturating_duration_since(Instant::now());
                    (!left.is_zero()).then_some(left)
                }
            };
            match wait {
                Some(wait) => {
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.wake.notified() => {}
                    }
                }
                None => self.wake.notified().await,
            }
        }
    }

    async fn round(&self, record: &mut Record, due: bool) -> Round {
        let (shared, kind) = (&self.shared, self.kind);
        let Some(status) = shared.statuses.get(self.pod.uid()) else {
            return Round::Idle;
        };
        if matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
            return Round::Over;
        }
        let all = status.container_statuses.iter().chain(&status.init_container_statuses);
        let Some(current) = all.flatten().find(|c| c.name == self.container.name) else {
            return Round::Idle;
        };
        let Some(id) = current.container_id.clone().filter(|id| !id.is_empty()) else {
            return Round::Idle;
        };
        if record.id != id {
            shared.probes.set_verdict(&record.id, kind, None);
            *record = Record {
                id: id.clone(),
                ..Record::default()
            };
            shared.probes.set_verdict(&id, kind, kind.initial());
        }
        if record.on_hold || status.pod_ip.is_none() {
            return Round::Idle;
        }
        let Some(running) = current.state.as_ref().and_then(|s| s.running.as_ref()) else {
            if kind == Kind::Readiness {
                self.judge(&id, false);
            }
            let ended = current.state.as_ref().is_some_and(|s| s.terminated.is_some());
            let sidecar = rules::resources::is_restartable_init_container(&self.container);
            let over = ended && restart_policy(&self.pod) == "Never" && !sidecar;
            return if over { Round::Over } else { Round::Idle };
        };
        let started = current.started == Some(true);
        if (kind == Kind::Startup) == started {
            return Round::Idle;
        }
        let delay = i64::from(self.probe.initial_delay_seconds.unwrap_or_default());
        let begun = running.started_at.as_ref().map_or(0, |t| t.0.as_second());
        let age = Timestamp::now().as_second() - begun;
        if age < delay {
            return Round::Later(Duration::from_secs(u64::try_from(delay - age).unwrap_or(1)));
        }
        if self.kind == Kind::Liveness && record.last.is_none() && record.eager == 0 {
            // A container is given its period before it is first asked whether it lives.
            record.eager = 1;
            return Round::Probed;
        }
        if !due {
            return Round::Idle;
        }
        if let Some(wait) = self.look_eagerly(record).await {
            return Round::Later(wait);
        }
        self.probe_once(record, current).await;
        Round::Probed
    }

    /// A container that has just started is seldom ready at once, and its period may be long. Until it
    /// has passed once, looks that cost the container next to nothing are made at growing intervals;
    /// nothing is said of their failures. `None`: now the probe counts.
    async fn look_eagerly(&self, record: &mut Record) -> Option<Duration> {
        let cheap = self.probe.http_get.is_some() || self.probe.tcp_socket.is_some();
        let patient = self.probe.success_threshold.unwrap_or(1) > 1;
        if self.kind != Kind::Readiness || record.last.is_some() || !cheap || patient {
            return None;
        }
        let wait = EAGER * 2u32.pow(record.eager.min(16));
        if wait >= seconds(self.probe.period_seconds, 10) {
            return None;
        }
        record.eager += 1;
        let limit = seconds(self.probe.timeout_seconds, 1);
        let ip = self.pod_ip();
        let look = prober::run(&self.shared, &self.container, &self.probe, &ip, limit, &record.id);
        if look.await.is_err() {
            return Some(wait);
        }
        None
    }

    async fn probe_once(&self, record: &mut Record, current: &ContainerStatus) {
        let ip = self.pod_ip();
        let limit = seconds(self.probe.timeout_seconds, 1);
        let result = prober::run(&self.shared, &self.container, &self.probe, &ip, limit, &record.id).await;
        let about = crate::pods::container_reference(&self.pod, &current.name);
        let title = self.kind.title();
        let healthy = match result {
            Ok(()) => true,
            Err(prober::Failure::Unhealthy(output)) => {
                let text = format!("{title} probe failed: {output}");
                self.shared.recorder.warning(&about, "Unhealthy", text);
                false
            }
            Err(prober::Failure::Broken(error)) => {
                let text = format!("{title} probe errored and resulted in unknown state: {error}");
                self.shared.recorder.warning(&about, "Unhealthy", text);
                return;
            }
        };
        if record.last == Some(healthy) {
            record.run += 1;
        } else {
            record.last = Some(healthy);
            record.run = 1;
        }
        let threshold = if healthy {
            self.probe.success_threshold.unwrap_or(1)
        } else {
            self.probe.failure_threshold.unwrap_or(3)
        };
        if record.run < threshold.max(1) {
            return;
        }
        self.judge(&record.id, healthy);
        if self.kind != Kind::Readiness && !healthy {
            // It is about to be killed; the next container begins anew.
            record.on_hold = true;
            record.run = 0;
        }
    }

    fn judge(&self, id: &str, healthy: bool) {
        if self.shared.probes.set_verdict(id, self.kind, Some(healthy)) {
            self.shared.poke(Poke::Probe(self.pod.uid().to_owned()));
        }
    }

    /// Empty while the pod has no address.
    fn pod_ip(&self) -> String {
        let status = self.shared.statuses.get(self.pod.uid());
        status.and_then(|s| s.pod_ip).unwrap_or_default()
    }
}

fn seconds(given: Option<i32>, default: u64) -> Duration {
    let given = given.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0);
    Duration::from_secs(given.unwrap_or(default))
}
