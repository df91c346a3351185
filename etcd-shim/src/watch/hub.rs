//! Hands each durable change to the watchers of its key.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::mailbox::Item;
use super::ring::Ring;
use super::{Event, Mailbox};
use crate::mvcc::{Change, KeyRange};

/// One watch of one stream.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) id: i64,
    pub(crate) range: KeyRange,
    /// Puts are not wanted.
    pub(crate) no_put: bool,
    /// Deletes are not wanted.
    pub(crate) no_delete: bool,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Watcher {
    pub(crate) fn wants(&self, event: &Event) -> bool {
        let filtered = if event.is_delete() { self.no_delete } else { self.no_put };
        !filtered && self.range.contains(&event.change.record.key)
    }
}

/// What came of asking to join.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// From now on events come by mailbox; what was missed lately is in it.
    Yes,
    /// Too far behind: read history first.
    Behind,
}

/// All watchers that are up to date.
#[derive(Debug)]
pub(crate) struct Hub(Mutex<State>);

#[derive(Debug)]
struct State {
    revision: i64,
    ring: Ring,
    keys: HashMap<Bytes, Vec<Member>>,
    ranges: Vec<Member>,
}

// `from`: events of earlier transactions are not for it (a watch of the future).
#[derive(Clone, Debug)]
struct Member {
    watcher: Arc<Watcher>,
    from: i64,
}

impl Hub {
    /// Nobody watches yet; the store is at `revision`.
    pub(crate) fn new(revision: i64) -> Self {
        Self(Mutex::new(State {
            revision,
            ring: Ring::after(revision),
            keys: HashMap::new(),
            ranges: Vec::new(),
        }))
    }

    /// Hands out durable changes, in order. `publish` makes them readable: in the same critical section,
    /// so that whoever read a revision and then asks for progress is told of at least that revision.
    pub(crate) fn publish(&self, changes: Vec<Arc<Change>>, publish: impl FnOnce()) {
        let events: Vec<_> = changes.into_iter().map(Event::new).collect();
        let mut state = self.0.lock();
        publish();
        for transaction in events.chunk_by(|a, b| a.main() == b.main()) {
            state.hand_out(transaction);
        }
    }

    /// Lets `watcher` in, to hear of everything from transaction `from` on, if what it has missed can be
    /// made up from memory.
    pub(crate) fn join(&self, watcher: &Arc<Watcher>, from: i64) -> Joined {
        let mut state = self.0.lock();
        let revision = state.revision;
        let Some(missed) = state.ring.since(from) else {
            return Joined::Behind;
        };
        let missed: Vec<_> = missed.filter(|event| watcher.wants(event)).cloned().collect();
        for transaction in missed.chunk_by(|a, b| a.main() == b.main()) {
            let (id, events) = (watcher.id, transaction.to_vec());
            watcher.mailbox.push(Item::Events { id, events, revision });
        }
        let member = Member {
            watcher: watcher.clone(),
            from,
        };
        match &watcher.range {
            KeyRange::One(key) => state.keys.entry(key.clone()).or_default().push(member),
            KeyRange::Span { .. } => state.ranges.push(member),
        }
        Joined::Yes
    }

    /// Lets `watcher` out; nothing happens if it is not in.
    pub(crate) fn leave(&self, watcher: &Arc<Watcher>) {
        self.0.lock().remove(watcher);
    }

    /// Puts a progress mark behind everything handed to `mailbox` so far.
    pub(crate) fn mark_progress(&self, mailbox: &Mailbox, id: i64) {
        let state = self.0.lock();
        mailbox.push(Item::Progress {
            id,
            revision: state.revision,
        });
    }

    /// The newest revision handed out.
    pub(crate) fn revision(&self) -> i64 {
        self.0.lock().revision
    }

    /// Watchers that are up to date.
    pub(crate) fn len(&self) -> usize {
        let state = self.0.lock();
        state.ranges.len() + state.keys.values().map(Vec::len).sum::<usize>()
    }
}

impl State {
    fn hand_out(&mut self, transaction: &[Arc<Event>]) {
        let Some(main) = transaction.first().map(|event| event.main()) else {
            return;
        };
        self.revision = main;
        let mut lagging = Vec::new();
        let mut deliver = |member: &Member, events: Vec<Arc<Event>>| {
            let watcher = &member.watcher;
            if member.from <= main && !events.is_empty() && !watcher.mailbox.offer(watcher.id, events, main) {
                lagging.push(watcher.clone());
            }
        };
        for member in &self.ranges {
            let wanted = transaction
                .iter()
                .filter(|event| member.watcher.wants(event))
                .cloned()
                .collect();
            deliver(member, wanted);
        }
        for event in transaction {
            // A key changes at most once in a transaction: this is all its watchers get of it.
            for member in self.keys.get(&event.change.record.key).into_iter().flatten() {
                if member.watcher.wants(event) {
                    deliver(member, vec![event.clone()]);
                }
            }
        }
        for watcher in lagging {
            self.remove(&watcher);
            watcher.mailbox.push(Item::Lagging {
                id: watcher.id,
                from: main,
            });
        }
        for event in transaction {
            self.ring.push(event.clone());
        }
    }

    fn remove(&mut self, watcher: &Arc<Watcher>) {
        let other = |member: &Member| !Arc::ptr_eq(&member.watcher, watcher);
        match &watcher.range {
            KeyRange::One(key) => {
                if let Some(members) = self.keys.get_mut(key) {
                    members.retain(other);
                    if members.is_empty() {
                        self.keys.remove(key);
                    }
                }
            }
            KeyRange::Span { .. } => self.ranges.retain(other),
        }
    }
}
