//! A copy of the store in memory, fed by one watch, behind the same [`Storage`] trait.
//!
//! One etcd watch over all keys feeds an ordered map and a ring of recent events. Reads are answered from
//! there; writes go to the store below. Because the watch sees every revision, a consistent read needs
//! no progress requests (etcd 3.4 has none): learn the store's revision, wait until the copy has it,
//! answer from a snapshot. One such question serves all who asked before it began (`fresh.rs`).
//! A change is passed on to those who could want it, without asking the others (`listeners.rs`).
//! Whatever the copy cannot answer (old revisions, a copy that is not filled yet) goes to the store.

mod feed;
mod fresh;
mod listeners;
mod state;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::storage::{CompactTurn, KeyValue, ListPage, ListRequest, Storage, StorageError, Wanted, WatchStream, Write};
use fresh::Fresh;
use state::{Snapshot, State};

/// Longest wait for the copy to catch up before the store is asked (upstream `blockTimeout`).
const PATIENCE: Duration = Duration::from_secs(3);

/// The same for a read of one key, which costs the store little.
const SHORT_PATIENCE: Duration = Duration::from_millis(50);

/// The wrapped store.
pub(crate) struct WatchCache {
    inner: Arc<dyn Storage>,
    shared: Arc<Shared>,
    fresh: Fresh,
}

/// What the feed writes and readers read.
struct Shared {
    state: Mutex<State>,
    /// All changes up to this revision are in `state`; 0 until the copy is filled.
    seen: watch::Sender<i64>,
}

impl WatchCache {
    /// Wraps `inner` and starts to copy everything below `root` (`/registry`), until `shutdown`.
    pub(crate) fn start(inner: Arc<dyn Storage>, root: &str, shutdown: CancellationToken) -> Arc<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            seen: watch::channel(0).0,
        });
        tokio::spawn(feed::run(inner.clone(), shared.clone(), format!("{root}/"), shutdown));
        Arc::new(WatchCache {
            inner,
            shared,
            fresh: Fresh::default(),
        })
    }

    /// A snapshot that has at least revision `rev`, if the copy gets there in time.
    async fn snapshot(&self, rev: i64, patience: Duration) -> Option<Snapshot> {
        let there = |s: &i64| *s > 0 && *s >= rev;
        if there(&self.shared.seen.borrow()) {
            return Some(self.shared.state.lock().snapshot());
        }
        let mut seen = self.shared.seen.subscribe();
        match tokio::time::timeout(patience, seen.wait_for(there)).await {
            Ok(Ok(_)) => Some(self.shared.state.lock().snapshot()),
            _ => None,
        }
    }

    /// As [`Self::snapshot`] for a revision a client names: nobody waits for one that has not happened.
    async fn snapshot_from(&self, rev: i64) -> Option<Snapshot> {
        let ahead = rev > *self.shared.seen.borrow();
        if ahead && self.fresh.revision(&*self.inner).await.ok()? < rev {
            return None;
        }
        self.snapshot(rev, PATIENCE).await
    }

    /// Waits until the copy has been filled once.
    #[cfg(test)]
    pub(crate) async fn wait_filled(&self) {
        // The sender is ours: it does not go.
        let _ = self.shared.seen.subscribe().wait_for(|seen| *seen > 0).await;
    }

    fn filled(&self) -> bool {
        *self.shared.seen.borrow() > 0
    }
}

#[async_trait]
impl Storage for WatchCache {
    async fn get(&self, key: &str) -> Result<(Option<Arc<KeyValue>>, i64), StorageError> {
        if self.filled() {
            let now = self.fresh.revision(&*self.inner).await?;
            if let Some(snapshot) = self.snapshot(now, SHORT_PATIENCE).await {
                return Ok(snapshot.one(key));
            }
        }
        self.inner.get(key).await
    }

    async fn get_from(&self, key: &str, at_least: i64) -> Result<(Option<Arc<KeyValue>>, i64), StorageError> {
        if self.filled()
            && let Some(snapshot) = self.snapshot_from(at_least).await
        {
            return Ok(snapshot.one(key));
        }
        self.inner.get(key).await
    }

    async fn stale(&self, key: &str) -> Result<bool, StorageError> {
        self.inner.stale(key).await
    }

    async fn list(&self, req: &ListRequest) -> Result<ListPage, StorageError> {
        if !self.filled() {
            return self.inner.list(req).await;
        }
        let snapshot = match (req.revision, req.at_least) {
            (0, Some(rev)) => self.snapshot_from(rev).await,
            (0, None) => {
                let now = self.fresh.revision(&*self.inner).await?;
                self.snapshot(now, PATIENCE).await
            }
            (exact, _) => self.shared.state.lock().snapshot_at(exact),
        };
        let Some(snapshot) = snapshot else {
            return self.inner.list(req).await;
        };
        let page = snapshot.page(req);
        if page.more && req.revision == 0 {
            // The pages behind this one ask for this moment again.
            self.shared.state.lock().keep(snapshot);
        }
        Ok(page)
    }

    async fn count(&self, prefix: &str) -> Result<i64, StorageError> {
        let counted = self.shared.state.lock().count(prefix);
        match counted {
            Some(count) => Ok(count),
            None => self.inner.count(prefix).await,
        }
    }

    async fn current_revision(&self) -> Result<i64, StorageError> {
        self.fresh.revision(&*self.inner).await
    }

    async fn create(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Write, StorageError> {
        self.inner.create(key, value, ttl).await
    }

    async fn update(
        &self,
        key: &str,
        value: Bytes,
        expected: i64,
        ttl: Option<Duration>,
    ) -> Result<Write, StorageError> {
        self.inner.update(key, value, expected, ttl).await
    }

    async fn delete(&self, key: &str, expected: i64) -> Result<Write, StorageError> {
        self.inner.delete(key, expected).await
    }

    async fn watch(&self, prefix: &str, after: i64) -> Result<WatchStream, StorageError> {
        let here = self.shared.state.lock().subscribe(prefix, after, None);
        match here {
            Some(stream) => Ok(stream),
            None => self.inner.watch(prefix, after).await,
        }
    }

    async fn watch_wanted(
        &self,
        prefix: &str,
        after: i64,
        wanted: Box<dyn Wanted>,
    ) -> Result<WatchStream, StorageError> {
        let here = self.shared.state.lock().subscribe(prefix, after, Some(wanted));
        match here {
            Some(stream) => Ok(stream),
            None => self.inner.watch(prefix, after).await,
        }
    }

    async fn compact(&self, rev: i64) -> Result<(), StorageError> {
        self.inner.compact(rev).await?;
        self.shared.state.lock().compacted(rev);
        Ok(())
    }

    async fn compact_turn(&self, version: i64, rev: i64) -> Result<CompactTurn, StorageError> {
        self.inner.compact_turn(version, rev).await
    }

    async fn health(&self) -> Result<(), StorageError> {
        self.inner.health().await
    }
}

#[cfg(test)]
mod tests;
