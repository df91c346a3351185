//! The local copy of a collection: objects by key, with named indexes. One [`Writer`] (the reflector), many
//! [`Reader`]s. Objects are shared and must not be changed; a change is a request to the apiserver.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::object::{Object, key, key_of};

/// The values of an object in one index.
pub type IndexFn<K> = Arc<dyn Fn(&K) -> Vec<String> + Send + Sync>;

/// Name of the index by namespace that every store has.
pub const NAMESPACE: &str = "namespace";

struct Index<K> {
    values: IndexFn<K>,
    keys: HashMap<String, BTreeSet<Arc<str>>>,
}

struct Inner<K> {
    objects: HashMap<Arc<str>, Arc<K>>,
    indexes: HashMap<&'static str, Index<K>>,
}

struct Shared<K> {
    inner: RwLock<Inner<K>>,
    synced: watch::Sender<bool>,
}

/// A change of the store: what handlers are told.
#[derive(Debug)]
pub enum Change<K> {
    /// There was no such object.
    Added(Arc<K>),
    /// The object was different.
    Updated {
        /// Before.
        old: Arc<K>,
        /// Now.
        new: Arc<K>,
    },
    /// The object is gone; this is the last state known.
    Deleted(Arc<K>),
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        match self {
            Change::Added(object) => Change::Added(object.clone()),
            Change::Updated { old, new } => Change::Updated {
                old: old.clone(),
                new: new.clone(),
            },
            Change::Deleted(object) => Change::Deleted(object.clone()),
        }
    }
}

impl<K> Change<K> {
    /// The newest state known.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Change::Added(object) | Change::Deleted(object) | Change::Updated { new: object, .. } => object,
        }
    }
}

/// A store: returns its two ends.
pub fn store<K: Object>() -> (Writer<K>, Reader<K>) {
    let by_namespace: IndexFn<K> = Arc::new(|object: &K| object.metadata().namespace.iter().cloned().collect());
    let indexes = HashMap::from([(
        NAMESPACE,
        Index {
            values: by_namespace,
            keys: HashMap::new(),
        },
    )]);
    let inner = Inner {
        objects: HashMap::new(),
        indexes,
    };
    let shared = Arc::new(Shared {
        inner: RwLock::new(inner),
        synced: watch::Sender::new(false),
    });
    (Writer { shared: shared.clone() }, Reader { shared })
}

/// The end that changes the store.
pub struct Writer<K> {
    shared: Arc<Shared<K>>,
}

impl<K: Object> Writer<K> {
    /// Puts an object; `None` when nothing changed (same resource version).
    pub fn upsert(&mut self, object: K) -> Option<Change<K>> {
        self.shared.inner.write().upsert(object)
    }

    /// Takes an object out. The state given is the last one.
    pub fn remove(&mut self, object: K) -> Option<Change<K>> {
        let key = key_of(&object);
        self.shared
            .inner
            .write()
            .remove(&key)
            .map(|_| Change::Deleted(Arc::new(object)))
    }

    /// Makes the store hold exactly these objects; the changes are in the order they should be told.
    pub fn replace(&mut self, objects: Vec<K>) -> Vec<Change<K>> {
        let mut inner = self.shared.inner.write();
        let mut gone: BTreeSet<Arc<str>> = inner.objects.keys().cloned().collect();
        let mut changes = Vec::new();
        for object in objects {
            gone.remove(key_of(&object).as_str());
            let uid = object.metadata().uid.clone();
            // Deleted and created again while we were not looking: two objects of one name.
            let known = inner.objects.get(key_of(&object).as_str()).cloned();
            if let Some(old) = known
                && old.metadata().uid != uid
            {
                inner.remove(&key_of(&object));
                changes.push(Change::Deleted(old));
            }
            changes.extend(inner.upsert(object));
        }
        for key in gone {
            changes.extend(inner.remove(&key).map(Change::Deleted));
        }
        changes
    }

    /// Marks the store as complete.
    pub fn set_synced(&self) {
        self.shared
            .synced
            .send_if_modified(|synced| !std::mem::replace(synced, true));
    }

    /// Another reader of the store.
    pub fn reader(&self) -> Reader<K> {
        Reader {
            shared: self.shared.clone(),
        }
    }
}

impl<K: Object> Inner<K> {
    fn upsert(&mut self, object: K) -> Option<Change<K>> {
        let key: Arc<str> = key_of(&object).into();
        let new = Arc::new(object);
        let (stored_key, old) = match self.objects.get_key_value(&key) {
            Some((k, old)) => (k.clone(), Some(old.clone())),
            None => (key, None),
        };
        if let Some(old) = &old
            && old.metadata().resource_version.is_some()
            && old.metadata().resource_version == new.metadata().resource_version
        {
            return None;
        }
        for index in self.indexes.values_mut() {
            if let Some(old) = &old {
                index.remove(&stored_key, old);
            }
            index.insert(&stored_key, &new);
        }
        self.objects.insert(stored_key, new.clone());
        Some(match old {
            Some(old) => Change::Updated { old, new },
            None => Change::Added(new),
        })
    }

    fn remove(&mut self, key: &str) -> Option<Arc<K>> {
        let (key, old) = self.objects.remove_entry(key)?;
        for index in self.indexes.values_mut() {
            index.remove(&key, &old);
        }
        Some(old)
    }
}

impl<K> Index<K> {
    fn insert(&mut self, key: &Arc<str>, object: &K) {
        for value in (self.values)(object) {
            self.keys.entry(value).or_default().insert(key.clone());
        }
    }

