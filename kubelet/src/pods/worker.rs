//! One task per pod: Sync, then Terminating, then Terminated, never back
//! (upstream: pkg/kubelet/pod_workers.go; `SyncPod`, `SyncTerminatingPod`, `SyncTerminatedPod` of
//! kubelet.go).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{PodExt, mirror};
use crate::runtime::status::{State as ContainerState, pod_status};
use crate::runtime::{self, execute, kill, plan, resize};
use crate::shared::{Poke, Shared};
use crate::status::generate;
use crate::volumes;

/// When to try again what failed for no known reason (upstream: `backOffPeriod`).
const RETRY: Duration = Duration::from_secs(10);
/// When to try again after the runtime or a volume failed.
const QUICK_RETRY: Duration = Duration::from_secs(3);

/// How long a static pod waits for its mirror.
const MIRROR_LIMIT: Duration = Duration::from_secs(5);

/// Where a pod is in its life on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its containers are to run.
    Sync,
    /// Its containers are being stopped; none is started any more.
    Terminating,
    /// No container runs; the rest is removed.
    Terminated,
}

/// The tasks of all pods, by UID.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    table: Table,
}

type Table = Arc<Mutex<HashMap<String, Arc<Mailbox>>>>;

/// What a worker is told. Later news replaces earlier.
struct Mailbox {
    news: Mutex<News>,
    wake: Notify,
    /// Rung when the news end the pod.
    ending: Notify,
}

impl Mailbox {
    fn ring(&self) {
        if self.news.lock().ends() {
            self.ending.notify_one();
        }
        self.wake.notify_one();
    }
}

struct News {
    pod: Arc<Pod>,
    /// Its source has it no more.
    removed: bool,
    /// All is done.
    finished: bool,
    /// Failed by the kubelet itself: reason and message.
    failure: Option<(String, String)>,
}

impl News {
    /// The containers have to go.
    fn ends(&self) -> bool {
        self.removed
            || self.failure.is_some()
            || self.pod.metadata.deletion_timestamp.is_some()
            || matches!(self.pod.phase(), "Failed" | "Succeeded")
    }

    /// How long containers get to stop.
    fn grace(&self) -> Option<Duration> {
        let seconds = self.pod.metadata.deletion_grace_period_seconds;
        match seconds {
            Some(seconds) if self.pod.metadata.deletion_timestamp.is_some() => {
                // A container gets at least a second (upstream: `calculateEffectiveGracePeriod`).
                Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default().max(1)))
            }
            _ => None,
        }
    }
}

impl Workers {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            table: Table::default(),
        }
    }

    /// Tells a pod's worker of its newest form; the first time, starts it.
    pub(crate) fn update(&self, pod: Arc<Pod>) {
        let mut table = self.table.lock();
        if let Some(mailbox) = table.get(pod.uid()) {
            mailbox.news.lock().pod = pod;
            mailbox.ring();
            return;
        }
        let uid = pod.uid().to_owned();
        let news = News {
            pod,
            removed: false,
            finished: false,
            failure: None,
        };
        let mailbox = Arc::new(Mailbox {
            news: Mutex::new(news),
            wake: Notify::new(),
            ending: Notify::new(),
        });
        table.insert(uid.clone(), mailbox.clone());
        let worker = Worker {
            table: self.table.clone(),
            shared: self.shared.clone(),
            mailbox,
            uid,
        };
        tokio::spawn(worker.run());
    }

    /// Tells a pod's worker that its source has it no more.
    pub(crate) fn remove(&self, uid: &str) {
        self.tell(uid, |news| news.removed = true);
    }

    /// Has a pod looked at again.
    pub(crate) fn poke(&self, uid: &str) {
        self.tell(uid, |_| {});
    }

    /// Fails a pod: it may not run on this node.
    pub(crate) fn fail(&self, uid: &str, reason: &str, message: &str) {
        self.tell(uid, |news| {
            news.failure
                .get_or_insert_with(|| (reason.to_owned(), message.to_owned()));
        });
    }

    fn tell(&self, uid: &str, change: impl FnOnce(&mut News)) {
        if let Some(mailbox) = self.table.lock().get(uid) {
            change(&mut mailbox.news.lock());
            mailbox.ring();
        }
    }

    /// There is a worker for the pod, finished or not.
    pub(crate) fn knows(&self, uid: &str) -> bool {
        self.table.lock().contains_key(uid)
    }

    /// The worker has finished everything.
    pub(crate) fn is_finished(&self, uid: &str) -> bool {
        self.table.lock().get(uid).is_some_and(|m| m.news.lock().finished)
    }

    /// Forgets a pod that is finished and gone from its source.
    pub(crate) fn forget(&self, uid: &str) {
        self.table.lock().remove(uid);
    }
}

