//! Bookmarks: a quiet watch tells its client, each minute, how far it has seen.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::status::Result;
use futures::{Stream, StreamExt as _};

use super::{Change, ChangeStream, Store};

/// Time between bookmarks of a quiet watch.
const EVERY: Duration = Duration::from_secs(60);

/// What the watch below yields.
pub(super) enum Step {
    /// Something for the client.
    Change(Change),
    /// Nothing for the client, but seen up to this revision.
    Seen(i64),
}

struct State {
    store: Arc<Store>,
    steps: Pin<Box<dyn Stream<Item = Result<Step>> + Send>>,
    timer: tokio::time::Interval,
    seen: i64,
    told: i64,
    wanted: bool,
}

/// Passes changes on; with `wanted`, newly seen revisions become bookmarks.
pub(super) fn weave(
    store: Arc<Store>,
    steps: Pin<Box<dyn Stream<Item = Result<Step>> + Send>>,
    after: i64,
    wanted: bool,
) -> ChangeStream {
    let timer = tokio::time::interval_at(tokio::time::Instant::now() + EVERY, EVERY);
    let state = State {
        store,
        steps,
        timer,
        seen: after,
        told: after,
        wanted,
    };
    Box::pin(futures::stream::unfold(state, |mut s| async move {
        loop {
            tokio::select! {
                step = s.steps.next() => match step? {
                    Ok(Step::Seen(rev)) => s.seen = s.seen.max(rev),
                    Ok(Step::Change(change)) => {
                        s.seen = s.seen.max(change.entry.rev);
                        s.told = s.seen;
                        return Some((Ok(change), s));
                    }
                    Err(e) => return Some((Err(e), s)),
                },
                _ = s.timer.tick(), if s.wanted => {
                    if s.seen > s.told {
                        s.told = s.seen;
                        let bookmark = s.store.bookmark(s.seen, false);
                        return Some((Ok(bookmark), s));
                    }
                }
            }
        }
    }))
}
