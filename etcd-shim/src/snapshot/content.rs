//! What a snapshot holds, whatever its format, and what must be true of it.

use anyhow::ensure;
use bytes::Bytes;

use crate::kv_hash::KvHash;
use crate::mvcc::{Meta, Record, Revision};

/// A piece of a snapshot. Records come in order of revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A change of a key.
    Record(Revision, Record),
    /// A lease and the seconds it was granted for.
    Lease {
        /// Its ID.
        id: i64,
        /// Seconds.
        ttl: i64,
    },
    /// How far it is compacted.
    Meta(Meta),
    /// What its owner should know.
    Note(&'static str),
}

/// Who takes the pieces.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Part) -> anyhow::Result<()>;

/// A record that says no more than that the store's revision is at least this: the tombstone of the empty key, which no
/// client can name.
///
/// # Errors
/// When there is no such revision.
pub(crate) fn filler(main: i64) -> anyhow::Result<(Revision, Record)> {
    ensure!(
        (1..=Revision::MAX_MAIN).contains(&main),
        "revision {main} is out of range"
    );
    Ok((Revision::new(main, 0), Record::default()))
}

/// Proves the pieces as they go by, and adds them up.
pub(crate) struct Account {
    hash: KvHash,
    last: Option<Revision>,
    /// Number of records.
    pub(crate) records: u64,
    leases: Vec<(i64, i64)>,
    /// How far it is compacted.
    pub(crate) meta: Meta,
    /// What its owner should know.
    pub(crate) notes: Vec<&'static str>,
}

impl Account {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            hash: KvHash::new(),
            last: None,
            records: 0,
            leases: Vec::new(),
            meta: Meta::default(),
            notes: Vec::new(),
        }
    }

    /// Takes a piece in.
    ///
    /// # Errors
    /// When no store would have written it.
    pub(crate) fn add(&mut self, part: &Part) -> anyhow::Result<()> {
        match part {
            Part::Record(at, record) => {
                ensure!(
                    self.last.is_none_or(|last| last < *at),
                    "revision {at:?} comes after {:?}",
                    self.last
                );
                check(*at, record)?;
                self.hash.add(*at, record);
                self.last = Some(*at);
                self.records += 1;
            }
            Part::Lease { id, ttl } => self.leases.push((*id, *ttl)),
            Part::Meta(meta) => self.meta = *meta,
            Part::Note(note) => self.notes.push(note),
        }
        Ok(())
    }

    /// The store's revision.
    pub(crate) fn revision(&self) -> i64 {
        self.last.map_or(1, Revision::main)
    }

    /// etcd's checksum of the records.
    pub(crate) fn hash(&self) -> u32 {
        self.hash.value()
    }

    /// The leases in order.
    pub(crate) fn leases(&self) -> Vec<(i64, i64)> {
        let mut leases = self.leases.clone();
        leases.sort_unstable();
        leases
    }

    /// Proves what only the whole can show.
    ///
    /// # Errors
    /// When it is compacted beyond its last revision.
    pub(crate) fn finish(&self) -> anyhow::Result<()> {
        let compacted = self.meta.compacted.unwrap_or(-1);
        ensure!(
            compacted <= self.revision(),
            "compacted at revision {compacted}, but the last is {}",
            self.revision()
        );
        ensure!(
            self.meta.compaction_finished.unwrap_or(-1) <= compacted,
            "a compaction ended that did not begin"
        );
        ensure!(
            self.leases().windows(2).all(|pair| pair[0].0 != pair[1].0),
            "a lease is there twice"
        );
        Ok(())
    }
}

fn check(at: Revision, record: &Record) -> anyhow::Result<()> {
    let main = at.main();
    ensure!(at.raw() >= 0, "revision {at:?} is out of range");
    let right = if record.is_tombstone() {
        *record
            == Record {
                key: record.key.clone(),
                ..Record::default()
            }
    } else {
        record.version > 0 && (1..=main).contains(&record.create_revision) && !record.key.is_empty()
    };
    ensure!(
        right,
        "revision {at:?}: created at {}, version {}, a key of {} bytes",
        record.create_revision,
        record.version,
        Bytes::len(&record.key)
    );
    Ok(())
}
