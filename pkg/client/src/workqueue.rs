//! The work queue between watches and workers. Upstream: client-go `util/workqueue`.
//!
//! - Fair: items are handed out in the order they were added.
//! - Stingy: an item is handed out once however often it was added before.
//! - Exclusive: one worker at a time has an item; an item added while being worked on is handed out again after
//!   [`WorkQueue::done`].
//! - Delays: [`WorkQueue::add_after`] and, with per-item exponential back-off, [`WorkQueue::add_rate_limited`].
//! - Shutdown: [`WorkQueue::shut_down`] refuses new items and lets workers finish.

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::metrics::{self, QueuePhase};
use crate::rate_limit::TokenBucket;

/// How long failing items wait.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first failure; doubled each time.
    pub base: Duration,
    /// At most.
    pub max: Duration,
    /// Of all items together: this many retries per second on average (0: no limit) ...
    pub per_second: f64,
    /// ... and this many at once.
    pub burst: u32,
}

impl Default for Backoff {
    /// Upstream: `DefaultTypedControllerRateLimiter`.
    fn default() -> Self {
        Backoff {
            base: Duration::from_millis(5),
            max: Duration::from_secs(1000),
            per_second: 10.0,
            burst: 100,
        }
    }
}

struct Delayed<T> {
    at: Instant,
    order: u64,
    item: T,
}

impl<T> PartialEq for Delayed<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl<T> Eq for Delayed<T> {}
impl<T> PartialOrd for Delayed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Delayed<T> {
    /// Reversed: the heap's greatest is the earliest.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

struct State<T> {
    ready: VecDeque<(T, Instant)>,
    /// Everything that needs work: what is ready, and what was added while being worked on.
    dirty: HashSet<T>,
    /// What workers have, and since when.
    processing: HashMap<T, Instant>,
    delayed: BinaryHeap<Delayed<T>>,
    /// When each delayed item is due; entries of the heap that disagree are stale.
    due: HashMap<T, Instant>,
    failures: HashMap<T, u32>,
    order: u64,
    shutting_down: bool,
    stats: Stats,
}

/// Counters of a queue, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Items ready to be handed out.
    pub depth: usize,
    /// Items being worked on.
    pub processing: usize,
    /// Items handed to `add` so far and not dropped as duplicates.
    pub adds: u64,
    /// Calls of `add_rate_limited` so far.
    pub retries: u64,
}

/// The named queues of the process.
static QUEUES: Mutex<Vec<Weak<dyn Counted>>> = Mutex::new(Vec::new());

/// A queue, whatever its items.
trait Counted: Send + Sync {
    fn counted(&self) -> (String, Stats);
}

impl<T: Clone + Eq + Hash + Send + 'static> Counted for Shared<T> {
    fn counted(&self) -> (String, Stats) {
        (self.name.clone(), self.stats())
    }
}

/// Name and counters of every named queue of the process that is still in use.
pub fn all_stats() -> Vec<(String, Stats)> {
    let mut queues = QUEUES.lock();
    queues.retain(|queue| queue.strong_count() > 0);
    queues
        .iter()
        .filter_map(|queue| Some(queue.upgrade()?.counted()))
        .collect()
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Notify,
    backoff: Backoff,
    bucket: Option<TokenBucket>,
    name: String,
}

/// A work queue. Clones are the same queue.
pub struct WorkQueue<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for WorkQueue<T> {
    fn clone(&self) -> Self {
        WorkQueue {
            shared: self.shared.clone(),
        }
    }
}

impl<T> std::fmt::Debug for WorkQueue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkQueue")
            .field("name", &self.shared.name)
            .finish_non_exhaustive()
    }
}

impl<T: Clone + Eq + Hash + Send + 'static> Default for WorkQueue<T> {
    fn default() -> Self {
        WorkQueue::new("")
    }
}

