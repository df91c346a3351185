//! The store as its servers hold it: published state to read, a queue to write, a hub to watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use etcd_proto::etcdserverpb::{RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::committer::{self, Committer};
use crate::engine::Engine;
use crate::lease::Lessor;
use crate::mvcc::{Change, Core, EngineError, Error, Index, LeaseChange, Record, Records, Revision, plan_range};
use crate::txn::{self, View};
use crate::watch::{Event, Hub};

/// More records than this are read on a thread that may block.
const READ_INLINE: usize = 16;

/// A state that is durable and stays as it is.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) index: Index,
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    pub(crate) compacting: bool,
}

/// What the store is told at start.
#[derive(Clone, Debug)]
pub(crate) struct StoreOptions {
    /// Largest request, bytes.
    pub(crate) max_request_bytes: usize,
    /// Shortest lease, seconds.
    pub(crate) min_lease_ttl: i64,
    /// Bytes of data beyond which puts are refused; 0: no limit.
    pub(crate) quota_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            max_request_bytes: 1536 << 10,
            min_lease_ttl: 2,
            quota_bytes: 0,
        }
    }
}

/// Who answers: the same for the life of the data directory, but the term.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) cluster_id: u64,
    pub(crate) member_id: u64,
    /// Counts the starts, as etcd's term counts elections.
    pub(crate) term: u64,
}

/// A running store.
pub(crate) struct Store {
    published: RwLock<Arc<Published>>,
    engine: Arc<dyn Engine>,
    hub: Hub,
    lessor: Arc<Mutex<Lessor>>,
    committer: Committer,
    identity: Identity,
    options: StoreOptions,
    no_space: AtomicBool,
    compaction_ended: Notify,
    pub(crate) lease_changed: Notify,
}

impl Store {
    /// Reads the index from `engine` and starts the committer thread.
    pub(crate) fn open(engine: Arc<dyn Engine>, options: StoreOptions) -> Result<Arc<Self>, EngineError> {
        let lessor = Arc::new(Mutex::new(Lessor::new(options.min_lease_ttl)));
        let found = engine.found()?;
        for lease in &found.leases {
            if let LeaseChange::Granted { id, ttl } = *lease {
                // Each ID is a primary key, each TTL was granted before.
                let _ = lessor.lock().grant(id, ttl, Instant::now());
            }
        }
        let mut core = Core::new(engine.clone(), lessor.clone());
        engine.scan(Revision::from_raw(0), false, &mut |at, record| core.load(at, record))?;
        core.loaded(found.meta);
        let random = |old: Option<i64>| old.unwrap_or_else(|| (rand::random::<i64>() & i64::MAX) | 1);
        let identity = Identity {
            cluster_id: engine.number("cluster_id", &mut { random })?.unsigned_abs(),
            member_id: engine.number("member_id", &mut { random })?.unsigned_abs(),
            term: engine.number("term", &mut |old| old.unwrap_or(1) + 1)?.unsigned_abs(),
        };
        let (committer, queue) = committer::queue();
        let store = Arc::new(Self {
            published: RwLock::new(Arc::new(Published::of(&core))),
            hub: Hub::new(core.revision()),
            engine,
            lessor,
            committer,
            identity,
            options,
            no_space: AtomicBool::new(false),
            compaction_ended: Notify::new(),
            lease_changed: Notify::new(),
        });
        committer::spawn(queue, core, Arc::downgrade(&store))
            .map_err(|error| EngineError::new("start committer", error))?;
        Ok(store)
    }

    pub(crate) fn published(&self) -> Arc<Published> {
        self.published.read().clone()
    }

    /// Makes a durable state readable and tells the watchers. Called by the committer alone.
    pub(crate) fn publish(&self, core: &Core, changes: Vec<Arc<Change>>) {
        let published = Arc::new(Published::of(core));
        let ended = !published.compacting;
        self.hub.publish(changes, || *self.published.write() = published);
        if ended {
            self.compaction_ended.notify_waiters();
        }
    }

