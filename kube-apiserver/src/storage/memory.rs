//! [`Storage`] in memory: for tests and `pkg/testserver`. Keeps all history until compacted.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    CompactTurn, Event, KeyValue, ListPage, ListRequest, Memo, Storage, StorageError, WatchItem, WatchStream, Write,
};

/// Bytes of a value that etcd's default `--max-request-bytes` lets through.
const MAX_VALUE: usize = 1536 << 10;

/// Events a watcher may lag behind before it is cut off.
const WATCH_BUFFER: usize = 4096;

/// The in-memory store. Clones share the data.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    rev: i64,
    compacted: i64,
    compact_key: i64,
    /// All versions of each key, oldest first; `None` is a delete.
    keys: BTreeMap<String, Vec<Version>>,
    log: Vec<Event>,
    watchers: Vec<Watcher>,
}

#[derive(Clone)]
struct Version {
    rev: i64,
    create_rev: i64,
    value: Option<Bytes>,
}

struct Watcher {
    prefix: String,
    tx: mpsc::Sender<Result<WatchItem, StorageError>>,
}

impl State {
    fn live(&self, key: &str, at: i64) -> Option<Arc<KeyValue>> {
        pair(key, self.keys.get(key)?, at)
    }

    fn now(&self) -> i64 {
        self.rev.max(1)
    }

    fn write(&mut self, key: &str, value: Option<Bytes>) -> i64 {
        self.rev = self.now() + 1;
        let rev = self.rev;
        let prev = self.live(key, rev);
        let create_rev = prev.as_ref().map_or(rev, |p| p.create_rev);
        self.keys.entry(key.to_owned()).or_default().push(Version {
            rev,
            create_rev,
            value: value.clone(),
        });
        let event = Event {
            key: key.into(),
            rev,
            value,
            prev: prev.map(|p| (p.value.clone(), p.mod_rev)),
            memo: Arc::default(),
            prev_memo: Memo::default(),
        };
        self.watchers.retain(|w| {
            // A full channel loses the watcher: it must list again, as with etcd.
            !key.starts_with(&w.prefix)
                || [WatchItem::Event(event.clone()), WatchItem::Progress(rev)]
                    .into_iter()
                    .all(|item| w.tx.try_send(Ok(item)).is_ok())
        });
        self.log.push(event);
        rev
    }
}

fn pair(key: &str, versions: &[Version], at: i64) -> Option<Arc<KeyValue>> {
    let v = versions.iter().rev().find(|v| v.rev <= at)?;
    Some(Arc::new(KeyValue {
        key: key.into(),
        value: v.value.clone()?,
        mod_rev: v.rev,
        create_rev: v.create_rev,
        memo: Memo::default(),
    }))
}

impl Memory {
    fn expire_later(&self, key: &str, rev: i64, ttl: Option<Duration>) {
        let Some(ttl) = ttl else { return };
        let (state, key) = (Arc::downgrade(&self.0), key.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(ttl).await;
            if let Some(state) = state.upgrade() {
                let mut s = state.lock();
                let now = s.now();
                if s.live(&key, now).is_some_and(|kv| kv.mod_rev == rev) {
                    s.write(&key, None);
                }
            }
        });
    }
}

#[async_trait]
impl Storage for Memory {
    async fn get(&self, key: &str) -> Result<(Option<Arc<KeyValue>>, i64), StorageError> {
        let s = self.0.lock();
        Ok((s.live(key, s.now()), s.now()))
    }

    async fn list(&self, req: &ListRequest) -> Result<ListPage, StorageError> {
        let s = self.0.lock();
        let now = s.now();
        let at = if req.revision > 0 { req.revision } else { now };
        if at > now {
            return Err(StorageError::Future);
        }
        if at < s.compacted {
            return Err(StorageError::Compacted(s.compacted));
        }
        let start = if req.start.is_empty() { &req.prefix } else { &req.start };
        let mut page = ListPage {
            revision: now,
            ..Default::default()
        };
        for (key, versions) in s.keys.range::<String, _>((Bound::Included(start), Bound::Unbounded)) {
            if !key.starts_with(&req.prefix) {
                break;
            }
            let Some(kv) = pair(key, versions, at) else { continue };
            page.count += 1;
            if req.limit == 0 || page.items.len() < req.limit {
                page.items.push(kv);
            } else {
                page.more = true;
            }
        }
        Ok(page)
    }

