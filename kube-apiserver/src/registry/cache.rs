//! One resource kept in memory by a watch: for RBAC, namespaces, nodes, service accounts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use imbl::OrdMap;
use parking_lot::RwLock;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::options::ListOptions;
use super::store::{ChangeKind, Store};

/// Objects by (namespace, name).
type Objects = OrdMap<(String, String), Arc<Value>>;

/// A live copy of one resource. Reads are instant and may be a moment behind.
pub(crate) struct ObjectCache {
    objects: RwLock<Objects>,
    /// Counts changes; 0 until the first list is in.
    changes: watch::Sender<u64>,
}

impl ObjectCache {
    /// Starts to follow `store`, until `shutdown`.
    pub(crate) fn start(store: Arc<Store>, shutdown: CancellationToken) -> Arc<Self> {
        let cache = Arc::new(ObjectCache {
            objects: RwLock::new(OrdMap::new()),
            changes: watch::channel(0).0,
        });
        let weak = Arc::downgrade(&cache);
        tokio::spawn(async move {
            loop {
                let Some(cache) = weak.upgrade() else { return };
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = cache.follow(&store) => {}
                }
                // A watch that ends at once must not spin.
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_millis(200)) => {}
                }
            }
        });
        cache
    }

    /// List, then watch until the watch ends.
    async fn follow(&self, store: &Arc<Store>) {
        let list = match store.list("", &ListOptions::default()).await {
            Ok(list) => list,
            Err(error) => return tracing::warn!(resource = %store.group_resource(), %error, "cannot list"),
        };
        *self.objects.write() = list.items.iter().map(|e| (key(&e.value), e.value.clone())).collect();
        self.changes.send_modify(|n| *n += 1);
        let options = ListOptions {
            resource_version: list.resource_version.to_string(),
            ..Default::default()
        };
        let mut stream = match store.watch("", &options).await {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(resource = %store.group_resource(), %error, "cannot watch"),
        };
        while let Some(item) = stream.next().await {
            let change = match item {
                Ok(change) => change,
                Err(error) => return tracing::info!(resource = %store.group_resource(), %error, "watch ended"),
            };
            match change.kind {
                ChangeKind::Added | ChangeKind::Modified => {
                    self.objects
                        .write()
                        .insert(key(&change.entry.value), change.entry.value.clone());
                }
                ChangeKind::Deleted => {
                    self.objects.write().remove(&key(&change.entry.value));
                }
                ChangeKind::Bookmark => continue,
            }
            self.changes.send_modify(|n| *n += 1);
        }
    }

    /// The object, if there is one. `ns` is empty for cluster-scoped kinds.
    pub(crate) fn get(&self, ns: &str, name: &str) -> Option<Arc<Value>> {
        self.objects.read().get(&(ns.to_owned(), name.to_owned())).cloned()
    }

    /// All objects of a namespace, or all (`ns` empty), in key order.
    pub(crate) fn list(&self, ns: &str) -> Vec<Arc<Value>> {
        let snapshot = self.objects.read().clone();
        snapshot
            .iter()
            .filter(|((n, _), _)| ns.is_empty() || n == ns)
            .map(|(_, v)| v.clone())
            .collect()
    }

    /// Whether the first list is in.
    pub(crate) fn synced(&self) -> bool {
        *self.changes.borrow() > 0
    }

    /// Waits for the first list.
    pub(crate) async fn wait_synced(&self) {
        let mut rx = self.changes.subscribe();
        // The sender lives in self: it cannot close meanwhile.
        let _ = rx.wait_for(|n| *n > 0).await;
    }

    /// A counter that moves with every change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

fn key(v: &Value) -> (String, String) {
    (
        apimachinery::meta::namespace(v).to_owned(),
        apimachinery::meta::name(v).to_owned(),
    )
}

/// Several caches by (group, resource).
pub(crate) type Caches = HashMap<(&'static str, &'static str), Arc<ObjectCache>>;
