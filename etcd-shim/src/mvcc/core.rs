//! The writer's side: the newest index, and what must be made durable next.
//!
//! One thread owns a [`Core`] (`committer.rs`). It applies any number of operations, takes the batch,
//! makes it durable, and only then lets readers and watchers see a copy of the index.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::compaction::Progress;
use super::loading::Loading;
use super::{EngineError, Error, Index, KeyRange, Record, Records, Revision};
use crate::lease::Lessor;

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// When.
    pub(crate) at: Revision,
    /// The key as it is from then on.
    pub(crate) record: Record,
    /// The key's revision before, if it existed.
    pub(crate) before: Option<Revision>,
}

/// A change of the lease table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseChange {
    /// Lease `id` was granted for `ttl` seconds.
    Granted {
        /// Its ID.
        id: i64,
        /// Seconds it lives from grant, each keep-alive and each restart.
        ttl: i64,
    },
    /// Lease `id` is gone.
    Revoked {
        /// Its ID.
        id: i64,
    },
}

/// Single values that changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// History below this main revision was given up.
    pub(crate) compacted: Option<i64>,
    /// The space of history below this main revision has been freed.
    pub(crate) compaction_finished: Option<i64>,
}

/// What must become durable, all of it or none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// Writes, in order.
    pub(crate) changes: Vec<Arc<Change>>,
    /// Revisions that nobody may ask for any more.
    pub(crate) removed: Vec<Revision>,
    /// Lease changes, in order.
    pub(crate) leases: Vec<LeaseChange>,
    /// Single values.
    pub(crate) meta: Meta,
}

impl Batch {
    /// Whether there is nothing to make durable.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.removed.is_empty() && self.leases.is_empty() && self.meta == Meta::default()
    }
}

/// The newest state, with what is not durable yet.
pub(crate) struct Core {
    pub(super) index: Index,
    pub(super) revision: i64,
    pub(super) compacted: i64,
    pub(super) compaction: Option<Progress>,
    pub(super) batch: Batch,
    loading: Loading,
    durable: Arc<dyn Records + Send + Sync>,
    lessor: Arc<Mutex<Lessor>>,
    /// Set when the quota is used up: puts and grants are refused, deletes and compactions are not.
    pub(crate) no_space: bool,
}

impl Core {
    /// An empty store at revision 1 over an engine that holds nothing yet, or whose records follow
    /// through [`Core::load`].
    pub(crate) fn new(durable: Arc<dyn Records + Send + Sync>, lessor: Arc<Mutex<Lessor>>) -> Self {
        Self {
            index: Index::default(),
            revision: 1,
            compacted: -1,
            compaction: None,
            batch: Batch::default(),
            loading: Loading::default(),
            durable,
            lessor,
            no_space: false,
        }
    }

    /// Takes in one record found on disk, in order of revision; it counts from [`Core::loaded`] on.
    pub(crate) fn load(&mut self, at: Revision, record: Record) {
        self.loading.add(at, record);
        self.revision = self.revision.max(at.main());
    }

    /// Ends loading: what the engine says of compaction, and the leases' keys.
    pub(crate) fn loaded(&mut self, meta: Meta) {
        self.index = std::mem::take(&mut self.loading).finish();
        self.compacted = meta.compacted.unwrap_or(-1);
        if meta.compacted > meta.compaction_finished {
            self.resume_compaction();
        }
        let everything = KeyRange::Span {
            start: Bytes::new(),
            end: None,
        };
        let mut lessor = self.lessor.lock();
        for (key, history) in self.index.histories(&everything) {
            if history.lease() != 0 && history.live().is_some() {
                lessor.attach(history.lease(), key.clone());
            }
        }
    }

    /// The newest main revision.
    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// History below it is given up; -1 before the first compaction.
    pub(crate) fn compacted(&self) -> i64 {
        self.compacted
    }

    /// The newest index.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The leases.
    pub(crate) fn lessor(&self) -> &Arc<Mutex<Lessor>> {
        &self.lessor
    }

