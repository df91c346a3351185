//! The queue's decisions: no clock, no lock, no waiting (upstream `backend/queue`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Policy, QueuedPod, Times};
use crate::framework::event::{Event, Hint};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Code;

/// Most important first, then longest waiting, then first come (PrioritySort).
type ActiveKey = (Reverse<i32>, Instant, u64);
/// When it is due, or since when it waits.
type TimeKey = (Instant, u64);

#[derive(Clone, Copy)]
enum Place {
    Active(ActiveKey),
    Backoff(TimeKey),
    Unschedulable(TimeKey),
    Gated,
}

struct Entry {
    queued: QueuedPod,
    place: Place,
}

/// A pod whose cycle runs.
struct Flight {
    /// The number of the first event that came after it took off.
    from: u64,
    /// Its newest version, when it changed meanwhile.
    latest: Option<Arc<PodInfo>>,
    deleted: bool,
}

pub(crate) struct State {
    policy: Arc<dyn Policy>,
    times: Times,
    active: BTreeMap<ActiveKey, Arc<str>>,
    backoff: BTreeMap<TimeKey, Arc<str>>,
    /// Longest waiting first.
    unschedulable: BTreeMap<TimeKey, Arc<str>>,
    gated: BTreeSet<Arc<str>>,
    pods: HashMap<Arc<str>, Entry>,
    in_flight: HashMap<Arc<str>, Flight>,
    /// Events since the oldest flight began; the first has the number `first_event`.
    events: VecDeque<Event>,
    first_event: u64,
    sequence: u64,
}

impl State {
    pub(crate) fn new(policy: Arc<dyn Policy>, times: Times) -> Self {
        Self {
            policy,
            times,
            active: BTreeMap::new(),
            backoff: BTreeMap::new(),
            unschedulable: BTreeMap::new(),
            gated: BTreeSet::new(),
            pods: HashMap::new(),
            in_flight: HashMap::new(),
            events: VecDeque::new(),
            first_event: 0,
            sequence: 0,
        }
    }

    pub(crate) fn add(&mut self, pod: Arc<PodInfo>, now: Instant) {
        if self.in_flight.contains_key(&pod.uid) {
            return;
        }
        self.take(&pod.uid.clone());
        self.activate(QueuedPod::new(pod, now), now);
    }

    pub(crate) fn update(&mut self, old: Arc<PodInfo>, new: Arc<PodInfo>, now: Instant) {
        let uid = Arc::clone(&new.uid);
        if let Some(flight) = self.in_flight.get_mut(&uid) {
            flight.latest = Some(Arc::clone(&new));
            self.events.push_back(Event::SelfUpdated { old, new });
            return;
        }
        let Some(entry) = self.pods.get_mut(&uid) else {
            self.add(new, now);
            return;
        };
        entry.queued.pod = Arc::clone(&new);
        if !matches!(entry.place, Place::Unschedulable(_) | Place::Gated) {
            return;
        }
        let refused_by = entry.queued.refused_by.clone();
        let event = Event::SelfUpdated {
            old,
            new: Arc::clone(&new),
        };
        if self.policy.hint(&refused_by, &new, &event) == Hint::Queue {
            let queued = self.take(&uid).expect("the entry is there");
            self.move_on(queued, now);
        }
    }

    pub(crate) fn delete(&mut self, uid: &str) {
        self.take(uid);
        if let Some(flight) = self.in_flight.get_mut(uid) {
            flight.deleted = true;
        }
    }

    pub(crate) fn pop(&mut self, now: Instant) -> Option<QueuedPod> {
        let (_, uid) = self.active.pop_first()?;
        let mut queued = self.pods.remove(&uid).expect("every active key has an entry").queued;
        queued.attempts += 1;
        queued.first_attempt.get_or_insert(now);
        queued.refused_by.clear();
        let from = self.first_event + self.events.len() as u64;
        self.in_flight.insert(
            uid,
            Flight {
                from,
                latest: None,
                deleted: false,
            },
        );
        Some(queued)
    }

    pub(crate) fn requeue(&mut self, mut queued: QueuedPod, now: Instant) {
        let uid = Arc::clone(&queued.pod.uid);
        let missed = match self.in_flight.get_mut(&uid) {
            Some(flight) if flight.deleted => {
                self.done(&uid);
                return;
            }
            Some(flight) => {
                if let Some(latest) = flight.latest.take() {
                    queued.pod = latest;
                }
                (flight.from - self.first_event) as usize
            }
            // The binding cycle lets go of the events early; nothing was missed then.
            None => self.events.len(),
        };
        queued.since = now;
        queued.failures += 1;
        if queued.refused_by.is_empty() {
            // An error, no refusal: no event would bring it back.
            self.done(&uid);
            self.wait_backoff(queued, now);
            return;
        }
        let mut came = self.events.iter().skip(missed);
        let helped = came.any(|event| self.policy.hint(&queued.refused_by, &queued.pod, event) == Hint::Queue);
        self.done(&uid);
        if helped {
            self.move_on(queued, now);
        } else {
            let key = (now, self.next());
            self.unschedulable.insert(key, uid);
            self.put(queued, Place::Unschedulable(key));
        }
    }

