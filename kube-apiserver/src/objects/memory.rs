//! [`Objects`] in a map, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::gvk::GroupResource;
use apimachinery::status::ApiError;
use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Objects, text};

type Key = (String, String, String, String);

/// Objects by group, resource, namespace and name; hands out uids and resource versions.
#[derive(Default)]
pub(crate) struct MemoryObjects {
    state: Mutex<(BTreeMap<Key, Arc<Value>>, u64)>,
}

impl MemoryObjects {
    /// A store that holds `objects`, each given as (group, resource, object).
    pub(crate) fn with(objects: &[(&str, &str, Value)]) -> Arc<Self> {
        let store = MemoryObjects::default();
        for (group, resource, obj) in objects {
            store.put(group, resource, obj.clone());
        }
        Arc::new(store)
    }

    /// Inserts or replaces.
    pub(crate) fn put(&self, group: &str, resource: &str, mut obj: Value) -> Arc<Value> {
        let mut state = self.state.lock();
        state.1 += 1;
        let rv = state.1;
        obj["metadata"]["resourceVersion"] = json!(rv.to_string());
        if text(&obj, "/metadata/uid").is_empty() {
            obj["metadata"]["uid"] = json!(format!("uid-{rv}"));
        }
        let key = key(
            group,
            resource,
            text(&obj, "/metadata/namespace"),
            text(&obj, "/metadata/name"),
        );
        let obj = Arc::new(obj);
        state.0.insert(key, obj.clone());
        obj
    }

    /// Names of all objects of a resource.
    pub(crate) fn names(&self, group: &str, resource: &str) -> Vec<String> {
        self.state
            .lock()
            .0
            .keys()
            .filter(|k| k.0 == group && k.1 == resource)
            .map(|k| k.3.clone())
            .collect()
    }
}

fn key(group: &str, resource: &str, namespace: &str, name: &str) -> Key {
    (
        group.to_owned(),
        resource.to_owned(),
        namespace.to_owned(),
        name.to_owned(),
    )
}

fn gr(group: &str, resource: &str) -> GroupResource {
    GroupResource::new(group.to_owned(), resource.to_owned())
}

#[async_trait]
impl Objects for MemoryObjects {
    async fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Arc<Value>, ApiError> {
        let state = self.state.lock();
        state
            .0
            .get(&key(group, resource, namespace, name))
            .cloned()
            .ok_or_else(|| ApiError::not_found(&gr(group, resource), name))
    }
    async fn list(&self, group: &str, resource: &str, namespace: &str) -> Result<Vec<Arc<Value>>, ApiError> {
        let state = self.state.lock();
        Ok(state
            .0
            .iter()
            .filter(|(k, _)| k.0 == group && k.1 == resource && (namespace.is_empty() || k.2 == namespace))
            .map(|(_, v)| v.clone())
            .collect())
    }
    async fn create(
        &self,
        group: &str,
        resource: &str,
        namespace: &str,
        mut obj: Value,
    ) -> Result<Arc<Value>, ApiError> {
        let name = text(&obj, "/metadata/name").to_owned();
        if self
            .state
            .lock()
            .0
            .contains_key(&key(group, resource, namespace, &name))
        {
            return Err(ApiError::already_exists(&gr(group, resource), &name));
        }
        if !namespace.is_empty() {
            obj["metadata"]["namespace"] = json!(namespace);
        }
        Ok(self.put(group, resource, obj))
    }
    async fn update(&self, group: &str, resource: &str, namespace: &str, obj: Value) -> Result<Arc<Value>, ApiError> {
        let name = text(&obj, "/metadata/name").to_owned();
        let old = self.get(group, resource, namespace, &name).await?;
        let rv = text(&obj, "/metadata/resourceVersion");
        if !rv.is_empty() && rv != text(&old, "/metadata/resourceVersion") {
            return Err(ApiError::conflict(
                &gr(group, resource),
                &name,
                "the object has been modified",
            ));
        }
        Ok(self.put(group, resource, obj))
    }
    async fn update_status(
        &self,
        group: &str,
        resource: &str,
        namespace: &str,
        obj: Value,
    ) -> Result<Arc<Value>, ApiError> {
        self.update(group, resource, namespace, obj).await
    }
    async fn delete(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<(), ApiError> {
        let removed = self.state.lock().0.remove(&key(group, resource, namespace, name));
        removed
            .map(drop)
            .ok_or_else(|| ApiError::not_found(&gr(group, resource), name))
    }
}