struct Worker {
    table: Table,
    shared: Arc<Shared>,
    mailbox: Arc<Mailbox>,
    uid: String,
}

/// What a synchronisation came to.
struct Synced {
    /// All containers have ended for good.
    terminal: bool,
    /// Look again at once: something was changed.
    again: bool,
    /// Look again after this time.
    retry: Option<Duration>,
}

impl Synced {
    fn later(delay: Duration) -> Self {
        Self {
            terminal: false,
            again: false,
            retry: Some(delay),
        }
    }
}

impl Worker {
    async fn run(self) {
        let mut stage = Stage::Sync;
        loop {
            stage = match stage {
                Stage::Sync => self.sync_until_it_ends().await,
                Stage::Terminating => self.terminate().await,
                Stage::Terminated => {
                    if self.clean_up().await {
                        self.mailbox.news.lock().finished = true;
                        self.shared.statuses.finish(&self.uid);
                        self.shared.poke(Poke::Finished(self.uid.clone()));
                        return;
                    }
                    tokio::time::sleep(QUICK_RETRY).await;
                    Stage::Terminated
                }
            };
        }
    }

    fn pod(&self) -> Arc<Pod> {
        self.mailbox.news.lock().pod.clone()
    }

    fn ends(&self) -> bool {
        self.mailbox.news.lock().ends()
    }