    pub(crate) fn done(&mut self, uid: &str) {
        self.in_flight.remove(uid);
        let end = self.first_event + self.events.len() as u64;
        let oldest = self.in_flight.values().map(|flight| flight.from).min().unwrap_or(end);
        self.events.drain(..(oldest - self.first_event) as usize);
        self.first_event = oldest;
    }

    /// Moves the pods this event may help; gives their number.
    pub(crate) fn event(&mut self, event: &Event, now: Instant) -> usize {
        if !self.in_flight.is_empty() {
            self.events.push_back(event.clone());
        }
        let mut helped = Vec::new();
        for uid in self.unschedulable.values().chain(&self.gated) {
            let queued = &self.pods[uid].queued;
            if self.policy.hint(&queued.refused_by, &queued.pod, event) == Hint::Queue {
                helped.push(Arc::clone(uid));
            }
        }
        let count = helped.len();
        for uid in helped {
            let queued = self.take(&uid).expect("it was just seen");
            self.move_on(queued, now);
        }
        count
    }

    /// Moves on what has waited long enough.
    pub(crate) fn flush(&mut self, now: Instant) {
        while let Some(entry) = self.backoff.first_entry().filter(|entry| entry.key().0 <= now) {
            let uid = Arc::clone(entry.get());
            let queued = self.take(&uid).expect("every back-off key has an entry");
            self.activate(queued, now);
        }
        while let Some((key, uid)) = self.unschedulable.first_key_value() {
            if now.duration_since(key.0) < self.times.max_unschedulable {
                break;
            }
            let uid = Arc::clone(uid);
            let queued = self.take(&uid).expect("every key has an entry");
            self.move_on(queued, now);
        }
    }

    /// When [`State::flush`] has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let backoff = self.backoff.first_key_value().map(|((due, _), _)| *due);
        let stale = self
            .unschedulable
            .first_key_value()
            .map(|((since, _), _)| *since + self.times.max_unschedulable);
        backoff.into_iter().chain(stale).min()
    }

    pub(crate) fn counts(&self) -> [usize; 4] {
        [
            self.active.len(),
            self.backoff.len(),
            self.unschedulable.len(),
            self.gated.len(),
        ]
    }

    /// To the back-off place, or to the active one when the back-off is over already.
    fn move_on(&mut self, queued: QueuedPod, now: Instant) {
        if queued.failures > 0 && self.due(&queued) > now {
            self.wait_backoff(queued, now);
        } else {
            self.activate(queued, now);
        }
    }

    fn wait_backoff(&mut self, queued: QueuedPod, now: Instant) {
        let due = self.due(&queued).max(now);
        let key = (due, self.next());
        self.backoff.insert(key, Arc::clone(&queued.pod.uid));
        self.put(queued, Place::Backoff(key));
    }

    /// To the active place, unless a gate holds it.
    fn activate(&mut self, mut queued: QueuedPod, now: Instant) {
        if let Err(status) = self.policy.gate(&queued.pod) {
            if status.code != Code::Error {
                queued.refused_by = BTreeSet::from([status.plugin]);
            }
            self.gated.insert(Arc::clone(&queued.pod.uid));
            self.put(queued, Place::Gated);
            return;
        }
        queued.since = now;
        let key = (Reverse(queued.pod.priority), now, self.next());
        self.active.insert(key, Arc::clone(&queued.pod.uid));
        self.put(queued, Place::Active(key));
    }

    /// Doubles with every failure in a row (upstream `calculateBackoffDuration`).
    fn due(&self, queued: &QueuedPod) -> Instant {
        let doubling = 1u32.checked_shl(queued.failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let wait = self
            .times
            .initial_backoff
            .checked_mul(doubling)
            .unwrap_or(Duration::MAX);
        queued.since + wait.min(self.times.max_backoff)
    }

    fn put(&mut self, queued: QueuedPod, place: Place) {
        self.pods.insert(Arc::clone(&queued.pod.uid), Entry { queued, place });
    }

    fn take(&mut self, uid: &str) -> Option<QueuedPod> {
        let entry = self.pods.remove(uid)?;
        match entry.place {
            Place::Active(key) => drop(self.active.remove(&key)),
            Place::Backoff(key) => drop(self.backoff.remove(&key)),
            Place::Unschedulable(key) => drop(self.unschedulable.remove(&key)),
            Place::Gated => drop(self.gated.remove(uid)),
        }
        Some(entry.queued)
    }

    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}
