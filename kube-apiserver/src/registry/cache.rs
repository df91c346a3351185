//! One resource kept in memory by a watch: for RBAC, namespaces, nodes, service accounts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apimachinery::status::Result;
use async_trait::async_trait;
use futures::StreamExt as _;
use imbl::OrdMap;
use parking_lot::RwLock;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Registry;
use super::options::ListOptions;
use super::store::{ChangeKind, Store};
use crate::objects::Objects;

/// Objects by (namespace, name).
type ByName = OrdMap<(String, String), Arc<Value>>;

/// A live copy of one resource. Reads are instant and may be a moment behind.
pub(crate) struct ObjectCache {
    objects: RwLock<ByName>,
    /// The first list is in.
    synced: AtomicBool,
}

impl ObjectCache {
    /// Starts to follow `store`, until `shutdown`.
    pub(crate) fn start(store: Arc<Store>, shutdown: CancellationToken) -> Arc<Self> {
        let cache = Arc::new(ObjectCache {
            objects: RwLock::new(OrdMap::new()),
            synced: AtomicBool::new(false),
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
        *self.objects.write() = list.items.iter().map(|e| (key(&e.value()), e.value())).collect();
        self.synced.store(true, Ordering::Release);
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
                        .insert(key(&change.entry.value()), change.entry.value());
                }
                ChangeKind::Deleted => {
                    self.objects.write().remove(&key(&change.entry.value()));
                }
                ChangeKind::Bookmark => {}
            }
        }
    }

    /// The object, if there is one. `ns` is empty for cluster-scoped kinds.
    pub(crate) fn get(&self, ns: &str, name: &str) -> Option<Arc<Value>> {
        self.objects.read().get(&(ns.to_owned(), name.to_owned())).cloned()
    }

    /// All objects of a namespace, or all (`ns` empty), in key order.
    pub(crate) fn list(&self, ns: &str) -> Vec<Arc<Value>> {
        let snapshot = self.objects.read().clone();
        // Every write asks for the few objects of its namespace: the others are not looked at.
        snapshot
            .range((ns.to_owned(), String::new())..)
            .take_while(|((n, _), _)| ns.is_empty() || n == ns)
            .map(|(_, v)| v.clone())
            .collect()
    }

    /// Whether the first list is in. While the store is away the copy answers as it was, as an
    /// informer's does.
    pub(crate) fn synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }
}

fn key(v: &Value) -> (String, String) {
    (
        apimachinery::meta::namespace(v).to_owned(),
        apimachinery::meta::name(v).to_owned(),
    )
}

/// [`Objects`](crate::objects::Objects) that answers reads of a few small resources from memory, as
/// upstream's admission and authentication do from their informers. An object that is not in memory
/// is looked for in the store; writes go to the store.
pub(crate) struct CachedObjects {
    registry: Arc<Registry>,
    caches: Vec<(&'static str, &'static str, Arc<ObjectCache>)>,
}

/// What every write or token asks for.
const CACHED: [(&str, &str); 9] = [
    ("", "namespaces"),
    ("", "serviceaccounts"),
    ("", "nodes"),
    ("", "limitranges"),
    ("", "resourcequotas"),
    ("node.k8s.io", "runtimeclasses"),
    ("scheduling.k8s.io", "priorityclasses"),
    ("storage.k8s.io", "storageclasses"),
    ("networking.k8s.io", "ingressclasses"),
];

impl CachedObjects {
    /// Starts the caches.
    pub(crate) fn start(registry: &Arc<Registry>, shutdown: &CancellationToken) -> Arc<Self> {
        let caches = CACHED.iter().filter_map(|(group, resource)| {
            let store = registry.store(group, resource)?.clone();
            Some((*group, *resource, ObjectCache::start(store, shutdown.clone())))
        });
        Arc::new(CachedObjects {
            caches: caches.collect(),
            registry: registry.clone(),
        })
    }

    fn cache(&self, group: &str, resource: &str) -> Option<&ObjectCache> {
        let (_, _, cache) = self.caches.iter().find(|(g, r, _)| *g == group && *r == resource)?;
        Some(cache.as_ref()).filter(|c| c.synced())
    }
}

#[async_trait]
impl Objects for CachedObjects {
    async fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Arc<Value>> {
        match self.cache(group, resource).and_then(|c| c.get(namespace, name)) {
            Some(found) => Ok(found),
            None => self.registry.get(group, resource, namespace, name).await,
        }
    }

    async fn latest(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Arc<Value>> {
        self.registry.get(group, resource, namespace, name).await
    }

    async fn list(&self, group: &str, resource: &str, namespace: &str) -> Result<Vec<Arc<Value>>> {
        match self.cache(group, resource) {
            Some(cache) => Ok(cache.list(namespace)),
            None => self.registry.list(group, resource, namespace).await,
        }
    }

    async fn create(&self, group: &str, resource: &str, namespace: &str, obj: Value) -> Result<Arc<Value>> {
        self.registry.create(group, resource, namespace, obj).await
    }

    async fn update(&self, group: &str, resource: &str, namespace: &str, obj: Value) -> Result<Arc<Value>> {
        self.registry.update(group, resource, namespace, obj).await
    }

    async fn update_status(&self, group: &str, resource: &str, namespace: &str, obj: Value) -> Result<Arc<Value>> {
        self.registry.update_status(group, resource, namespace, obj).await
    }

    async fn delete(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<()> {
        self.registry.delete(group, resource, namespace, name).await
    }
}
