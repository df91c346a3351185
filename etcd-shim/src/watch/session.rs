//! The watches of one stream: requests and mailbox items in, responses out. No I/O but reading history.

use std::collections::BTreeMap;
use std::sync::Arc;

use etcd_proto::errors;
use etcd_proto::etcdserverpb::watch_create_request::FilterType;
use etcd_proto::etcdserverpb::{WatchCreateRequest, WatchResponse};
use prost::Message;

use super::{Event, Item, Joined, Mailbox, Watcher};
use crate::mvcc::{EngineError, KeyRange, history};
use crate::store::Store;

/// The watch ID of a response that is about no watch, or all of them.
const NO_WATCH: i64 = -1;
/// History is read so many changes at a time.
const HISTORY_STEP: usize = 1000;
/// Events of one response, unless one transaction has more.
const RESPONSE_EVENTS: usize = 1000;

/// One stream's watches.
pub(crate) struct Session {
    store: Arc<Store>,
    mailbox: Arc<Mailbox>,
    watches: BTreeMap<i64, Watch>,
    next_id: i64,
    /// The client asked for progress while a watch was behind.
    progress_wanted: bool,
}

struct Watch {
    watcher: Arc<Watcher>,
    /// Not in the hub: history must be read from this transaction on.
    behind: Option<i64>,
    prev_kv: bool,
    fragment: bool,
    progress_notify: bool,
    /// Nothing was sent since the last tick.
    quiet: bool,
}

