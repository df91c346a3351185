#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::State;
use super::{Policy, QueuedPod, Times};
use crate::framework::event::{Event, Hint};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Status;
use crate::testing::pod;

/// Pods named `gated*` are gated; PodDeleted helps what "F" refused.
struct Fake;

impl Policy for Fake {
    fn gate(&self, pod: &PodInfo) -> Result<(), Status> {
        let gates = pod
            .spec()
            .scheduling_gates
            .as_ref()
            .is_some_and(|gates| !gates.is_empty());
        if gates {
            Err(Status::unresolvable("Gate", "gated"))
        } else {
            Ok(())
        }
    }

    fn hint(&self, refused_by: &BTreeSet<&'static str>, pod: &PodInfo, event: &Event) -> Hint {
        Hint::queue_if(match event {
            Event::PodDeleted(_) => refused_by.contains("F"),
            Event::SelfUpdated { new, .. } => new.uid == pod.uid && self.gate(new).is_ok(),
            _ => false,
        })
    }
}

fn state() -> (State, Instant) {
    (State::new(Arc::new(Fake), Times::default()), Instant::now())
}

fn refused(mut queued: QueuedPod) -> QueuedPod {
    queued.refused_by = BTreeSet::from(["F"]);
    queued
}

fn after(now: Instant, seconds: u64) -> Instant {
    now + Duration::from_secs(seconds)
}

#[test]
fn the_most_important_pod_comes_first_then_the_longest_waiting() {
    let (mut state, now) = state();
    state.add(pod("late").info(), after(now, 1));
    state.add(pod("early").info(), now);
    state.add(pod("important").priority(10).info(), after(now, 2));
    let order: Vec<_> = std::iter::from_fn(|| state.pop(now))
        .map(|queued| queued.pod.name.to_string())
        .collect();
    assert_eq!(order, ["important", "early", "late"]);
}

#[test]
fn a_refused_pod_waits_for_a_helpful_event_and_its_backoff() {
    let (mut state, now) = state();
    state.add(pod("p").info(), now);
    let queued = state.pop(now).unwrap();
    state.requeue(refused(queued), now);
    state.event(&Event::PodAssigned(pod("x").info()), now);
    assert_eq!(state.counts(), [0, 0, 1, 0]);
    state.event(&Event::PodDeleted(pod("x").info()), now);
    assert_eq!(state.counts(), [0, 1, 0, 0]);
    assert_eq!(state.next_deadline(), Some(after(now, 1)));
    state.flush(after(now, 1));
    assert_eq!(state.pop(after(now, 1)).unwrap().attempts, 2);
}

#[test]
fn backoff_doubles_up_to_its_limit() {
    let (mut state, mut now) = state();
    state.add(pod("p").info(), now);
    for expected in [1, 2, 4, 8, 10, 10] {
        let queued = state.pop(now).unwrap();
        state.requeue(refused(queued), now);
        state.event(&Event::PodDeleted(pod("x").info()), now);
        assert_eq!(state.next_deadline(), Some(after(now, expected)));
        now = after(now, expected);
        state.flush(now);
    }
}

#[test]
fn an_event_during_the_cycle_is_not_lost() {
    let (mut state, now) = state();
    state.add(pod("p").info(), now);
    let queued = state.pop(now).unwrap();
    state.event(&Event::PodDeleted(pod("x").info()), now);
    state.requeue(refused(queued), now);
    assert_eq!(state.counts(), [0, 1, 0, 0]);
}

#[test]
fn an_error_retries_without_an_event() {
    let (mut state, now) = state();
    state.add(pod("p").info(), now);
    let queued = state.pop(now).unwrap();
    state.requeue(queued, now);
    assert_eq!(state.counts(), [0, 1, 0, 0]);
}

#[test]
fn what_happens_to_a_pod_in_its_cycle_counts_afterwards() {
    let (mut state, now) = state();
    state.add(pod("p").info(), now);
    state.add(pod("gone").info(), after(now, 1));
    let (p, gone) = (state.pop(now).unwrap(), state.pop(now).unwrap());
    state.update(pod("p").info(), pod("p").priority(7).info(), now);
    state.delete("gone");
    state.requeue(p, now);
    state.requeue(refused(gone), now);
    assert_eq!(state.counts(), [0, 1, 0, 0]);
    state.flush(after(now, 1));
    assert_eq!(state.pop(after(now, 1)).unwrap().pod.priority, 7);
}

#[test]
fn a_gated_pod_waits_until_its_gates_are_gone() {
    let gate = |name: &str| {
        pod("p")
            .spec(|spec| {
                spec.scheduling_gates = Some(vec![k8s_openapi::api::core::v1::PodSchedulingGate {
                    name: name.to_owned(),
                }]);
            })
            .info()
    };
    let (mut state, now) = state();
    state.add(gate("g"), now);
    assert_eq!(state.counts(), [0, 0, 0, 1]);
    state.flush(after(now, 3600));
    assert_eq!(state.counts(), [0, 0, 0, 1], "time alone does not open a gate");
    state.update(gate("g"), pod("p").info(), now);
    assert_eq!(state.counts(), [1, 0, 0, 0]);
}

#[test]
fn a_pod_nobody_helps_is_tried_again_after_five_minutes() {
    let (mut state, now) = state();
    state.add(pod("p").info(), now);
    let queued = state.pop(now).unwrap();
    state.requeue(refused(queued), now);
    assert_eq!(state.next_deadline(), Some(after(now, 300)));
    state.flush(after(now, 300));
    assert_eq!(state.counts(), [1, 0, 0, 0]);
}