    fn remove(&mut self, key: &Arc<str>, object: &K) {
        for value in (self.values)(object) {
            if let Some(keys) = self.keys.get_mut(&value) {
                keys.remove(key);
                if keys.is_empty() {
                    self.keys.remove(&value);
                }
            }
        }
    }
}

/// The end that reads. Clones share the store. Every method takes a short lock and returns shared objects.
pub struct Reader<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for Reader<K> {
    fn clone(&self) -> Self {
        Reader {
            shared: self.shared.clone(),
        }
    }
}

impl<K> std::fmt::Debug for Reader<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("objects", &self.shared.inner.read().objects.len())
            .finish()
    }
}

impl<K: Object> Reader<K> {
    /// An object by namespace (empty for cluster-scoped) and name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.get_by_key(&key(namespace, name))
    }

    /// An object by key.
    pub fn get_by_key(&self, key: &str) -> Option<Arc<K>> {
        self.shared.inner.read().objects.get(key).cloned()
    }

    /// All objects, in no order.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.shared.inner.read().objects.values().cloned().collect()
    }

    /// All keys, in no order.
    pub fn keys(&self) -> Vec<Arc<str>> {
        self.shared.inner.read().objects.keys().cloned().collect()
    }

    /// The objects of a namespace, by name.
    pub fn list_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        self.by_index(NAMESPACE, namespace)
    }

    /// The objects that have the value in the index, by key. Empty for an index that does not exist.
    pub fn by_index(&self, index: &str, value: &str) -> Vec<Arc<K>> {
        let inner = self.shared.inner.read();
        let Some(keys) = inner.indexes.get(index).and_then(|i| i.keys.get(value)) else {
            return Vec::new();
        };
        keys.iter().filter_map(|k| inner.objects.get(k).cloned()).collect()
    }

    /// All values of an index.
    pub fn index_values(&self, index: &str) -> Vec<String> {
        let inner = self.shared.inner.read();
        inner
            .indexes
            .get(index)
            .map(|i| i.keys.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Adds an index (objects already there are indexed now). A second index of the name is ignored.
    pub fn add_index<F>(&self, name: &'static str, values: F)
    where
        F: Fn(&K) -> Vec<String> + Send + Sync + 'static,
    {
        let mut inner = self.shared.inner.write();
        if inner.indexes.contains_key(name) {
            return;
        }
        let mut index = Index {
            values: Arc::new(values),
            keys: HashMap::new(),
        };
        for (key, object) in &inner.objects {
            index.insert(key, object);
        }
        inner.indexes.insert(name, index);
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.shared.inner.read().objects.len()
    }

    /// No objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The initial list is in.
    pub fn has_synced(&self) -> bool {
        *self.shared.synced.borrow()
    }

    /// Waits for the initial list.
    pub async fn wait_synced(&self) {
        let mut synced = self.shared.synced.subscribe();
        // The sender lives in `self.shared`, so this cannot fail.
        let _ = synced.wait_for(|s| *s).await;
    }

    /// Calls `read` with every object under one lock, to build something without copying the list.
    pub fn for_each(&self, mut read: impl FnMut(&Arc<K>)) {
        self.shared.inner.read().objects.values().for_each(&mut read);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use k8s_openapi::api::core::v1::Pod;

    fn pod(name: &str, uid: &str, rv: &str, node: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.namespace = Some("ns".into());
        pod.metadata.name = Some(name.into());
        pod.metadata.uid = Some(uid.into());
        pod.metadata.resource_version = Some(rv.into());
        pod.spec.get_or_insert_default().node_name = Some(node.into());
        pod
    }

    fn names(change: &[Change<Pod>]) -> Vec<String> {
        change
            .iter()
            .map(|c| {
                let name = c.object().metadata.name.clone().unwrap();
                match c {
                    Change::Added(_) => format!("+{name}"),
                    Change::Updated { .. } => format!("~{name}"),
                    Change::Deleted(_) => format!("-{name}"),
                }
            })
            .collect()
    }

    #[test]
    fn indexes_follow_changes() {
        let (mut writer, reader) = store::<Pod>();
        writer.upsert(pod("a", "1", "1", "n1"));
        reader.add_index("node", |p: &Pod| {
            p.spec.iter().filter_map(|s| s.node_name.clone()).collect()
        });
        writer.upsert(pod("b", "2", "2", "n1"));
        assert_eq!(reader.by_index("node", "n1").len(), 2);
        writer.upsert(pod("a", "1", "3", "n2"));
        assert_eq!(reader.by_index("node", "n1").len(), 1);
        assert_eq!(reader.by_index("node", "n2").len(), 1);
        writer.remove(pod("a", "1", "4", "n2"));
        assert!(reader.by_index("node", "n2").is_empty());
        assert_eq!(reader.list_namespace("ns").len(), 1);
        assert_eq!(reader.index_values("node"), vec!["n1".to_owned()]);
    }

    #[test]
    fn replace_tells_what_vanished_and_what_was_recreated() {
        let (mut writer, reader) = store::<Pod>();
        assert_eq!(
            names(&writer.replace(vec![pod("a", "1", "1", ""), pod("b", "2", "1", "")])),
            ["+a", "+b"]
        );
        let changes = writer.replace(vec![pod("b", "9", "5", ""), pod("c", "3", "5", "")]);
        assert_eq!(names(&changes), ["-b", "+b", "+c", "-a"]);
        assert_eq!(reader.len(), 2);
        assert!(
            writer
                .replace(vec![pod("b", "9", "5", ""), pod("c", "3", "5", "")])
                .is_empty()
        );
    }
}
