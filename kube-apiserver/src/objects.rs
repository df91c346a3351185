//! In-process reads and writes of API objects, as authentication, authorization, admission and
//! bootstrap need them: a narrow view of the registry, with a fake for tests.

use std::sync::Arc;

use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::Value;

#[cfg(test)]
pub(crate) mod memory;

/// Objects by (group, resource), namespace (`""` for cluster-scoped kinds) and name. Writes run the
/// kind's strategy but no admission: the caller is the server itself.
#[async_trait]
pub(crate) trait Objects: Send + Sync {
    /// One object, or a `NotFound` error.
    async fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Arc<Value>, ApiError>;
    /// One object as the store has it now, never from a copy that may be behind.
    async fn latest(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Arc<Value>, ApiError> {
        self.get(group, resource, namespace, name).await
    }
    /// All objects of a namespace, or of all when `namespace` is empty.
    async fn list(&self, group: &str, resource: &str, namespace: &str) -> Result<Vec<Arc<Value>>, ApiError>;
    /// Stores a new object; `AlreadyExists` when there is one.
    async fn create(&self, group: &str, resource: &str, namespace: &str, obj: Value) -> Result<Arc<Value>, ApiError>;
    /// Replaces an object; `Conflict` when its resourceVersion is set and stale.
    async fn update(&self, group: &str, resource: &str, namespace: &str, obj: Value) -> Result<Arc<Value>, ApiError>;
    /// Replaces an object's status; `Conflict` when its resourceVersion is set and stale.
    async fn update_status(
        &self,
        group: &str,
        resource: &str,
        namespace: &str,
        obj: Value,
    ) -> Result<Arc<Value>, ApiError>;
    /// Removes an object; `NotFound` when there is none.
    async fn delete(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<(), ApiError>;
}

/// `get` with absence as `None`.
pub(crate) async fn find(
    objects: &dyn Objects,
    group: &str,
    resource: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<Arc<Value>>, ApiError> {
    match objects.get(group, resource, namespace, name).await {
        Ok(o) => Ok(Some(o)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e),
    }
}

/// A string inside an object by JSON pointer, `""` when absent.
pub(crate) fn text<'a>(obj: &'a Value, pointer: &str) -> &'a str {
    obj.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// A list inside an object by JSON pointer, empty when absent.
pub(crate) fn items<'a>(obj: &'a Value, pointer: &str) -> &'a [Value] {
    obj.pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
