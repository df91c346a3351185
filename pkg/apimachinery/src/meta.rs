//! Accessors on untyped objects (`serde_json::Value`): what upstream's `meta.Accessor` is for.
//!
//! Getters never fail: an absent or ill-typed field reads as empty. Setters create `metadata` when it is missing and
//! remove a field that becomes empty, so an object never carries what Go would leave out.

use serde_json::{Map, Value};

use crate::gvk::GroupVersionKind;

static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

/// An entry of `metadata.ownerReferences`, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerRef<'a> {
    /// `apiVersion` of the owner.
    pub api_version: &'a str,
    /// Kind of the owner.
    pub kind: &'a str,
    /// Name of the owner.
    pub name: &'a str,
    /// UID of the owner.
    pub uid: &'a str,
    /// Whether the owner manages the object.
    pub controller: bool,
    /// Whether the owner's foreground deletion waits for the object.
    pub block_owner_deletion: bool,
}

// === getters ===

/// The `metadata` map; an empty one when absent.
pub fn metadata(object: &Value) -> &Map<String, Value> {
    object.get("metadata").and_then(Value::as_object).unwrap_or(&EMPTY)
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    metadata(object).get(field).and_then(Value::as_str).unwrap_or_default()
}

/// `apiVersion`.
pub fn api_version(object: &Value) -> &str {
    object.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
}

/// `kind`.
pub fn kind(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or_default()
}

/// Group, version and kind, if `apiVersion` is well formed.
pub fn gvk(object: &Value) -> Option<GroupVersionKind> {
    GroupVersionKind::from_api_version(api_version(object), kind(object)).ok()
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    text(object, "name")
}

/// `metadata.generateName`.
pub fn generate_name(object: &Value) -> &str {
    text(object, "generateName")
}

/// `metadata.namespace`.
pub fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

/// `namespace/name`, or the name alone for cluster-scoped objects.
pub fn key(object: &Value) -> String {
    match namespace(object) {
        "" => name(object).to_owned(),
        namespace => format!("{namespace}/{}", name(object)),
    }
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// `metadata.resourceVersion`.
pub fn resource_version(object: &Value) -> &str {
    text(object, "resourceVersion")
}

/// `metadata.creationTimestamp`.
pub fn creation_timestamp(object: &Value) -> &str {
    text(object, "creationTimestamp")
}

/// `metadata.deletionTimestamp`.
pub fn deletion_timestamp(object: &Value) -> Option<&str> {
    metadata(object).get("deletionTimestamp").and_then(Value::as_str)
}

/// `metadata.deletionGracePeriodSeconds`.
pub fn deletion_grace_period_seconds(object: &Value) -> Option<i64> {
    metadata(object)
        .get("deletionGracePeriodSeconds")
        .and_then(Value::as_i64)
}

/// `metadata.generation`; 0 when absent.
pub fn generation(object: &Value) -> i64 {
    metadata(object)
        .get("generation")
        .and_then(Value::as_i64)
        .unwrap_or_default()
}

fn map<'a>(object: &'a Value, field: &str) -> &'a Map<String, Value> {
    metadata(object).get(field).and_then(Value::as_object).unwrap_or(&EMPTY)
}

/// `metadata.labels`.
pub fn labels(object: &Value) -> &Map<String, Value> {
    map(object, "labels")
}

/// One label.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    labels(object).get(key).and_then(Value::as_str)
}

/// `metadata.annotations`.
pub fn annotations(object: &Value) -> &Map<String, Value> {
    map(object, "annotations")
}

/// One annotation.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    annotations(object).get(key).and_then(Value::as_str)
}

/// `metadata.finalizers`.
pub fn finalizers(object: &Value) -> Vec<&str> {
    let list = metadata(object).get("finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `metadata.ownerReferences`.
pub fn owner_refs(object: &Value) -> Vec<OwnerRef<'_>> {
    let list = metadata(object).get("ownerReferences").and_then(Value::as_array);
    list.into_iter().flatten().map(owner_ref).collect()
}

fn owner_ref(value: &Value) -> OwnerRef<'_> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let flag = |field: &str| value.get(field).and_then(Value::as_bool).unwrap_or_default();
    OwnerRef {
        api_version: text("apiVersion"),
        kind: text("kind"),
        name: text("name"),
        uid: text("uid"),
        controller: flag("controller"),
        block_owner_deletion: flag("blockOwnerDeletion"),
    }
}

/// The owner that manages the object.
pub fn controller_ref(object: &Value) -> Option<OwnerRef<'_>> {
    owner_refs(object).into_iter().find(|owner| owner.controller)
}

