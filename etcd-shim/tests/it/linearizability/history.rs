//! What clients asked, what they were told, and when.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// All keys, or some.
pub(crate) type State = BTreeMap<u8, Pair>;

/// A key as a client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) value: u64,
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) version: i64,
}

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Put {
        key: u8,
        value: u64,
    },
    Delete {
        key: u8,
    },
    /// Puts if the key's revision is `expected` (0: there is none), and reads it otherwise.
    Update {
        key: u8,
        expected: i64,
        value: u64,
    },
    Get {
        key: u8,
    },
    /// All keys as of a revision; 0: now.
    All {
        at: i64,
    },
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The store's.
    pub(crate) revision: i64,
    /// Whether it changed something.
    pub(crate) wrote: bool,
    /// Of a write what was there before, of anything else what is there.
    pub(crate) found: State,
}

/// One call. Times count events: the order is what matters.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) action: Action,
    pub(crate) start: u64,
    /// When the answer was there; of a call without, when the server was gone for sure.
    pub(crate) end: u64,
    /// `None`: it may have been done or not.
    pub(crate) answer: Option<Answer>,
}

/// Writes a history down.
#[derive(Default)]
pub(crate) struct Recorder {
    clock: AtomicU64,
    values: AtomicU64,
    answered: AtomicU64,
    more: Notify,
    calls: Mutex<Vec<Call>>,
}

impl Recorder {
    /// Now; every call is later than the one before.
    pub(crate) fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// A value nobody else has.
    pub(crate) fn value(&self) -> u64 {
        self.values.fetch_add(1, Ordering::Relaxed)
    }

    /// A call that began at `start` was answered.
    pub(crate) fn answered(&self, action: Action, start: u64, answer: Answer) {
        let end = self.now();
        self.push(Call {
            action,
            start,
            end,
            answer: Some(answer),
        });
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.more.notify_waiters();
    }

    /// A call that began at `start` ended without an answer.
    pub(crate) fn failed(&self, action: Action, start: u64) {
        if !matches!(action, Action::Get { .. } | Action::All { .. }) {
            self.push(Call {
                action,
                start,
                end: u64::MAX,
                answer: None,
            });
        }
    }

    /// The server is gone: nothing asked of it will be done any more.
    pub(crate) fn gone(&self) {
        let now = self.now();
        let mut calls = self.calls.lock().unwrap();
        let open = calls.iter_mut().filter(|call| call.end == u64::MAX);
        open.for_each(|call| call.end = now);
    }

    /// Waits for this many answers more.
    pub(crate) async fn wait_for(&self, answers: u64) {
        let wanted = self.answered.load(Ordering::Relaxed) + answers;
        loop {
            let more = self.more.notified();
            if self.answered.load(Ordering::Relaxed) >= wanted {
                return;
            }
            more.await;
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    fn push(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }
}
