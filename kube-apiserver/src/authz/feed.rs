//! Feeds the in-memory indexes of the authorizers from the store: list, then watch, forever.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::fields::Selector;
use futures::StreamExt as _;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::registry::options::ListOptions;
use crate::registry::store::ChangeKind;
use crate::registry::{Entry, Store};

/// Takes one change: namespace, name, and the object's new state or `None` when it is gone.
pub(crate) type Apply = Box<dyn Fn(&str, &str, Option<&Value>) + Send + Sync>;

/// How long to wait before a broken watch is started again; doubles while the store does not answer.
const PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Says when the first lists of several feeds are in.
#[derive(Clone, Default)]
pub(crate) struct Synced(Vec<watch::Receiver<bool>>);

impl Synced {
    /// Waits for all feeds.
    pub(crate) async fn wait(&self) {
        for r in &self.0 {
            // The feed went away: the server is shutting down.
            let _ = r.clone().wait_for(|done| *done).await;
        }
    }

    /// Whether all first lists are in.
    pub(crate) fn done(&self) -> bool {
        self.0.iter().all(|r| *r.borrow())
    }

    /// Adds a feed.
    pub(crate) fn push(&mut self, feed: watch::Receiver<bool>) {
        self.0.push(feed);
    }
}

/// Starts to follow the objects of one resource that `fields` selects, until `shutdown`.
pub(crate) fn follow(
    store: Arc<Store>,
    fields: Selector,
    shutdown: CancellationToken,
    apply: Apply,
) -> watch::Receiver<bool> {
    let (done, synced) = watch::channel(false);
    tokio::spawn(async move {
        let mut known = HashSet::new();
        let mut pause = PAUSE;
        loop {
            let watched = tokio::select! {
                () = shutdown.cancelled() => return,
                watched = once(&store, &fields, &apply, &mut known, &done) => watched,
            };
            pause = if watched { PAUSE } else { (pause * 2).min(MAX_PAUSE) };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
    synced
}

type Key = (String, String);

/// One list and the watch behind it, until it breaks; false when it did not come to the watch.
async fn once(
    store: &Arc<Store>,
    fields: &Selector,
    apply: &Apply,
    known: &mut HashSet<Key>,
    done: &watch::Sender<bool>,
) -> bool {
    let selected = ListOptions {
        fields: Some(fields.clone()),
        ..Default::default()
    };
    let list = match store.list("", &selected).await {
        Ok(list) => list,
        Err(error) => {
            tracing::warn!(resource = %store.group_resource(), %error, "cannot list");
            return false;
        }
    };
    let mut present = HashSet::with_capacity(list.items.len());
    for e in &list.items {
        let key = key(e);
        apply(&key.0, &key.1, Some(&e.value()));
        present.insert(key);
    }
    for gone in known.difference(&present) {
        apply(&gone.0, &gone.1, None);
    }
    *known = present;
    done.send_replace(true);
    let options = ListOptions {
        resource_version: list.resource_version.to_string(),
        ..selected
    };
    let mut stream = match store.watch("", &options).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(resource = %store.group_resource(), %error, "cannot watch");
            return false;
        }
    };
    while let Some(item) = stream.next().await {
        let change = match item {
            Ok(change) => change,
            Err(error) => {
                tracing::info!(resource = %store.group_resource(), %error, "watch ended");
                return true;
            }
        };
        let key = key(&change.entry);
        match change.kind {
            ChangeKind::Added | ChangeKind::Modified => {
                apply(&key.0, &key.1, Some(&change.entry.value()));
                known.insert(key);
            }
            ChangeKind::Deleted => {
                apply(&key.0, &key.1, None);
                known.remove(&key);
            }
            ChangeKind::Bookmark => {}
        }
    }
    true
}

fn key(entry: &Entry) -> Key {
    (entry.index.namespace.clone(), entry.index.name.clone())
}
