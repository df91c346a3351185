//! Compaction without being asked (`--auto-compaction-mode`, `--auto-compaction-retention`).
//! Source: etcd `server/etcdserver/api/v3compactor` (`periodic.go`, `revision.go`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::store::Store;

/// What to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompaction {
    /// The history of this long.
    Periodic(Duration),
    /// This many revisions.
    Revision(i64),
}

/// The revision compactor looks so often.
const REVISION_INTERVAL: Duration = Duration::from_secs(300);
/// Looks per retention period.
const SAMPLES: u32 = 10;

/// Runs until the store stops.
pub(crate) async fn run(store: Arc<Store>, rule: AutoCompaction) {
    let (pause, samples) = match rule {
        // Once an hour at least, as etcd: long periods are compacted hourly.
        AutoCompaction::Periodic(period) => {
            let pause = period.min(Duration::from_secs(3600)) / SAMPLES;
            let pause = pause.max(Duration::from_millis(100));
            (
                pause,
                usize::try_from(period.as_nanos() / pause.as_nanos()).unwrap_or(usize::MAX),
            )
        }
        AutoCompaction::Revision(_) => (REVISION_INTERVAL, 0),
    };
    let mut seen = VecDeque::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = store.stopped() => return,
        }
        let revision = store.published().revision;
        let target = match rule {
            AutoCompaction::Revision(keep) => revision - keep,
            AutoCompaction::Periodic(_) => {
                seen.push_back(revision);
                if seen.len() <= samples {
                    continue;
                }
                seen.pop_front().unwrap_or(0)
            }
        };
        if target > store.published().compacted.max(0) {
            // Compacted by somebody else meanwhile: fine.
            match store.write(move |core| core.compact(target)).await {
                Ok(Ok(())) => tracing::info!(revision = target, "compacted automatically"),
                Ok(Err(_)) => {}
                Err(_) => return,
            }
        }
    }
}
