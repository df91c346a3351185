//! The driver: takes pods from the queue, asks [`crate::schedule_one`], and acts on the answer:
//! assume, reserve, permit, bind; or say why not and requeue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use client::events::{Recorder, reference};
use client::informer::Reader;
use client::{Api, Client};
use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;
use rand::Rng as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::Cache;
use crate::framework::event::{Event, Hint};
use crate::framework::plugin::{Cycle, Preemption};
use crate::framework::pod_info::PodInfo;
use crate::framework::profile::Profile;
use crate::framework::status::{Diagnosis, Status};
use crate::queue::{Policy, Queue, QueuedPod, Times};
use crate::schedule_one::{Choice, Failure, schedule};
use crate::{metrics, pod_status};

/// The profiles by `schedulerName`, which also decide what the queue does.
pub(crate) struct Profiles(BTreeMap<String, Profile>);

impl Profiles {
    pub(crate) fn new(profiles: Vec<Profile>) -> Self {
        Self(
            profiles
                .into_iter()
                .map(|profile| (profile.scheduler_name.clone(), profile))
                .collect(),
        )
    }

    fn of(&self, pod: &PodInfo) -> Option<&Profile> {
        self.0.get(
            pod.spec()
                .scheduler_name
                .as_deref()
                .unwrap_or(crate::configuration::DEFAULT_SCHEDULER),
        )
    }
}

impl Policy for Profiles {
    fn gate(&self, pod: &PodInfo) -> Result<(), Status> {
        self.of(pod).map_or(Ok(()), |profile| profile.gate(pod))
    }

    fn hint(&self, refused_by: &BTreeSet<&'static str>, pod: &PodInfo, event: &Event) -> Hint {
        self.of(pod)
            .map_or(Hint::Skip, |profile| profile.hint(refused_by, pod, event))
    }
}

/// A running scheduler.
pub(crate) struct Scheduler {
    client: Client,
    profiles: Arc<Profiles>,
    pub(crate) cache: Mutex<Cache>,
    pub(crate) queue: Queue,
    recorder: Recorder,
    pods: Reader<Pod>,
    /// Where the next partial scan of the nodes begins.
    rotation: AtomicUsize,
    tasks: TaskTracker,
}

/// A pod that got no node: what goes into its condition, and for whom it waits.
struct Refusal {
    reason: &'static str,
    message: String,
    refused_by: BTreeSet<&'static str>,
    preemption: Option<Preemption>,
}

impl Refusal {
    fn error(message: String) -> Self {
        Self {
            reason: "SchedulerError",
            message,
            refused_by: BTreeSet::new(),
            preemption: None,
        }
    }

    fn of_status(status: &Status) -> Self {
        if !status.is_rejection() {
            return Self::error(status.message());
        }
        let mut diagnosis = Diagnosis {
            total_nodes: 1,
            ..Diagnosis::default()
        };
        diagnosis.blame(status);
        diagnosis.statuses.push(("".into(), status.clone()));
        Self::of_diagnosis(diagnosis)
    }

    fn of_diagnosis(diagnosis: Diagnosis) -> Self {
        Self {
            reason: "Unschedulable",
            message: diagnosis.message(),
            refused_by: diagnosis.unschedulable_plugins,
            preemption: None,
        }
    }
}

impl Scheduler {
    pub(crate) fn new(
        client: Client,
        profiles: Vec<Profile>,
        times: Times,
        recorder: Recorder,
        pods: Reader<Pod>,
    ) -> Self {
        let profiles = Arc::new(Profiles::new(profiles));
        let policy: Arc<dyn Policy> = Arc::clone(&profiles) as Arc<dyn Policy>;
        Self {
            client,
            profiles,
            cache: Mutex::default(),
            queue: Queue::new(policy, times),
            recorder,
            pods,
            rotation: AtomicUsize::new(0),
            tasks: TaskTracker::new(),
        }
    }

    pub(crate) fn profile_of(&self, pod: &PodInfo) -> Option<&Profile> {
        self.profiles.of(pod)
    }