impl<T: Clone + Eq + Hash + Send + 'static> WorkQueue<T> {
    /// A queue with upstream's default back-off. The name is for logs and metrics.
    pub fn new(name: &str) -> Self {
        Self::with_backoff(name, Backoff::default())
    }

    /// A queue with a back-off of its own.
    pub fn with_backoff(name: &str, backoff: Backoff) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            processing: HashMap::new(),
            delayed: BinaryHeap::new(),
            due: HashMap::new(),
            failures: HashMap::new(),
            order: 0,
            shutting_down: false,
            stats: Stats::default(),
        };
        let bucket = (backoff.per_second > 0.0).then(|| TokenBucket::new(backoff.per_second, backoff.burst));
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Notify::new(),
            backoff,
            bucket,
            name: name.to_owned(),
        });
        if !name.is_empty() {
            let counted: Arc<dyn Counted> = shared.clone();
            QUEUES.lock().push(Arc::downgrade(&counted));
        }
        WorkQueue { shared }
    }

    /// The name given.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Adds an item to be handed out now.
    pub fn add(&self, item: T) {
        let mut state = self.shared.state.lock();
        if state.add(item) {
            drop(state);
            self.shared.changed.notify_one();
        }
    }

    /// Adds an item to be handed out after a delay. Of several delays the earliest counts.
    pub fn add_after(&self, item: T, delay: Duration) {
        if delay.is_zero() {
            return self.add(item);
        }
        let at = Instant::now() + delay;
        let mut state = self.shared.state.lock();
        if state.shutting_down || state.due.get(&item).is_some_and(|due| *due <= at) {
            return;
        }
        state.order += 1;
        let order = state.order;
        state.due.insert(item.clone(), at);
        state.delayed.push(Delayed { at, order, item });
        drop(state);
        // Somebody must wait for the new, possibly earlier, time.
        self.shared.changed.notify_one();
    }

    /// Adds an item after its back-off, which grows until [`WorkQueue::forget`].
    pub fn add_rate_limited(&self, item: T) {
        let wait = {
            let mut state = self.shared.state.lock();
            state.stats.retries += 1;
            let failures = state.failures.entry(item.clone()).or_insert(0);
            let exponent = (*failures).min(40);
            *failures += 1;
            let base = self.shared.backoff.base.as_secs_f64() * 2_f64.powi(i32::try_from(exponent).unwrap_or(40));
            Duration::from_secs_f64(base.min(self.shared.backoff.max.as_secs_f64()))
        };
        let bucket = self.shared.bucket.as_ref().map_or(Duration::ZERO, TokenBucket::reserve);
        self.add_after(item, wait.max(bucket));
    }

    /// The item did well: its back-off starts anew.
    pub fn forget(&self, item: &T) {
        self.shared.state.lock().failures.remove(item);
    }

    /// How often the item failed since it was last forgotten.
    pub fn num_requeues(&self, item: &T) -> u32 {
        self.shared.state.lock().failures.get(item).copied().unwrap_or(0)
    }

    /// The next item, or `None` after [`WorkQueue::shut_down`] when nothing is left. Call [`WorkQueue::done`]
    /// when finished with it.
    pub async fn get(&self) -> Option<T> {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let next_due = {
                let mut state = self.shared.state.lock();
                let promoted = state.promote(Instant::now());
                if let Some((item, waited)) = state.take() {
                    let more = !state.ready.is_empty();
                    drop(state);
                    metrics::queue(&self.shared.name, QueuePhase::Waiting, waited);
                    if promoted > 1 || more {
                        self.shared.changed.notify_one();
                    }
                    return Some(item);
                }
                if state.shutting_down {
                    return None;
                }
                state.delayed.peek().map(|d| d.at)
            };
            match next_due {
                Some(at) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    /// The worker is finished with the item.
    pub fn done(&self, item: &T) {
        let mut state = self.shared.state.lock();
        let since = state.processing.remove(item);
        let again = state.dirty.contains(item);
        if again {
            state.ready.push_back((item.clone(), Instant::now()));
        }
        drop(state);
        if again {
            self.shared.changed.notify_one();
        }
        if let Some(since) = since {
            metrics::queue(&self.shared.name, QueuePhase::Working, since.elapsed());
        }
    }

    /// Refuses new items; items there are still handed out, then workers get `None`.
    pub fn shut_down(&self) {
        let mut state = self.shared.state.lock();
        state.shutting_down = true;
        state.delayed.clear();
        state.due.clear();
        drop(state);
        self.shared.changed.notify_waiters();
        self.shared.changed.notify_one();
    }

    /// Items ready to be handed out.
    pub fn len(&self) -> usize {
        self.shared.state.lock().ready.len()
    }

    /// Nothing is ready to be handed out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The counters now.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl<T> Shared<T> {
    fn stats(&self) -> Stats {
        let state = self.state.lock();
        Stats {
            depth: state.ready.len(),
            processing: state.processing.len(),
            ..state.stats
        }
    }
}

impl<T: Clone + Eq + Hash> State<T> {
    /// True when the item became ready.
    fn add(&mut self, item: T) -> bool {
        if self.shutting_down || !self.dirty.insert(item.clone()) {
            return false;
        }
        self.stats.adds += 1;
        if self.processing.contains_key(&item) {
            return false;
        }
        self.ready.push_back((item, Instant::now()));
        true
    }

    /// Moves what is due to what is ready.
    fn promote(&mut self, now: Instant) -> usize {
        let mut promoted = 0;
        while self.delayed.peek().is_some_and(|d| d.at <= now) {
            let Some(delayed) = self.delayed.pop() else { break };
            if self.due.get(&delayed.item) == Some(&delayed.at) {
                self.due.remove(&delayed.item);
                promoted += usize::from(self.add(delayed.item));
            }
        }
        promoted
    }

    /// The next item and how long it waited.
    fn take(&mut self) -> Option<(T, Duration)> {
        let (item, since) = self.ready.pop_front()?;
        self.dirty.remove(&item);
        let now = Instant::now();
        self.processing.insert(item.clone(), now);
        Some((item, now.duration_since(since)))
    }
}

#[cfg(test)]
mod tests;
