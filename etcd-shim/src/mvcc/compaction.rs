//! Forgetting history below a revision, a few keys at a time, so that no write waits for all of it.

use bytes::Bytes;

use super::{Core, Error};

/// Keys visited per step: about a millisecond of work between two commits.
const KEYS_PER_STEP: usize = 1000;

/// A compaction under way.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    at: i64,
    after: Option<Bytes>,
}

impl Core {
    /// Gives up history below `at`. Reads and watches below it fail from now on; the space is freed by
    /// [`Core::compact_step`].
    pub(crate) fn compact(&mut self, at: i64) -> Result<(), Error> {
        if at <= self.compacted {
            return Err(Error::Compacted);
        }
        if at > self.revision {
            return Err(Error::Future);
        }
        self.compacted = at;
        self.compaction = Some(Progress { at, after: None });
        self.batch.meta.compacted = Some(at);
        Ok(())
    }

    /// Whether space waits to be freed.
    pub(crate) fn is_compacting(&self) -> bool {
        self.compaction.is_some()
    }

    /// Frees some; the removals are in the next batch.
    pub(crate) fn compact_step(&mut self) {
        let Some(Progress { at, after }) = self.compaction.take() else {
            return;
        };
        let mut removed = Vec::new();
        if let Some(last) = self.index.compact_some(after.as_ref(), KEYS_PER_STEP, at, &mut removed) {
            self.compaction = Some(Progress { at, after: Some(last) });
        } else {
            self.batch.meta.compaction_finished = Some(at);
        }
        self.batch.removed.append(&mut removed);
    }

    /// Starts again a compaction that a crash cut short.
    pub(super) fn resume_compaction(&mut self) {
        self.compaction = Some(Progress {
            at: self.compacted,
            after: None,
        });
    }
}