    /// Schedules until told to stop, then lets bindings finish.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let queued = tokio::select! {
                () = stop.cancelled() => break,
                queued = self.queue.pop() => queued,
            };
            self.attempt(queued);
            self.measure();
            // Many pods at once must not starve the watches on a small machine.
            tokio::task::yield_now().await;
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// One scheduling cycle; binding and reporting go on in the background.
    fn attempt(self: &Arc<Self>, queued: QueuedPod) {
        let begun = Instant::now();
        let pod = Arc::clone(&queued.pod);
        let Some(profile) = self.profiles.of(&pod) else {
            self.queue.done(&pod.uid);
            return;
        };
        if pod.pod.metadata.deletion_timestamp.is_some() {
            let text = format!("skip schedule deleting pod: {}", pod.key());
            self.recorder.for_component(&profile.scheduler_name).warning(
                &reference(&*pod.pod),
                "FailedScheduling",
                text,
            );
            self.queue.done(&pod.uid);
            return;
        }
        if self.cache.lock().is_assumed(&pod.uid) {
            self.queue.done(&pod.uid);
            return;
        }
        let outcome = self.choose(profile, &pod);
        metrics::ALGORITHM_DURATION.observe(begun.elapsed().as_secs_f64());
        match outcome.and_then(|choice| self.hold(profile, &pod, choice)) {
            Ok(choice) => {
                let this = Arc::clone(self);
                self.tasks.spawn(async move { this.bind(queued, choice, begun).await });
            }
            Err(refusal) => self.refused(queued, refusal, begun),
        }
    }

    fn choose(&self, profile: &Profile, pod: &PodInfo) -> Result<Choice, Refusal> {
        let snapshot = self.cache.lock().snapshot();
        let start = self.rotation.load(Ordering::Relaxed);
        let cycle = Cycle {
            pod,
            snapshot: &snapshot,
        };
        match schedule(profile, cycle, start, &mut |n| rand::rng().random_range(0..n)) {
            Ok(choice) => {
                self.rotation.fetch_add(choice.evaluated, Ordering::Relaxed);
                Ok(choice)
            }
            Err(Failure::NoNodes) => Err(Refusal {
                reason: "Unschedulable",
                message: "no nodes available to schedule pods".to_owned(),
                // Any new node helps; the node-minded plugins know.
                refused_by: profile
                    .iter()
                    .filter(|p| p.pre_filter.is_some())
                    .map(|p| p.name)
                    .collect(),
                preemption: None,
            }),
            Err(Failure::Error(error)) => Err(Refusal::error(error)),
            Err(Failure::Unfit(mut diagnosis)) => {
                let outcome = profile.post_filter(cycle, &diagnosis);
                diagnosis.post_filter_message = outcome.message;
                Err(Refusal {
                    preemption: outcome.plan,
                    ..Refusal::of_diagnosis(*diagnosis)
                })
            }
        }
    }

    /// Assumes the pod on the node and lets plugins reserve what they need.
    fn hold(&self, profile: &Profile, pod: &Arc<PodInfo>, choice: Choice) -> Result<Choice, Refusal> {
        let mut cache = self.cache.lock();
        cache
            .assume(Arc::clone(pod), &choice.node)
            .map_err(|error| Refusal::error(error.to_owned()))?;
        cache.withdraw(&pod.uid);
        drop(cache);
        if let Err(status) = profile.reserve(pod, &choice.node) {
            profile.unreserve(pod, &choice.node);
            self.cache.lock().forget(&pod.uid);
            return Err(Refusal::of_status(&status));
        }
        Ok(choice)
    }

    async fn bind(self: Arc<Self>, queued: QueuedPod, choice: Choice, begun: Instant) {
        let pod = Arc::clone(&queued.pod);
        let profile = self.profiles.of(&pod).expect("the cycle found the profile");
        let recorder = self.recorder.for_component(&profile.scheduler_name);
        let outcome = async {
            profile.permit(&pod, &choice.node).await?;
            // From here on only errors can happen, and those need no events.
            self.queue.done(&pod.uid);
            profile.pre_bind(&pod, &choice.node).await?;
            profile.bind(&pod, &choice.node).await
        }
        .await;
        if let Err(status) = outcome {
            profile.unreserve(&pod, &choice.node);
            if self.cache.lock().forget(&pod.uid) {
                self.queue.event(&Event::PodDeleted(Arc::clone(&pod)));
            }
            self.refused(queued, Refusal::of_status(&status), begun);
            return;
        }
        tracing::info!(
            pod = %pod.key(), node = %choice.node, evaluatedNodes = choice.evaluated, feasibleNodes = choice.feasible,
            "Successfully bound pod to node"
        );
        let text = format!("Successfully assigned {} to {}", pod.key(), choice.node);
        recorder.normal(&reference(&*pod.pod), "Scheduled", text);
        profile.post_bind(&pod, &choice.node);
        let labels = [profile.scheduler_name.as_str(), "scheduled"];
        metrics::ATTEMPTS.with_label_values(&labels).inc();
        metrics::ATTEMPT_DURATION
            .with_label_values(&labels)
            .observe(begun.elapsed().as_secs_f64());
        metrics::POD_ATTEMPTS.observe(f64::from(queued.attempts));
    }

    /// Says why, in the background, and puts the pod back afterwards: a late report must not
    /// overwrite a later success.
    fn refused(self: &Arc<Self>, mut queued: QueuedPod, refusal: Refusal, begun: Instant) {
        let pod = Arc::clone(&queued.pod);
        let profile = self
            .profiles
            .of(&pod)
            .expect("the cycle found the profile")
            .scheduler_name
            .clone();
        let result = if refusal.reason == "Unschedulable" {
            "unschedulable"
        } else {
            "error"
        };
        metrics::ATTEMPTS.with_label_values(&[profile.as_str(), result]).inc();
        metrics::ATTEMPT_DURATION
            .with_label_values(&[profile.as_str(), result])
            .observe(begun.elapsed().as_secs_f64());
        if result == "unschedulable" {
            tracing::info!(pod = %pod.key(), err = refusal.message, "Unable to schedule pod; no fit; waiting");
        } else {
            tracing::error!(pod = %pod.key(), err = refusal.message, "Error scheduling pod; retrying");
        }
        queued.refused_by.clone_from(&refusal.refused_by);
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            // The newest version decides; a pod that is gone or bound is done with.
            let current = this.pods.get(&pod.namespace, &pod.name);
            let current = current.filter(|current| current.metadata.uid.as_deref() == Some(&*pod.uid));
            let Some(current) = current.map(|current| Arc::new(PodInfo::new(current))) else {
                this.queue.done(&pod.uid);
                return;
            };
            if current.node_name().is_some() {
                this.queue.done(&pod.uid);
                return;
            }
            queued.pod = Arc::clone(&current);
            let recorder = this.recorder.for_component(&profile);
            recorder.warning(&reference(&*pod.pod), "FailedScheduling", truncated(&refusal.message));
            let nominated = match refusal.preemption {
                Some(plan) => Some(this.preempt(&current, &profile, plan).await),
                // An attempt that was refused for good gives up its promised room.
                None => None,
            };
            let patch = pod_status::unscheduled(&current.pod, refusal.reason, &refusal.message, nominated.as_deref());
            if let Some(patch) = patch {
                let pods = Api::<Pod>::namespaced(this.client.clone(), &current.namespace);
                if let Err(error) = pods.patch(&current.name, &patch, Some("status")).await {
                    tracing::warn!(%error, pod = %current.key(), "pod status was not updated");
                }
            }
            this.queue.requeue(queued);
            this.measure();
        });
    }

    /// Removes the victims and promises the room; gives the node's name.
    async fn preempt(&self, pod: &Arc<PodInfo>, profile: &str, plan: Preemption) -> String {
        metrics::PREEMPTION_ATTEMPTS.inc();
        self.cache.lock().nominate(Arc::clone(pod), &plan.node);
        for victim in &plan.victims {
            let pods = Api::<Pod>::namespaced(self.client.clone(), &victim.namespace);
            let patch = pod_status::disrupted(
                &victim.pod,
                &format!("{profile}: preempting to accommodate a higher priority pod"),
            );
            if let Err(error) = pods.patch(&victim.name, &patch, Some("status")).await {
                tracing::warn!(%error, victim = %victim.key(), "victim's condition was not set");
            }
            let options = client::DeleteOptions {
                preconditions: Some(client::Preconditions {
                    uid: Some(victim.uid.to_string()),
                    ..client::Preconditions::default()
                }),
                ..client::DeleteOptions::default()
            };
            match pods.delete(&victim.name, &options).await {
                Ok(()) => {
                    tracing::info!(victim = %victim.key(), pod = %pod.key(), node = %plan.node, "Preempted pod");
                    let text = format!("Preempted by pod {} on node {}", pod.uid, plan.node);
                    self.recorder
                        .for_component(profile)
                        .normal(&reference(&*victim.pod), "Preempted", text);
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => tracing::warn!(%error, victim = %victim.key(), "victim was not deleted"),
            }
        }
        plan.node.to_string()
    }

    fn measure(&self) {
        for (queue, count) in ["active", "backoff", "unschedulable", "gated"]
            .iter()
            .zip(self.queue.counts())
        {
            metrics::PENDING.with_label_values(&[*queue]).set(count as i64);
        }
        let counts = self.cache.lock().sizes();
        for (kind, count) in ["nodes", "pods", "assumed_pods"].iter().zip(counts) {
            metrics::CACHE_SIZE.with_label_values(&[*kind]).set(count as i64);
        }
    }
}

/// Events hold 1024 bytes (upstream `truncateMessage`).
fn truncated(message: &str) -> String {
    const LIMIT: usize = 1024;
    if message.len() <= LIMIT {
        return message.to_owned();
    }
    let mut end = LIMIT - 4;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} ...", &message[..end])
}
