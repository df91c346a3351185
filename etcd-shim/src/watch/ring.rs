//! The newest changes, kept so that a watcher that is only a little behind needs no disk.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Event;

/// Bytes kept, about.
const MAX_WEIGHT: usize = 8 << 20;

/// Events of the last transactions, oldest first.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    weight: usize,
    floor: i64,
}

impl Ring {
    /// Empty: nothing up to and including `revision` is here.
    pub(super) fn after(revision: i64) -> Self {
        Self {
            events: VecDeque::new(),
            weight: 0,
            floor: revision + 1,
        }
    }

    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.weight += event.weight();
        self.events.push_back(event);
        while self.weight > MAX_WEIGHT {
            let Some(oldest) = self.events.pop_front() else { break };
            self.weight -= oldest.weight();
            // The rest of its transaction may still be here, but no longer counts as covered.
            self.floor = oldest.main() + 1;
        }
    }

    /// All events from transaction `from` on, if all of them are here.
    pub(super) fn since(&self, from: i64) -> Option<impl Iterator<Item = &Arc<Event>>> {
        if from < self.floor {
            return None;
        }
        let start = self.events.partition_point(|event| event.main() < from);
        Some(self.events.range(start..))
    }
}
