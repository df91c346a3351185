//! Keeps the copy: one list, then one watch of all keys, resumed where it broke.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::storage::{ListRequest, Storage, StorageError, WatchItem};

/// Pause before the store is asked again.
const RETRY: Duration = Duration::from_millis(250);
/// How often listeners are told how far the copy is: their bookmarks.
const TELL: Duration = Duration::from_secs(20);

/// Fills the copy and keeps it, until `shutdown`.
pub(super) async fn run(inner: Arc<dyn Storage>, shared: Arc<Shared>, prefix: String, shutdown: CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = forever(&*inner, &shared, &prefix) => {}
    }
}

async fn forever(inner: &dyn Storage, shared: &Shared, prefix: &str) {
    loop {
        match inner
            .list(&ListRequest {
                prefix: prefix.to_owned(),
                ..Default::default()
            })
            .await
        {
            Ok(page) => {
                tracing::info!(keys = page.items.len(), revision = page.revision, "watch cache filled");
                shared.state.lock().reset(page.revision, page.items);
                shared.seen.send_replace(page.revision);
                follow(inner, shared).await;
            }
            Err(error) => tracing::warn!(%error, "watch cache cannot list"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Watches until history is lost.
async fn follow(inner: &dyn Storage, shared: &Shared) {
    loop {
        let seen = *shared.seen.borrow();
        match inner.watch("", seen).await {
            Ok(stream) => match take(stream, shared).await {
                Some(StorageError::Compacted(_)) => return tracing::info!("watch cache fell behind the compaction"),
                Some(error) => tracing::info!(%error, "watch cache resumes its watch"),
                None => tracing::info!("watch cache resumes its watch"),
            },
            Err(StorageError::Compacted(_)) => return,
            Err(error) => tracing::warn!(%error, "watch cache cannot watch"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn take(mut stream: crate::storage::WatchStream, shared: &Shared) -> Option<StorageError> {
    let from = *shared.seen.borrow();
    let mut tell = tokio::time::interval(TELL);
    loop {
        tokio::select! {
            item = stream.next() => match item? {
                // After a resume, events of a half-seen revision come again.
                Ok(WatchItem::Event(e)) if e.rev > from => shared.state.lock().apply(e),
                Ok(WatchItem::Event(_)) => {}
                Ok(WatchItem::Progress(rev)) => {
                    shared.state.lock().advance(rev);
                    shared.seen.send_if_modified(|s| {
                        let newer = rev > *s;
                        *s = (*s).max(rev);
                        newer
                    });
                }
                Err(error) => return Some(error),
            },
            _ = tell.tick() => shared.state.lock().tell(),
        }
    }
}
