//! Compaction, shared by all apiservers of a cluster.
//!
//! Every five minutes each server tries to bump `compact_rev_key`; the one that wins compacts to
//! the revision of its previous turn, so history is kept between five and ten minutes. Protocol:
//! upstream `apiserver/pkg/storage/etcd3/compact.go`.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Storage, StorageError};

/// Where one server stands in the protocol.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    version: i64,
    revision: i64,
}

/// One cycle: try to take the turn, compact to the last cycle's revision when won.
pub(crate) async fn cycle(storage: &dyn Storage, turn: Turn) -> Result<Turn, StorageError> {
    let got = storage.compact_turn(turn.version, turn.revision).await?;
    if got.won && turn.revision > 0 {
        match storage.compact(turn.revision).await {
            Ok(()) => tracing::info!(revision = turn.revision, "compacted"),
            Err(StorageError::Compacted(_)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(Turn {
        version: got.version,
        revision: got.revision,
    })
}

/// Runs cycles until shutdown. `interval` zero: never.
pub(crate) async fn run(storage: Arc<dyn Storage>, interval: Duration, shutdown: CancellationToken) {
    if interval.is_zero() {
        return;
    }
    let mut turn = Turn::default();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
        match cycle(storage.as_ref(), turn).await {
            Ok(next) => turn = next,
            Err(error) => tracing::warn!(%error, "compaction failed"),
        }
    }
}