    async fn sync_until_it_ends(&self) -> Stage {
        loop {
            if self.ends() {
                return Stage::Terminating;
            }
            let pod = self.pod();
            // What is under way is dropped when the pod is to end: stopping looks at what the runtime
            // really has.
            let synced = tokio::select! {
                synced = self.sync(&pod) => synced,
                () = self.until_it_ends() => return Stage::Terminating,
            };
            if synced.terminal {
                return Stage::Terminating;
            }
            if synced.again {
                continue;
            }
            let resync = self.shared.config.file.sync_frequency.0;
            let resync = resync.mul_f64(1.0 + rand::random::<f64>() * 0.5);
            let wait = synced.retry.map_or(resync, |retry| retry.min(resync));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.mailbox.wake.notified() => {}
            }
        }
    }

    /// Waits for news that end the pod; other news stay for later.
    async fn until_it_ends(&self) {
        while !self.ends() {
            self.mailbox.ending.notified().await;
        }
    }

    /// One look at the pod, in upstream's order of steps.
    async fn sync(&self, pod: &Arc<Pod>) -> Synced {
        let shared = &self.shared;
        if pod.is_static() && self.has_predecessor(pod) {
            return Synced::later(Duration::from_millis(500));
        }
        // 1. What the runtime has.
        let seen = match pod_status(shared.runtime.as_ref(), &self.uid).await {
            Ok(seen) => seen,
            Err(error) => {
                tracing::warn!(pod = %pod.key(), %error, "cannot ask the runtime for the pod");
                return Synced::later(QUICK_RETRY);
            }
        };
        // 2. The status it makes.
        let mut status = self.generate(pod, &seen, false);
        if let Some((left, over)) = deadline(pod, &status) {
            if over {
                fail(
                    &mut status,
                    "DeadlineExceeded",
                    "Pod was active on the node longer than the specified deadline",
                );
                self.publish(pod, status);
                return Synced {
                    terminal: true,
                    again: false,
                    retry: None,
                };
            }
            let poker = (shared.clone(), self.uid.clone());
            tokio::spawn(async move {
                tokio::time::sleep(left).await;
                poker.0.poke(Poke::Runtime(poker.1));
            });
        }
        let phase = status.phase.clone().unwrap_or_default();
        self.publish(pod, status);
        if matches!(phase.as_str(), "Failed" | "Succeeded") {
            return Synced {
                terminal: true,
                again: false,
                retry: None,
            };
        }
        // 3. The network its sandbox will need.
        let network = shared.network.read().clone();
        if let Err(error) = network
            && !pod.host_network()
            && seen.sandboxes.iter().all(|s| !s.ready)
        {
            shared.recorder.warning(
                &pod.reference(),
                "NetworkNotReady",
                format!("network is not ready: {error}"),
            );
            return Synced::later(QUICK_RETRY);
        }
        // 4. What it refers to, its cgroup, mirror, directory and volumes.
        shared.objects.register(pod);
        if let Err(text) = resize::apply(shared, pod, &seen).await {
            let about = pod.reference();
            shared.recorder.warning(&about, "FailedToCreatePodContainer", text);
            return Synced::later(RETRY);
        }
        if pod.is_static() {
            // A pod that does not need the apiserver must not wait for it: it may be the apiserver.
            let _ = tokio::time::timeout(MIRROR_LIMIT, mirror::ensure(shared, pod)).await;
        }
        if let Err(error) = make_directories(shared, pod) {
            let text = format!("error making pod data directories: {error}");
            shared
                .recorder
                .warning(&pod.reference(), "FailedToMakePodDataDirectories", text);
            return Synced::later(RETRY);
        }
        let volumes = match volumes::prepare(shared, pod).await {
            Ok(volumes) => volumes,
            Err(error) => {
                tracing::debug!(pod = %pod.key(), %error, "volumes are not ready");
                shared.recorder.warning(&pod.reference(), "FailedMount", error);
                return Synced::later(QUICK_RETRY);
            }
        };
        // 5. Its probes.
        shared.probes.add(shared, pod);
        // 6. Its containers.
        let health = |id: &str| shared.probes.health(&shared.container_id(id));
        let plan = plan::plan(pod, &seen, &health);
        if plan.is_empty() {
            return Synced {
                terminal: false,
                again: false,
                retry: None,
            };
        }
        tracing::debug!(pod = %pod.key(), ?plan, "changing the pod");
        let outcome = execute::execute(shared, pod, &seen, &plan, &volumes).await;
        match outcome.error {
            None => Synced {
                terminal: false,
                again: true,
                retry: None,
            },
            Some(error) => {
                tracing::debug!(pod = %pod.key(), %error, "the pod is not as it should be");
                if let Ok(seen) = pod_status(shared.runtime.as_ref(), &self.uid).await {
                    self.publish(pod, self.generate(pod, &seen, false));
                }
                Synced::later(outcome.retry.unwrap_or(RETRY))
            }
        }
    }

    /// An earlier form of a static pod, with the same name, is not done yet.
    fn has_predecessor(&self, pod: &Pod) -> bool {
        let table = self.table.lock();
        table.iter().any(|(uid, mailbox)| {
            let news = mailbox.news.lock();
            *uid != self.uid && !news.finished && news.ends() && news.pod.key() == pod.key()
        })
    }

    fn generate(&self, pod: &Pod, seen: &runtime::PodStatus, terminal: bool) -> PodStatus {
        let shared = &self.shared;
        let old = shared
            .statuses
            .get(&self.uid)
            .or_else(|| pod.status.clone())
            .unwrap_or_default();
        generate::generate(&generate::Inputs {
            pod,
            runtime: seen,
            old: &old,
            terminal,
            reason: &|container| shared.reasons.get(&self.uid, container),
            probes: &|status| shared.probes.update_status(pod, status),
            runtime_name: &shared.runtime_name,
            host_ips: &shared.facts.host_ips(),
            now: Timestamp::now(),
        })
    }

    fn publish(&self, pod: &Pod, status: PodStatus) {
        let target = if pod.is_static() {
            self.shared.pods.mirror_of(pod)
        } else {
            None
        };
        self.shared.statuses.set(pod, target, status.clone());
        // The probes read the status just set.
        self.shared.probes.update_status(pod, &mut status.clone());
    }

    /// Stops all containers.
    async fn terminate(&self) -> Stage {
        let shared = &self.shared;
        let pod = self.pod();
        tracing::debug!(pod = %pod.key(), "terminating the pod");
        shared.probes.stop_killers(&self.uid);
        loop {
            let (pod, grace, failure) = {
                let news = self.mailbox.news.lock();
                (news.pod.clone(), news.grace(), news.failure.clone())
            };
            let seen = match pod_status(shared.runtime.as_ref(), &self.uid).await {
                Ok(seen) => seen,
                Err(error) => {
                    tracing::warn!(pod = %pod.key(), %error, "cannot ask the runtime for the pod");
                    tokio::time::sleep(QUICK_RETRY).await;
                    continue;
                }
            };
            let mut status = self.generate(&pod, &seen, false);
            if let Some((reason, message)) = &failure {
                if seen.containers.is_empty() {
                    status = rejected(&pod);
                }
                fail(&mut status, reason, message);
            }
            self.publish(&pod, status);
            let still = seen.containers.iter().any(|c| c.state != ContainerState::Exited)
                || seen.sandboxes.iter().any(|s| s.ready);
            if still {
                tokio::select! {
                    stopped = kill::pod(shared, &pod, &seen, grace) => {
                        if let Err(error) = stopped {
                            tracing::warn!(pod = %pod.key(), %error, "cannot stop the pod");
                            shared.recorder.warning(&pod.reference(), "FailedKillPod",
                                format!("error killing pod: {error}"));
                            tokio::time::sleep(QUICK_RETRY).await;
                        }
                    }
                    () = self.shorter_grace(grace) => {}
                    () = self.report_meanwhile(&pod) => {}
                }
                continue;
            }
            shared.probes.remove(&self.uid);
            let mut status = self.generate(&pod, &seen, true);
            if let Some((reason, message)) = &failure {
                if seen.containers.is_empty() {
                    status = rejected(&pod);
                }
                fail(&mut status, reason, message);
            }
            self.publish(&pod, status);
            return Stage::Terminated;
        }
    }

    /// Waits for news that give containers less time than they have.
    async fn shorter_grace(&self, grace: Option<Duration>) {
        loop {
            self.mailbox.wake.notified().await;
            let newer = self.mailbox.news.lock().grace();
            if newer < grace || (grace.is_none() && newer.is_some()) {
                return;
            }
        }
    }

    /// While containers stop, keeps telling how far they are.
    async fn report_meanwhile(&self, pod: &Pod) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Ok(seen) = pod_status(self.shared.runtime.as_ref(), &self.uid).await {
                self.publish(pod, self.generate(pod, &seen, false));
            }
        }
    }

    /// Removes what the pod has on the node besides its containers; false: try again.
    async fn clean_up(&self) -> bool {
        let shared = &self.shared;
        shared.probes.remove(&self.uid);
        shared.objects.unregister(&self.uid);
        shared.tokens.forget(&self.uid);
        shared.reasons.forget(&self.uid);
        if !volumes::tear_down(shared, &self.uid).await {
            return false;
        }
        shared.cgroups.remove(&self.uid);
        true
    }
}

/// The status of a pod that was never let in (upstream: kubelet.go `rejectPod`).
fn rejected(pod: &Pod) -> PodStatus {
    PodStatus {
        observed_generation: pod.metadata.generation,
        qos_class: Some(rules::qos::pod_qos(pod).to_owned()),
        ..PodStatus::default()
    }
}

fn fail(status: &mut PodStatus, reason: &str, message: &str) {
    status.phase = Some("Failed".to_owned());
    status.reason = Some(reason.to_owned());
    status.message = Some(message.to_owned());
}

/// How long the pod may still be active, and whether that is over.
fn deadline(pod: &Pod, status: &PodStatus) -> Option<(Duration, bool)> {
    let seconds = pod.spec().active_deadline_seconds?;
    let start = status.start_time.as_ref()?.0;
    let left = seconds - (Timestamp::now().as_second() - start.as_second());
    Some((Duration::from_secs(u64::try_from(left).unwrap_or_default()), left <= 0))
}

fn make_directories(shared: &Shared, pod: &Pod) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let directory = shared.pod_dir(pod.uid());
    for path in [directory.clone(), directory.join("volumes"), directory.join("plugins")] {
        std::fs::create_dir_all(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750))?;
    }
    Ok(())
}
