//! Bookmarks: about each minute, and just before its end, a watch tells its client how far it has
//! seen (upstream `cacheWatcher.nextBookmarkTime`).

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::status::Result;
use futures::{Stream, StreamExt as _};
use tokio::time::Instant;

use super::{Change, ChangeStream, Store};

/// Time between bookmarks.
const EVERY: Duration = Duration::from_secs(60);
/// How long before the end of a watch the last bookmark comes.
const BEFORE_END: Duration = Duration::from_secs(2);

/// When bookmarks are due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cadence {
    /// Time until the watch is ended, when that is known.
    pub(super) life: Option<Duration>,
}

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
    /// When the last bookmark is due.
    last: Option<Instant>,
    /// When the next one is due; `None`: no more.
    next: Option<Instant>,
    seen: i64,
}

impl State {
    /// The time of the bookmark after one at `now`.
    fn schedule(&mut self, now: Instant) {
        let regular = now + EVERY;
        self.next = match self.last {
            Some(last) if last <= now => None,
            Some(last) => Some(regular.min(last)),
            None => Some(regular),
        };
    }
}

/// Passes changes on and weaves bookmarks in; without a `cadence` there are none.
pub(super) fn weave(
    store: Arc<Store>,
    steps: Pin<Box<dyn Stream<Item = Result<Step>> + Send>>,
    after: i64,
    cadence: Option<Cadence>,
) -> ChangeStream {
    let now = Instant::now();
    let mut state = State {
        store,
        steps,
        last: cadence
            .and_then(|c| c.life)
            .and_then(|l| l.checked_sub(BEFORE_END))
            .and_then(|l| now.checked_add(l)),
        next: None,
        seen: after,
    };
    if cadence.is_some_and(|c| c.life.is_none_or(|l| l > BEFORE_END)) {
        state.schedule(now);
    }
    Box::pin(futures::stream::unfold(state, |mut s| async move {
        loop {
            let due = s.next;
            let bell = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // First: a stream that is always ready must not silence it.
                biased;
                () = bell => {
                    s.schedule(Instant::now());
                    let bookmark = s.store.bookmark(s.seen, false);
                    return Some((Ok(bookmark), s));
                }
                step = s.steps.next() => match step? {
                    Ok(Step::Seen(rev)) => s.seen = s.seen.max(rev),
                    Ok(Step::Change(change)) => {
                        s.seen = s.seen.max(change.entry.rev);
                        return Some((Ok(change), s));
                    }
                    Err(e) => return Some((Err(e), s)),
                },
            }
        }
    }))
}
