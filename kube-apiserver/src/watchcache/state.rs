//! The copy: an ordered map, recent events, and who listens. No I/O.

use std::collections::{HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::listeners::{self, Listener, Listeners};
use crate::storage::{Event, KeyValue, ListPage, ListRequest, Memo, Wanted, WatchItem, WatchStream, prefix_end};

/// Events kept for watches that start in the past, by number and by bytes.
const RING_EVENTS: usize = 20_000;
const RING_BYTES: usize = 16 << 20;
/// Moments kept for lists that are read page by page.
const MOMENTS: usize = 32;
/// Events a watcher may lag behind before it is cut off: it resumes from its last revision.
const LAG: usize = 1024;

/// All keys at one moment; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Snapshot {
    revision: i64,
    keys: OrdMap<Arc<str>, Arc<KeyValue>>,
}

impl Snapshot {
    /// One pair, and the moment it shows.
    pub(super) fn one(&self, key: &str) -> (Option<Arc<KeyValue>>, i64) {
        (self.keys.get(key).cloned(), self.revision)
    }

    /// The page a request asks for.
    pub(super) fn page(&self, req: &ListRequest) -> ListPage {
        let start = if req.start.is_empty() { &req.prefix } else { &req.start };
        let mut page = ListPage {
            revision: self.revision,
            ..Default::default()
        };
        let end = prefix_end(&req.prefix);
        let until = match std::str::from_utf8(&end) {
            Ok(end) if end != "\0" => Bound::Excluded(end),
            _ => Bound::Unbounded,
        };
        for kv in self
            .keys
            .range::<_, str>((Bound::Included(&start[..]), until))
            .map(|(_, kv)| kv)
        {
            if until == Bound::Unbounded && !kv.key.starts_with(&req.prefix) {
                break;
            }
            page.count += 1;
            if req.limit == 0 || page.items.len() < req.limit {
                page.items.push(kv.clone());
            } else {
                page.more = true;
            }
        }
        page
    }
}

/// The copy and its listeners.
#[derive(Default)]
pub(super) struct State {
    filled: bool,
    now: Snapshot,
    /// How many keys there are now below `/registry/pods`, and below `/registry/pods/ns` or `/registry/services/specs`.
    counts: HashMap<String, i64>,
    /// All events after this revision are in `ring`.
    oldest: i64,
    ring: VecDeque<Event>,
    ring_bytes: usize,
    moments: VecDeque<Snapshot>,
    listeners: Listeners,
}

/// The folders of a key that are counted: those of two segments and of three.
fn counted(key: &str) -> impl Iterator<Item = &str> {
    key.match_indices('/').skip(2).take(2).map(|(i, _)| &key[..i])
}

/// A copy in memory of its own. What comes from the store is a part of a whole answer, which lives as long as any of its
/// parts.
fn apart(kv: &KeyValue) -> KeyValue {
    KeyValue {
        value: Bytes::copy_from_slice(&kv.value),
        ..kv.clone()
    }
}

/// Bytes that the ring keeps alive for an event: the version before it, which nobody else has. The one after it is
/// among the keys, or before another event.
fn size(e: &Event) -> usize {
    const FIXED: usize = 200;
    e.prev.as_ref().map_or(0, |(b, _)| b.len()) + FIXED
}

impl State {
    /// Starts over from a full list. Watchers may have missed something: they are cut off.
    pub(super) fn reset(&mut self, revision: i64, all: Vec<Arc<KeyValue>>) {
        let mut counts = HashMap::new();
        for folder in all.iter().flat_map(|kv| counted(&kv.key)) {
            *counts.entry(folder.to_owned()).or_default() += 1;
        }
        let keys = all.iter().map(|kv| (kv.key.clone(), Arc::new(apart(kv)))).collect();
        *self = State {
            filled: true,
            now: Snapshot { revision, keys },
            counts,
            oldest: revision,
            ..Default::default()
        };
    }