    /// Applies `operation` to the newest state and waits until it is durable.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Core) -> T + Send + 'static,
    ) -> Result<T, committer::Stopped> {
        self.committer.write(operation).await
    }

    /// Answers a Range from the published state.
    pub(crate) async fn range(self: &Arc<Self>, request: RangeRequest) -> Result<RangeResponse, Error> {
        loop {
            let published = self.published();
            let plan = plan_range(&published.index, published.revision, published.compacted, &request)?;
            let result = if plan.revisions.len() <= READ_INLINE {
                plan.run(&request, self.records())
            } else {
                let (store, request) = (self.clone(), request.clone());
                let run = move || plan.run(&request, store.records());
                tokio::task::spawn_blocking(run)
                    .await
                    .map_err(|error| EngineError::new("read on a thread", error))?
            };
            match result {
                // A compaction overtook a read of the present: the present has moved on.
                Err(Error::Compacted) if request.revision <= 0 => {}
                result => return result,
            }
        }
    }

    /// Answers a transaction that only reads.
    pub(crate) async fn read_txn(self: &Arc<Self>, request: TxnRequest) -> Result<TxnResponse, Error> {
        let store = self.clone();
        let run = move || {
            let published = store.published();
            let view = View {
                index: &published.index,
                revision: published.revision,
                compacted: published.compacted,
                records: store.records(),
            };
            txn::read_txn(&view, request)
        };
        tokio::task::spawn_blocking(run)
            .await
            .map_err(|error| EngineError::new("read on a thread", error))?
    }

    /// The events behind `changes`, which are what [`crate::mvcc::history`] found; `None` if a
    /// compaction has taken one away.
    pub(crate) fn read_events(
        &self,
        changes: &[(Revision, Option<Revision>)],
    ) -> Result<Option<Vec<Arc<Event>>>, EngineError> {
        let revisions: Vec<_> = changes.iter().map(|(at, _)| *at).collect();
        let records: Vec<Option<Record>> = self.records().read(&revisions, true)?;
        let event = |(record, (at, before)): (Option<Record>, &(Revision, Option<Revision>))| {
            Some(Event::new(Arc::new(Change {
                at: *at,
                record: record?,
                before: *before,
            })))
        };
        Ok(records.into_iter().zip(changes).map(event).collect())
    }

    /// Waits until no compaction is freeing space.
    pub(crate) async fn compacted(&self) {
        loop {
            let ended = self.compaction_ended.notified();
            if !self.published().compacting {
                return;
            }
            ended.await;
        }
    }

    /// Checks the quota; the answer is told to the core by the committer.
    pub(crate) fn over_quota(&self) -> bool {
        let over = self.options.quota_bytes > 0
            && self
                .engine
                .size()
                .is_ok_and(|size| size.in_use > self.options.quota_bytes);
        if over && !self.no_space.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                quota_bytes = self.options.quota_bytes,
                "database space exceeded, puts are refused"
            );
        }
        self.no_space.load(Ordering::Relaxed)
    }

    /// Whether the NOSPACE alarm is on.
    pub(crate) fn no_space(&self) -> bool {
        self.no_space.load(Ordering::Relaxed)
    }

    /// Takes the NOSPACE alarm off; it comes back if the quota is still exceeded.
    pub(crate) fn disarm(&self) {
        self.no_space.store(false, Ordering::Relaxed);
    }

    pub(crate) fn records(&self) -> &dyn Records {
        &*self.engine
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(crate) fn lessor(&self) -> &Arc<Mutex<Lessor>> {
        &self.lessor
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    pub(crate) fn max_request_bytes(&self) -> usize {
        self.options.max_request_bytes
    }

    pub(crate) fn quota_bytes(&self) -> u64 {
        self.options.quota_bytes
    }

    /// Whether the committer is gone: nothing can be written any more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.committer.is_stopped()
    }

    /// Lets the committer finish what is queued and end. Writes are refused from now on.
    pub(crate) async fn stop(&self) {
        self.committer.stop().await;
    }

    /// Waits until the committer has ended, by [`Store::stop`] or because the disk failed.
    pub(crate) async fn stopped(&self) {
        self.committer.stopped().await;
    }

    pub(crate) fn header(&self, revision: i64) -> Option<ResponseHeader> {
        Some(ResponseHeader {
            cluster_id: self.identity.cluster_id,
            member_id: self.identity.member_id,
            revision,
            raft_term: self.identity.term,
        })
    }
}

impl Published {
    fn of(core: &Core) -> Self {
        Self {
            index: core.index().clone(),
            revision: core.revision(),
            compacted: core.compacted(),
            compacting: core.is_compacting(),
        }
    }
}

#[cfg(test)]
mod tests;
