//! Watch: the changes of one resource as the selecting client sees them.
//!
//! An object that starts or stops to match is ADDED or DELETED for that client (upstream
//! `etcd3/watcher.go` `transform`). Initial events and bookmarks: `cacher`'s watch-list semantics.

use std::pin::Pin;
use std::sync::Arc;

use apimachinery::status::{ApiError, Result};
use apimachinery::validation::is_path_segment_name;
use futures::{Stream, StreamExt as _};
use serde_json::json;

use super::bookmarks::{self, Step};
use super::delivery::{Delivery, Selected};
use super::{Entry, Store};
use crate::registry::options::{ListOptions, Match};
use crate::registry::selection::Selection;
use crate::storage::{StorageError, WatchItem, WatchStream};

/// Type of a watch event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    /// New for this watcher.
    Added,
    /// Changed.
    Modified,
    /// Gone for this watcher.
    Deleted,
    /// Only a resourceVersion.
    Bookmark,
}

impl ChangeKind {
    /// How many there are.
    pub(super) const COUNT: usize = 4;

    /// `ADDED`, ...
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Added => "ADDED",
            ChangeKind::Modified => "MODIFIED",
            ChangeKind::Deleted => "DELETED",
            ChangeKind::Bookmark => "BOOKMARK",
        }
    }
}

/// One watch event.
pub(crate) struct Change {
    /// What happened.
    pub(crate) kind: ChangeKind,
    /// The object after it (before it, when deleted).
    pub(crate) entry: Arc<Entry>,
    /// What it looks like to everybody who watches the object, if others do.
    pub(crate) delivery: Option<Arc<Delivery>>,
}

/// Changes until the client goes; an error is the last item.
pub(crate) type ChangeStream = Pin<Box<dyn Stream<Item = Result<Change>> + Send>>;

const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

impl Store {
    /// Watches a namespace, or everything.
    pub(crate) async fn watch(self: &Arc<Self>, ns: &str, options: &ListOptions) -> Result<ChangeStream> {
        let selection = Selection::new(options);
        let wanted = options
            .version()
            .map_err(|e| ApiError::generic(500, "", e.to_string()))?;
        let state_first = match options.send_initial_events {
            Some(explicit) => explicit,
            None => wanted.unwrap_or(0) == 0,
        };
        let mut initial = vec![];
        let after = if state_first {
            let at_hand = !options.resource_version.is_empty();
            let now = ListOptions {
                labels: options.labels.clone(),
                fields: options.fields.clone(),
                resource_version: options.resource_version.clone(),
                version_match: at_hand.then_some(Match::NotOlderThan),
                ..Default::default()
            };
            let list = match self.list(ns, &now).await {
                Ok(list) => list,
                // As upstream: the watch opens, its first event is the error.
                Err(e) if e.is_timeout() => return Ok(only(e)),
                Err(e) => return Err(e),
            };
            initial.extend(list.items.into_iter().map(|entry| {
                Ok(Change {
                    kind: ChangeKind::Added,
                    entry,
                    delivery: None,
                })
            }));
            if options.send_initial_events == Some(true) && options.bookmarks {
                initial.push(Ok(self.bookmark(list.resource_version, true)));
            }
            list.resource_version
        } else {
            match wanted.unwrap_or(0) {
                0 => self
                    .storage
                    .current_revision()
                    .await
                    .map_err(|e| self.failed(e, "watch"))?,
                rv => rv,
            }
        };
        // A name no key can have selects nothing.
        let single = selection
            .single_name()
            .filter(|name| is_path_segment_name(name).is_empty());
        let prefix = match single {
            Some(name) if !self.row.namespaced || !ns.is_empty() => self.key(ns, name)?,
            _ => self.scope(ns),
        };
        let exact = !prefix.ends_with('/');
        let raw = match self.open(&prefix, after, &selection).await {
            Ok(raw) => raw,
            // As upstream: the watch opens, its first event is the error.
            Err(StorageError::Compacted(first)) => return Ok(only(too_old(after, first))),
            Err(e) => return Err(self.failed(e, "watch")),
        };
        let store = self.clone();
        let steps = raw.map(move |item| match item {
            Ok(WatchItem::Event(e)) if exact && *e.key != prefix => Ok(Step::Seen(e.rev)),
            Ok(WatchItem::Event(e)) => store
                .change(&selection, &e)
                .map(|c| c.map_or(Step::Seen(e.rev), Step::Change)),
            Ok(WatchItem::Progress(rev)) => Ok(Step::Seen(rev)),
            Err(StorageError::Compacted(first)) => Err(too_old(after, first)),
            Err(e) => Err(store.failed(e, "watch")),
        });
        let cadence = options.bookmarks.then_some(bookmarks::Cadence { life: options.life });
        let changes = bookmarks::weave(self.clone(), Box::pin(steps), after, cadence);
        Ok(Box::pin(futures::stream::iter(initial).chain(changes)))
    }

    /// The watch below. Who selects is not told of what it does not select: many watch a resource for few objects each.
    async fn open(
        self: &Arc<Self>,
        prefix: &str,
        after: i64,
        selection: &Selection,
    ) -> std::result::Result<WatchStream, StorageError> {
        if selection.is_everything() {
            return self.storage.watch(prefix, after).await;
        }
        let wanted = Box::new(Selected {
            store: self.clone(),
            selection: selection.clone(),
        });
        self.storage.watch_wanted(prefix, after, wanted).await
    }

    /// An empty object of the kind that carries only a revision.
    pub(super) fn bookmark(&self, rev: i64, initial_end: bool) -> Change {
        let mut value = json!({
            "apiVersion": self.row.api_version(),
            "kind": self.row.kind,
            "metadata": {"resourceVersion": rev.to_string()},
        });
        if initial_end {
            value["metadata"]["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        Change {
            kind: ChangeKind::Bookmark,
            entry: self.wrap(rev, value),
            delivery: None,
        }
    }
}

/// A watch of one event: the error.
fn only(e: ApiError) -> ChangeStream {
    Box::pin(futures::stream::iter(vec![Err(e)]))
}

/// 410 with the oldest version a watch could start from, when it is known
/// (upstream `watchCache.getAllEventsSinceLocked`).
fn too_old(after: i64, first: i64) -> ApiError {
    let oldest = if first > 0 {
        format!(" ({})", first - 1)
    } else {
        String::new()
    };
    ApiError::expired(format!("too old resource version: {after}{oldest}"))
}
