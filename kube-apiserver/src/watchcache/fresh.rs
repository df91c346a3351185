//! The store's revision, asked for once on behalf of many.
//!
//! A consistent read needs a revision the store reported after the read arrived. Readers that arrive
//! while a question is under way share the next one.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::storage::{Storage, StorageError};

/// The questions, one after the other.
#[derive(Default)]
pub(super) struct Fresh {
    /// How many have begun.
    begun: AtomicU64,
    /// Which was answered last, and how.
    last: Mutex<(u64, i64)>,
}

impl Fresh {
    /// A revision the store had at this moment or later.
    pub(super) async fn revision(&self, store: &dyn Storage) -> Result<i64, StorageError> {
        let arrived = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if last.0 > arrived {
            return Ok(last.1);
        }
        // The lock is held while the store thinks: the others wait for this answer or the next turn.
        let turn = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let revision = store.current_revision().await?;
        *last = (turn, revision);
        Ok(revision)
    }
}