/// Whether a deletion is under way.
pub fn is_terminating(object: &Value) -> bool {
    deletion_timestamp(object).is_some()
}

// === setters ===

/// The `metadata` map, created when missing. An object that is no map becomes one.
pub fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let map = object.as_object_mut().expect("made a map just above");
    let metadata = map.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    metadata.as_object_mut().expect("made a map just above")
}

/// Sets a field of `metadata`, or removes it when the value is null, an empty text, list or map.
pub fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    let value = value.into();
    let metadata = metadata_mut(object);
    let empty = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if empty {
        metadata.remove(field);
    } else {
        metadata.insert(field.to_owned(), value);
    }
}

/// Removes a field of `metadata`.
pub fn remove(object: &mut Value, field: &str) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove(field);
    }
}

/// Takes a field of `metadata` off.
pub fn take(object: &mut Value, field: &str) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove(field)
}

/// Sets `apiVersion` and `kind`.
pub fn set_gvk(object: &mut Value, api_version: &str, kind: &str) {
    if let Some(map) = object.as_object_mut() {
        map.insert("apiVersion".to_owned(), api_version.into());
        map.insert("kind".to_owned(), kind.into());
    }
}

/// Sets `metadata.name`.
pub fn set_name(object: &mut Value, name: &str) {
    set(object, "name", name);
}

/// Sets `metadata.namespace`.
pub fn set_namespace(object: &mut Value, namespace: &str) {
    set(object, "namespace", namespace);
}

/// Sets `metadata.uid`.
pub fn set_uid(object: &mut Value, uid: &str) {
    set(object, "uid", uid);
}

/// Sets `metadata.resourceVersion`; the empty text removes it.
pub fn set_resource_version(object: &mut Value, version: &str) {
    set(object, "resourceVersion", version);
}

/// Sets `metadata.generation`; 0 removes it.
pub fn set_generation(object: &mut Value, generation: i64) {
    set(
        object,
        "generation",
        if generation == 0 {
            Value::Null
        } else {
            generation.into()
        },
    );
}

/// Sets `metadata.finalizers`; an empty list removes the field.
pub fn set_finalizers<S: AsRef<str>>(object: &mut Value, finalizers: &[S]) {
    let list: Vec<Value> = finalizers.iter().map(|one| one.as_ref().into()).collect();
    set(object, "finalizers", list);
}

/// Sets one label.
pub fn set_label(object: &mut Value, key: &str, value: &str) {
    set_entry(object, "labels", key, value);
}

/// Sets one annotation.
pub fn set_annotation(object: &mut Value, key: &str, value: &str) {
    set_entry(object, "annotations", key, value);
}

/// Removes one annotation, and the map when it becomes empty.
pub fn remove_annotation(object: &mut Value, key: &str) {
    let metadata = metadata_mut(object);
    if let Some(map) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        map.remove(key);
        if map.is_empty() {
            metadata.remove("annotations");
        }
    }
}

fn set_entry(object: &mut Value, field: &str, key: &str, value: &str) {
    let entry = metadata_mut(object)
        .entry(field)
        .or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    if let Some(map) = entry.as_object_mut() {
        map.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn getters_read_and_never_fail() {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {
            "name": "a", "namespace": "n", "labels": {"x": "y"}, "finalizers": ["f"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "o", "uid": "u", "controller": true}]}});
        assert_eq!(key(&object), "n/a");
        assert_eq!(label(&object, "x"), Some("y"));
        assert_eq!(finalizers(&object), ["f"]);
        assert_eq!(controller_ref(&object).map(|owner| owner.uid), Some("u"));
        assert_eq!(gvk(&object), Some(GroupVersionKind::new("apps", "v1", "Deployment")));
        assert_eq!(name(&json!(3)), "");
        assert_eq!(name(&json!({"metadata": {"name": 3}})), "");
    }

    #[test]
    fn setters_leave_no_empty_fields() {
        let mut object = json!({});
        set_name(&mut object, "a");
        set_label(&mut object, "k", "v");
        set_generation(&mut object, 1);
        let expected = json!({"metadata": {"name": "a", "labels": {"k": "v"}, "generation": 1}});
        assert_eq!(object, expected);
        set_resource_version(&mut object, "");
        set_generation(&mut object, 0);
        set_finalizers::<&str>(&mut object, &[]);
        assert_eq!(object, json!({"metadata": {"name": "a", "labels": {"k": "v"}}}));
    }
}