impl Session {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            mailbox: Arc::default(),
            watches: BTreeMap::new(),
            next_id: 0,
            progress_wanted: false,
        }
    }

    pub(crate) fn mailbox(&self) -> Arc<Mailbox> {
        self.mailbox.clone()
    }

    /// Whether [`Session::catch_up`] has something to do.
    pub(crate) fn is_behind(&self) -> bool {
        self.watches.values().any(|watch| watch.behind.is_some())
    }

    /// Adds a watch. Source: etcd `server/etcdserver/api/v3rpc/watch.go` `recvLoop`.
    pub(crate) fn create(&mut self, request: WatchCreateRequest) -> WatchResponse {
        if request.start_revision < 0 {
            return self.refuse(errors::COMPACTED.text);
        }
        // No key: the smallest there is.
        let key = if request.key.is_empty() {
            bytes::Bytes::from_static(&[0])
        } else {
            request.key
        };
        let range = KeyRange::from_wire(key, request.range_end);
        if matches!(&range, KeyRange::Span { start, end: Some(end) } if start >= end) {
            return self.refuse("mvcc: watcher range is empty");
        }
        let id = match request.watch_id {
            0 => self.free_id(),
            id if self.watches.contains_key(&id) => {
                return self.refuse("mvcc: duplicate watch ID provided on the WatchStream");
            }
            id => id,
        };
        let filters = |kind: FilterType| request.filters.contains(&kind.into());
        let watcher = Arc::new(Watcher {
            id,
            range,
            no_put: filters(FilterType::Noput),
            no_delete: filters(FilterType::Nodelete),
            mailbox: self.mailbox.clone(),
        });
        // What is read as the current revision here has been handed out: nothing falls between.
        let revision = self.store.hub().revision();
        let mut watch = Watch {
            watcher,
            behind: None,
            prev_kv: request.prev_kv,
            fragment: request.fragment,
            progress_notify: request.progress_notify,
            quiet: true,
        };
        if request.start_revision > 0 && request.start_revision <= revision {
            watch.behind = Some(request.start_revision);
        } else {
            let from = request.start_revision.max(revision + 1);
            if self.store.hub().join(&watch.watcher, from) == Joined::Behind {
                watch.behind = Some(from);
            }
        }
        self.watches.insert(id, watch);
        WatchResponse {
            header: self.store.header(revision),
            watch_id: id,
            created: true,
            ..Default::default()
        }
    }

    /// Ends a watch; an unknown ID gets no answer.
    pub(crate) fn cancel(&mut self, id: i64) -> Option<WatchResponse> {
        let watch = self.watches.remove(&id)?;
        self.store.hub().leave(&watch.watcher);
        let header = self.store.header(self.store.hub().revision());
        Some(WatchResponse {
            header,
            watch_id: id,
            canceled: true,
            ..Default::default()
        })
    }

    /// The client asks how far it has been told: answered behind all events, by way of the mailbox.
    pub(crate) fn request_progress(&mut self) {
        self.progress_wanted = true;
        self.answer_progress();
    }

    /// Called in regular intervals: tells the watches that asked for it and had nothing to hear.
    pub(crate) fn tick(&mut self) {
        for (id, watch) in &mut self.watches {
            if watch.progress_notify && watch.quiet && watch.behind.is_none() {
                self.store.hub().mark_progress(&self.mailbox, *id);
            }
            watch.quiet = true;
        }
    }

    /// Responses for what the mailbox holds. Events of several transactions share a response.
    pub(crate) fn deliver(&mut self, items: impl IntoIterator<Item = Item>) -> Result<Vec<WatchResponse>, EngineError> {
        let mut responses = Vec::new();
        let mut run: Option<(i64, Vec<Arc<Event>>, i64)> = None;
        for item in items {
            if let (
                Some((id, events, revision)),
                Item::Events {
                    id: more_id,
                    events: more,
                    revision: newer,
                },
            ) = (&mut run, &item)
                && id == more_id
                && events.len() + more.len() <= RESPONSE_EVENTS
            {
                events.extend(more.iter().cloned());
                *revision = *newer;
                continue;
            }
            if let Some((id, events, revision)) = run.take() {
                self.respond(id, &events, revision, &mut responses)?;
            }
            match item {
                Item::Events { id, events, revision } => run = Some((id, events, revision)),
                Item::Lagging { id, from } => {
                    if let Some(watch) = self.watches.get_mut(&id) {
                        watch.behind = Some(from);
                    }
                }
                Item::Progress { id, revision } => {
                    if id == NO_WATCH || self.watches.contains_key(&id) {
                        let header = self.store.header(revision);
                        responses.push(WatchResponse {
                            header,
                            watch_id: id,
                            ..Default::default()
                        });
                    }
                }
            }
        }
        if let Some((id, events, revision)) = run {
            self.respond(id, &events, revision, &mut responses)?;
        }
        Ok(responses)
    }

    /// One step of history for one watch that is behind; lets it join the hub when it has caught up.
    /// The mailbox must have been emptied and delivered before: what is in it is older.
    pub(crate) fn catch_up(&mut self) -> Result<Vec<WatchResponse>, EngineError> {
        let mut responses = Vec::new();
        let Some((id, from, watcher)) = self
            .watches
            .iter()
            .find_map(|(id, watch)| Some((*id, watch.behind?, watch.watcher.clone())))
        else {
            return Ok(responses);
        };
        let published = self.store.published();
        if from < published.compacted {
            responses.push(self.compacted(id, published.compacted));
        } else if self.store.hub().join(&watcher, from) == Joined::Yes {
            self.set_behind(id, None);
        } else {
            let (changes, last) = history(&published.index, &watcher.range, from, published.revision, HISTORY_STEP);
            if let Some(events) = self.store.read_events(&changes)? {
                let events: Vec<_> = events.into_iter().filter(|event| watcher.wants(event)).collect();
                self.respond(id, &events, published.revision, &mut responses)?;
                self.set_behind(id, Some(last + 1));
            }
            // Otherwise a compaction came between: the next step finds it.
        }
        self.answer_progress();
        Ok(responses)
    }

    fn set_behind(&mut self, id: i64, behind: Option<i64>) {
        if let Some(watch) = self.watches.get_mut(&id) {
            watch.behind = behind;
        }
    }

    fn answer_progress(&mut self) {
        if self.progress_wanted && !self.is_behind() {
            self.progress_wanted = false;
            self.store.hub().mark_progress(&self.mailbox, NO_WATCH);
        }
    }

    fn compacted(&mut self, id: i64, compacted: i64) -> WatchResponse {
        self.watches.remove(&id);
        WatchResponse {
            header: self.store.header(self.store.hub().revision()),
            watch_id: id,
            canceled: true,
            compact_revision: compacted,
            ..Default::default()
        }
    }

    fn refuse(&self, reason: &str) -> WatchResponse {
        WatchResponse {
            header: self.store.header(self.store.hub().revision()),
            watch_id: NO_WATCH,
            created: true,
            canceled: true,
            cancel_reason: reason.to_owned(),
            ..Default::default()
        }
    }

    fn free_id(&mut self) -> i64 {
        while self.watches.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        self.next_id - 1
    }

    fn respond(
        &mut self,
        id: i64,
        events: &[Arc<Event>],
        revision: i64,
        responses: &mut Vec<WatchResponse>,
    ) -> Result<(), EngineError> {
        // Cancelled meanwhile, or nothing to say.
        let Some(watch) = self.watches.get_mut(&id).filter(|_| !events.is_empty()) else {
            return Ok(());
        };
        watch.quiet = false;
        if watch.prev_kv {
            Event::read_before(events, self.store.records())?;
        }
        let events = events.iter().map(|event| event.to_wire(watch.prev_kv)).collect();
        let response = WatchResponse {
            header: self.store.header(revision),
            watch_id: id,
            events,
            ..Default::default()
        };
        if watch.fragment && response.encoded_len() >= self.store.max_request_bytes() {
            responses.extend(fragments(response, self.store.max_request_bytes()));
        } else {
            responses.push(response);
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for watch in self.watches.values() {
            self.store.hub().leave(&watch.watcher);
        }
    }
}

// Cuts a response that is too large; all pieces but the last say that more follows.
fn fragments(mut whole: WatchResponse, most: usize) -> Vec<WatchResponse> {
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    let mut size = 0;
    for event in std::mem::take(&mut whole.events) {
        let weight = event.encoded_len() + 8;
        if size + weight > most && !piece.is_empty() {
            pieces.push(WatchResponse {
                fragment: true,
                events: std::mem::take(&mut piece),
                ..whole.clone()
            });
            size = 0;
        }
        size += weight;
        piece.push(event);
    }
    pieces.push(WatchResponse { events: piece, ..whole });
    pieces
}