    async fn current_revision(&self) -> Result<i64, StorageError> {
        Ok(self.0.lock().now())
    }

    async fn create(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Write, StorageError> {
        if value.len() > MAX_VALUE {
            return Err(StorageError::TooLarge);
        }
        let rev = {
            let mut s = self.0.lock();
            let now = s.now();
            if let Some(kv) = s.live(key, now) {
                return Ok(Write::Conflict(Some(kv)));
            }
            s.write(key, Some(value))
        };
        self.expire_later(key, rev, ttl);
        Ok(Write::Done(rev))
    }

    async fn update(
        &self,
        key: &str,
        value: Bytes,
        expected: i64,
        ttl: Option<Duration>,
    ) -> Result<Write, StorageError> {
        if value.len() > MAX_VALUE {
            return Err(StorageError::TooLarge);
        }
        let rev = {
            let mut s = self.0.lock();
            let now = s.now();
            match s.live(key, now) {
                Some(kv) if kv.mod_rev == expected => s.write(key, Some(value)),
                other => return Ok(Write::Conflict(other)),
            }
        };
        self.expire_later(key, rev, ttl);
        Ok(Write::Done(rev))
    }

    async fn delete(&self, key: &str, expected: i64) -> Result<Write, StorageError> {
        let mut s = self.0.lock();
        let now = s.now();
        match s.live(key, now) {
            Some(kv) if kv.mod_rev == expected => Ok(Write::Done(s.write(key, None))),
            other => Ok(Write::Conflict(other)),
        }
    }

    async fn watch(&self, prefix: &str, after: i64) -> Result<WatchStream, StorageError> {
        let mut s = self.0.lock();
        if after > 0 && after + 1 < s.compacted {
            return Err(StorageError::Compacted(s.compacted));
        }
        let backlog: Vec<_> = if after > 0 {
            s.log
                .iter()
                .filter(|e| e.rev > after && e.key.starts_with(prefix))
                .cloned()
                .collect()
        } else {
            vec![]
        };
        let (tx, rx) = mpsc::channel(WATCH_BUFFER + 2 * backlog.len());
        for event in backlog {
            // The channel was sized for the backlog.
            let rev = event.rev;
            let _ = tx.try_send(Ok(WatchItem::Event(event)));
            let _ = tx.try_send(Ok(WatchItem::Progress(rev)));
        }
        s.watchers.push(Watcher {
            prefix: prefix.to_owned(),
            tx,
        });
        Ok(Box::pin(ReceiverStream::new(rx)))
    }

    async fn compact(&self, rev: i64) -> Result<(), StorageError> {
        let mut s = self.0.lock();
        if rev <= s.compacted {
            return Err(StorageError::Compacted(s.compacted));
        }
        if rev > s.now() {
            return Err(StorageError::Future);
        }
        s.compacted = rev;
        s.log.retain(|e| e.rev >= rev);
        for versions in s.keys.values_mut() {
            let keep = versions.iter().rposition(|v| v.rev <= rev).unwrap_or(0);
            versions.drain(..keep);
        }
        s.keys
            .retain(|_, v| !(v.len() == 1 && v[0].value.is_none() && v[0].rev <= rev));
        Ok(())
    }

    async fn compact_turn(&self, version: i64, _rev: i64) -> Result<CompactTurn, StorageError> {
        let mut s = self.0.lock();
        let won = s.compact_key == version;
        if won {
            s.compact_key += 1;
            s.rev = s.now() + 1;
        }
        Ok(CompactTurn {
            won,
            version: s.compact_key,
            revision: s.now(),
        })
    }

    async fn health(&self) -> Result<(), StorageError> {
        Ok(())
    }
}
