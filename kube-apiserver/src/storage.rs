//! Bytes under keys with revisions: what the generic store needs from etcd, and nothing more.
//!
//! Keys are full etcd keys (`/registry/pods/ns/name`). Every write names the revision it replaces.
//! The trait can be wrapped (a watch cache serves the same calls); all implementations pass
//! `storage/contract.rs`.

pub(crate) mod compact;
#[cfg(test)]
mod contract;
pub(crate) mod encryption;
pub(crate) mod etcd;
pub(crate) mod memory;

use std::any::Any;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;

/// One stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyValue {
    /// Full key.
    pub(crate) key: Arc<str>,
    /// Stored bytes.
    pub(crate) value: Bytes,
    /// Revision of the last write: the object's resourceVersion.
    pub(crate) mod_rev: i64,
    /// Revision of the write that created it.
    pub(crate) create_rev: i64,
    /// What its readers made of it.
    pub(crate) memo: Memo,
}

/// A place beside a stored version for what its bytes mean, so that whoever reads it next need not find out. A storage
/// that keeps versions in memory hands the same place to all; it knows nothing of what is in it.
#[derive(Clone, Default)]
pub(crate) struct Memo(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Memo {
    /// What was left here, if it is of this type.
    pub(crate) fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.get()?.clone().downcast().ok()
    }

    /// What was left here, or what `make` leaves.
    pub(crate) fn get_or_try<T: Any + Send + Sync, E>(
        &self,
        make: impl FnOnce() -> Result<Arc<T>, E>,
    ) -> Result<Arc<T>, E> {
        if let Some(left) = self.get() {
            return Ok(left);
        }
        let made = make()?;
        self.set(made.clone());
        Ok(self.get().unwrap_or(made))
    }

    /// Leaves a value for those who come later; the first stays.
    pub(crate) fn set<T: Any + Send + Sync>(&self, value: Arc<T>) {
        self.0.get_or_init(|| value);
    }
}

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.get().is_some() { "Memo(..)" } else { "Memo" })
    }
}

/// A memo says nothing that the pair does not.
impl PartialEq for Memo {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Memo {}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Key.
    pub(crate) key: Arc<str>,
    /// Revision of the change.
    pub(crate) rev: i64,
    /// The bytes after the change; `None`: deleted.
    pub(crate) value: Option<Bytes>,
    /// The bytes before the change, with their revision; `None`: the key was created.
    pub(crate) prev: Option<(Bytes, i64)>,
    /// What its readers made of it: one place for all who are told of it at the same time.
    pub(crate) memo: Arc<Memo>,
    /// What readers made of the bytes before the change, where that is still known.
    pub(crate) prev_memo: Memo,
}

/// What a watch yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WatchItem {
    /// A change.
    Event(Event),
    /// All changes up to this revision have been delivered. Comes at the latest behind each batch
    /// of changes: those of one revision are complete only then.
    Progress(i64),
}

/// Changes in revision order. An error ends the stream.
pub(crate) type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchItem, StorageError>> + Send>>;

/// What a watcher wants to hear of. It is asked on the way of all changes to all watchers, so a storage may keep watchers
/// sorted by their terms and ask only those whose term holds of a change.
///
/// Law: of a change that [`Wanted::wants`] does not refuse, every one of [`Wanted::terms`] holds, before it or after it:
/// [`Wanted::values`] at its path is `None` or has one of its values. All who watch the same keys have the same values.
pub(crate) trait Wanted: Send + Sync {
    /// Whether the watcher could want to hear of a change.
    fn wants(&self, e: &Event) -> bool;
    /// What holds of all that it wants; none: it must be asked each time.
    fn terms(&self) -> Vec<Term> {
        vec![]
    }
    /// What a change's object has at a path, before and after the change; `None`: that cannot be known.
    fn values(&self, e: &Event, path: &str) -> Option<Vec<String>> {
        let _ = (e, path);
        None
    }
}

/// Something an object must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Term {
    /// Where; what it means is the watchers' own.
    pub(crate) path: String,
    /// What: one of these.
    pub(crate) values: Vec<String>,
}

/// A page of a prefix.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListRequest {
    /// Key prefix, ending in `/`.
    pub(crate) prefix: String,
    /// First key wanted; empty: from the prefix on.
    pub(crate) start: String,
    /// At most this many; 0: all.
    pub(crate) limit: usize,
    /// As of this revision; 0: now, consistently.
    pub(crate) revision: i64,
    /// With `revision` 0: any moment not older than this will do (0: any).
    pub(crate) at_least: Option<i64>,
}

/// The answer to a [`ListRequest`].
#[derive(Debug, Clone, Default)]
pub(crate) struct ListPage {
    /// Pairs in key order.
    pub(crate) items: Vec<Arc<KeyValue>>,
    /// The limit left some out.
    pub(crate) more: bool,
    /// Keys from the start key to the prefix's end, whatever the limit.
    pub(crate) count: i64,
    /// The store's revision when the page was read.
    pub(crate) revision: i64,
}

