//! The pods that wait for a node.
//!
//! Three places: *active* (to be tried now, most important first), *backing off* (to be tried soon)
//! and *unschedulable* (to be tried when something changes). An [`Event`] moves pods out of the last
//! when a plugin that refused them says it may help. A pod whose cycle runs is *in flight*: events
//! that come meanwhile are kept for it, so none is lost.
//!
//! [`state`] decides, without clock or lock; this module lends it both.

pub(crate) mod state;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::framework::event::{Event, Hint};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Status;
use crate::metrics;
use state::State;

#[cfg(test)]
mod tests;

/// What the queue asks the profiles.
pub(crate) trait Policy: Send + Sync {
    /// PreEnqueue: may the pod be tried at all?
    fn gate(&self, pod: &PodInfo) -> Result<(), Status>;
    /// May this event help a pod refused by these plugins?
    fn hint(&self, refused_by: &BTreeSet<&'static str>, pod: &PodInfo, event: &Event) -> Hint;
}

/// How long pods wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// After the first failure.
    pub(crate) initial_backoff: Duration,
    /// At most.
    pub(crate) max_backoff: Duration,
    /// After so long in the unschedulable place a pod is tried without any event.
    pub(crate) max_unschedulable: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(10),
            max_unschedulable: Duration::from_secs(300),
        }
    }
}

/// A pod with its history.
#[derive(Clone, Debug)]
pub(crate) struct QueuedPod {
    pub(crate) pod: Arc<PodInfo>,
    /// Cycles begun.
    pub(crate) attempts: u32,
    /// Cycles failed in a row; what the back-off grows with.
    pub(crate) failures: u32,
    /// When the first cycle began.
    pub(crate) first_attempt: Option<Instant>,
    /// When it came to its place.
    pub(crate) since: Instant,
    /// Who refused it last.
    pub(crate) refused_by: BTreeSet<&'static str>,
}

impl QueuedPod {
    fn new(pod: Arc<PodInfo>, now: Instant) -> Self {
        Self {
            pod,
            attempts: 0,
            failures: 0,
            first_attempt: None,
            since: now,
            refused_by: BTreeSet::new(),
        }
    }
}

/// The queue as the scheduler shares it.
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

impl Queue {
    pub(crate) fn new(policy: Arc<dyn Policy>, times: Times) -> Self {
        Self {
            state: Mutex::new(State::new(policy, times)),
            changed: Notify::new(),
        }
    }

    /// Waits for the next pod to try. It is in flight until [`Queue::done`] or [`Queue::requeue`].
    pub(crate) async fn pop(&self) -> QueuedPod {
        loop {
            let deadline = {
                let mut state = self.state.lock();
                let now = Instant::now();
                state.flush(now);
                if let Some(pod) = state.pop(now) {
                    return pod;
                }
                state.next_deadline()
            };
            match deadline {
                Some(at) => {
                    tokio::select! {
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep_until(at.into()) => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    pub(crate) fn add(&self, pod: Arc<PodInfo>) {
        self.change(|state, now| state.add(pod, now));
    }

    pub(crate) fn update(&self, old: Arc<PodInfo>, new: Arc<PodInfo>) {
        self.change(|state, now| state.update(old, new, now));
    }

    pub(crate) fn delete(&self, uid: &str) {
        self.state.lock().delete(uid);
    }

    /// A cycle failed: the pod waits where its refusals put it.
    pub(crate) fn requeue(&self, pod: QueuedPod) {
        self.change(|state, now| state.requeue(pod, now));
    }

    /// A cycle is over for good, or no refusal can come any more.
    pub(crate) fn done(&self, uid: &str) {
        self.state.lock().done(uid);
    }

    /// Something happened.
    pub(crate) fn event(&self, event: &Event) {
        let moved = self.change(|state, now| state.event(event, now));
        metrics::INCOMING
            .with_label_values(&["active", event.label()])
            .inc_by(moved as u64);
    }

    /// Pods by place: active, backing off, unschedulable, gated.
    pub(crate) fn counts(&self) -> [usize; 4] {
        self.state.lock().counts()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State, Instant) -> T) -> T {
        let outcome = change(&mut self.state.lock(), Instant::now());
        self.changed.notify_one();
        outcome
    }
}