    /// Begins a transaction. Its changes, if there are any, share the next revision.
    pub(crate) fn begin(&mut self) -> Writer<'_> {
        Writer {
            main: self.revision + 1,
            sub: 0,
            core: self,
        }
    }

    /// Records that a lease was granted.
    pub(crate) fn lease_changed(&mut self, change: LeaseChange) {
        self.batch.leases.push(change);
    }

    /// What must become durable now; nothing applied so far may be acknowledged before it is.
    pub(crate) fn take_batch(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }
}

impl Records for Core {
    fn read(&self, revisions: &[Revision], values: bool) -> Result<Vec<Option<Record>>, EngineError> {
        let Some(first) = self.batch.changes.first().map(|change| change.at) else {
            return self.durable.read(revisions, values);
        };
        let old: Vec<_> = revisions.iter().copied().filter(|at| *at < first).collect();
        let mut old = self.durable.read(&old, values)?.into_iter();
        let pending = |at: &Revision| {
            let position = self.batch.changes.binary_search_by_key(at, |change| change.at).ok()?;
            Some(self.batch.changes[position].record.clone())
        };
        Ok(revisions
            .iter()
            .map(|at| if *at < first { old.next().flatten() } else { pending(at) })
            .collect())
    }
}

/// A transaction being applied. There is no way back: check first, then write.
pub(crate) struct Writer<'a> {
    core: &'a mut Core,
    main: i64,
    sub: i64,
}

impl Writer<'_> {
    /// The store's revision as this transaction sees it: the next one, once it has changed anything.
    pub(crate) fn revision(&self) -> i64 {
        self.core.revision
    }

    /// The store with the changes so far.
    pub(crate) fn core(&self) -> &Core {
        self.core
    }

    /// Sets `key`.
    pub(crate) fn put(&mut self, key: Bytes, value: Bytes, lease: i64) {
        let at = self.next();
        let history = self.core.index.get(&key);
        let live = history.and_then(|history| history.live());
        let old_lease = history.map_or(0, |history| history.lease());
        let create_revision = match (live, history) {
            (Some(_), Some(history)) => history.create_revision(),
            _ => self.main,
        };
        let version = live.map_or(1, |live| live.version + 1);
        self.move_lease(&key, old_lease, lease);
        self.write(Change {
            at,
            record: Record {
                key,
                create_revision,
                version,
                lease,
                value,
            },
            before: live.map(|live| live.at),
        });
    }

    /// Deletes every key of `range`; returns the revisions they had.
    pub(crate) fn delete(&mut self, range: &KeyRange) -> Vec<Revision> {
        let doomed: Vec<_> = self
            .core
            .index
            .histories(range)
            .filter_map(|(key, history)| Some((key.clone(), history.live()?.at, history.lease())))
            .collect();
        let mut were = Vec::with_capacity(doomed.len());
        for (key, before, lease) in doomed {
            let at = self.next();
            self.move_lease(&key, lease, 0);
            self.write(Change {
                at,
                record: Record {
                    key,
                    ..Record::default()
                },
                before: Some(before),
            });
            were.push(before);
        }
        were
    }

    fn next(&mut self) -> Revision {
        let at = Revision::new(self.main, self.sub);
        self.sub += 1;
        at
    }

    fn move_lease(&self, key: &Bytes, from: i64, to: i64) {
        if from == to {
            return;
        }
        let mut lessor = self.core.lessor.lock();
        lessor.detach(from, key);
        lessor.attach(to, Bytes::copy_from_slice(key));
    }

    fn write(&mut self, change: Change) {
        self.core.revision = self.main;
        self.core.index.push(change.at, &change.record);
        self.core.batch.changes.push(Arc::new(change));
    }
}

impl Core {
    /// Refuses a deletion of more keys than one transaction may change.
    pub(crate) fn check_delete(&self, range: &KeyRange) -> Result<(), Error> {
        let most = usize::try_from(Revision::MAX_SUB / 2).unwrap_or(usize::MAX);
        match range {
            KeyRange::One(_) => Ok(()),
            KeyRange::Span { .. } if self.index.len() <= most => Ok(()),
            KeyRange::Span { .. } if self.index.live(range, self.revision).nth(most).is_none() => Ok(()),
            KeyRange::Span { .. } => Err(Error::TooManyChanges),
        }
    }
}