/// Outcome of a guarded write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    /// Done, at this revision.
    Done(i64),
    /// The guard did not hold; the key as it is now (`None`: absent).
    Conflict(Option<Arc<KeyValue>>),
}

/// What can go wrong below the store.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub(crate) enum StorageError {
    /// The revision asked for is gone; carries the compact revision, 0 when unknown.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted(i64),
    /// The revision asked for has not happened yet.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    Future,
    /// The value is larger than the store accepts.
    #[error("etcdserver: request is too large")]
    TooLarge,
    /// The store cannot be reached or has no leader; whether a write happened is unknown.
    #[error("{0}")]
    Unavailable(String),
    /// No answer in time; whether a write happened is unknown.
    #[error("{0}")]
    Timeout(String),
    /// The value could not be encrypted, or what is stored not be read.
    #[error("{0}")]
    Transform(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl StorageError {
    /// Whether an error of the API is the store's word that a value is too large.
    pub(crate) fn was_too_large(error: &apimachinery::status::ApiError) -> bool {
        error.code == 500 && error.message == StorageError::TooLarge.to_string()
    }
}

/// A versioned, ordered map with watches.
#[async_trait]
pub(crate) trait Storage: Send + Sync {
    /// The pair under `key` now, with the store's revision.
    async fn get(&self, key: &str) -> Result<(Option<Arc<KeyValue>>, i64), StorageError>;
    /// As [`Storage::get`], at any moment not older than revision `at_least` (0: any).
    async fn get_from(&self, key: &str, at_least: i64) -> Result<(Option<Arc<KeyValue>>, i64), StorageError> {
        let _ = at_least;
        self.get(key).await
    }
    /// Whether what is stored under `key` would be written otherwise now, though it means the same: encrypted with
    /// another key. An update that changes nothing writes it again.
    async fn stale(&self, key: &str) -> Result<bool, StorageError> {
        let _ = key;
        Ok(false)
    }
    /// One page of a prefix.
    async fn list(&self, req: &ListRequest) -> Result<ListPage, StorageError>;
    /// How many keys begin with `prefix`, which ends in `/`, at any moment.
    async fn count(&self, prefix: &str) -> Result<i64, StorageError> {
        let request = ListRequest {
            prefix: prefix.to_owned(),
            limit: 1,
            at_least: Some(0),
            ..Default::default()
        };
        Ok(self.list(&request).await?.count)
    }

    /// The store's current revision, read consistently.
    async fn current_revision(&self) -> Result<i64, StorageError>;
    /// Writes `key` if it does not exist. `ttl`: the pair deletes itself later.
    async fn create(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Write, StorageError>;
    /// Replaces `key` if it is still at revision `expected`.
    async fn update(
        &self,
        key: &str,
        value: Bytes,
        expected: i64,
        ttl: Option<Duration>,
    ) -> Result<Write, StorageError>;
    /// Deletes `key` if it is still at revision `expected`.
    async fn delete(&self, key: &str, expected: i64) -> Result<Write, StorageError>;
    /// Changes below the folder `prefix` (empty: all keys) after revision `after`, in order; 0: from now on. A prefix that
    /// does not end in `/` is a key: changes of others that begin with it may come too.
    async fn watch(&self, prefix: &str, after: i64) -> Result<WatchStream, StorageError>;
    /// As [`Storage::watch`]; changes that `wanted` does not want may be left out.
    async fn watch_wanted(
        &self,
        prefix: &str,
        after: i64,
        wanted: Box<dyn Wanted>,
    ) -> Result<WatchStream, StorageError> {
        drop(wanted);
        self.watch(prefix, after).await
    }
    /// Gives up history below `rev`.
    async fn compact(&self, rev: i64) -> Result<(), StorageError>;
    /// Upstream's compaction handshake: sets `compact_rev_key` to `rev` if its version is still
    /// `version`; answers (won, the key's version now, the revision in it, the store's revision).
    async fn compact_turn(&self, version: i64, rev: i64) -> Result<CompactTurn, StorageError>;
    /// A cheap read that proves the store answers.
    async fn health(&self) -> Result<(), StorageError>;
}

/// The answer to [`Storage::compact_turn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompactTurn {
    /// This server wrote the key.
    pub(crate) won: bool,
    /// The key's version now.
    pub(crate) version: i64,
    /// The store's revision.
    pub(crate) revision: i64,
}

/// The first key behind `prefix`'s range, as etcd's `GetPrefixRangeEnd`.
pub(crate) fn prefix_end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.last_mut() {
        if *last < 0xff {
            *last += 1;
            return end;
        }
        end.pop();
    }
    vec![0]
}