    /// Takes one event over and passes it on.
    pub(super) fn apply(&mut self, mut e: Event) {
        let before = self.now.keys.get(&e.key).cloned();
        e.value = e.value.as_deref().map(Bytes::copy_from_slice);
        if let (Some((bytes, rev)), Some(before)) = (&mut e.prev, &before)
            && *rev == before.mod_rev
        {
            *bytes = before.value.clone();
            e.prev_memo = before.memo.clone();
        }
        match &e.value {
            Some(value) => {
                let create_rev = before.map_or(e.rev, |kv| kv.create_rev);
                let kv = Arc::new(KeyValue {
                    key: e.key.clone(),
                    value: value.clone(),
                    mod_rev: e.rev,
                    create_rev,
                    memo: Memo::default(),
                });
                if self.now.keys.insert(e.key.clone(), kv).is_none() {
                    self.add(&e.key, 1);
                }
            }
            None => {
                if self.now.keys.remove(&e.key).is_some() {
                    self.add(&e.key, -1);
                }
            }
        }
        self.listeners.tell(&e);
        self.ring_bytes += size(&e);
        // What those who were told of it have made of it goes with the last of them.
        self.ring.push_back(Event {
            memo: Arc::default(),
            prev_memo: Memo::default(),
            ..e
        });
        while self.ring.len() > RING_EVENTS || self.ring_bytes > RING_BYTES {
            self.drop_oldest();
        }
    }

    fn add(&mut self, key: &str, more: i64) {
        for folder in counted(key) {
            let count = self.counts.entry(folder.to_owned()).or_default();
            *count += more;
            if *count == 0 {
                self.counts.remove(folder);
            }
        }
    }

    /// How many keys there are now below a folder; `None` when those of its depth are not counted, or nothing is yet.
    pub(super) fn count(&self, prefix: &str) -> Option<i64> {
        let folder = prefix.strip_suffix('/')?;
        let depth = folder.matches('/').count();
        let known = self.filled && matches!(depth, 2 | 3);
        known.then(|| self.counts.get(folder).copied().unwrap_or(0))
    }

    fn drop_oldest(&mut self) {
        if let Some(e) = self.ring.pop_front() {
            self.ring_bytes -= size(&e);
            self.oldest = self.oldest.max(e.rev);
        }
    }

    /// All events up to `revision` have been applied.
    pub(super) fn advance(&mut self, revision: i64) {
        self.now.revision = self.now.revision.max(revision);
    }

    /// Tells every listener how far the copy is; those that are gone are forgotten.
    pub(super) fn tell(&mut self) {
        self.listeners.progress(self.now.revision);
    }

    /// The copy now.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.now.clone()
    }

    /// The copy as it was at a revision, if that moment was kept.
    pub(super) fn snapshot_at(&self, revision: i64) -> Option<Snapshot> {
        if self.filled && self.now.revision == revision {
            return Some(self.now.clone());
        }
        self.moments.iter().find(|m| m.revision == revision).cloned()
    }

    /// Keeps a moment for the next pages.
    pub(super) fn keep(&mut self, snapshot: Snapshot) {
        if self.moments.iter().all(|m| m.revision != snapshot.revision) {
            self.moments.push_back(snapshot);
            if self.moments.len() > MOMENTS {
                self.moments.pop_front();
            }
        }
    }

    /// Events below `prefix` after a revision; `None` when the ring does not reach back that far.
    pub(super) fn subscribe(
        &mut self,
        prefix: &str,
        after: i64,
        wanted: Option<Box<dyn Wanted>>,
    ) -> Option<WatchStream> {
        if !self.filled || after < self.oldest {
            return None;
        }
        let missed = self.ring.iter().rev().take_while(|e| e.rev > after).count();
        let backlog: Vec<&Event> = self
            .ring
            .iter()
            .skip(self.ring.len() - missed)
            .filter(|e| e.rev > after && listeners::sees(prefix, &e.key))
            .collect();
        let (tx, rx) = mpsc::channel(LAG + backlog.len());
        for e in backlog {
            // The channel was made large enough.
            let _ = tx.try_send(Ok(WatchItem::Event(e.clone())));
        }
        self.listeners.add(Listener::new(prefix, after, wanted, tx));
        Some(Box::pin(ReceiverStream::new(rx)))
    }

    /// The store gave up its history below `revision`. Lists of those moments are refused from now on;
    /// the ring still serves watches, as it needs nothing of the store.
    pub(super) fn compacted(&mut self, revision: i64) {
        self.moments.retain(|m| m.revision >= revision);
    }
}
