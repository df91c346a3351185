//! What waits to be sent on one watch stream.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Event;

/// Events of one stream that may wait; beyond it a watcher must catch up from history instead.
const MAX_ITEMS: usize = 4096;
/// Bytes of one stream that may wait; shared with all other streams that got the same events.
const MAX_WEIGHT: usize = 8 << 20;

/// One thing to send, in order.
#[derive(Debug)]
pub(crate) enum Item {
    /// All events of one revision for watch `id`; `revision` is the store's when they were handed out.
    Events {
        id: i64,
        events: Vec<Arc<Event>>,
        revision: i64,
    },
    /// Watch `id` fell behind: from this revision on it must read history.
    Lagging { id: i64, from: i64 },
    /// Everything up to `revision` is in front of this; for watch `id`, or all of the stream if -1.
    Progress { id: i64, revision: i64 },
}

/// Filled by the hub, emptied by one stream.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    weight: usize,
}

impl Mailbox {
    /// Adds events unless the mailbox is full.
    pub(super) fn offer(&self, id: i64, events: Vec<Arc<Event>>, revision: i64) -> bool {
        let weight: usize = events.iter().map(|event| event.weight()).sum();
        let mut state = self.state.lock();
        // One item always fits, however large.
        if !state.items.is_empty() && (state.items.len() >= MAX_ITEMS || state.weight + weight > MAX_WEIGHT) {
            return false;
        }
        state.weight += weight;
        state.items.push_back(Item::Events { id, events, revision });
        drop(state);
        self.arrived.notify_one();
        true
    }

    /// Adds what must not be lost.
    pub(super) fn push(&self, item: Item) {
        self.state.lock().items.push_back(item);
        self.arrived.notify_one();
    }

    /// Everything there is.
    pub(crate) fn take(&self) -> VecDeque<Item> {
        let mut state = self.state.lock();
        state.weight = 0;
        std::mem::take(&mut state.items)
    }

    /// Waits until something may have arrived.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}
