//! The server-owned part of `metadata`: what the store writes that no client may.

use api::k8s::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use serde::Deserialize as _;
use serde_json::{Value, json};

pub(super) use apimachinery::meta::{
    deletion_grace_period_seconds, deletion_timestamp, finalizers, generate_name, generation, is_terminating,
    metadata_mut, name, namespace, resource_version, set_finalizers, uid,
};

/// Writes `metadata.resourceVersion`; 0 removes it.
pub(super) fn set_revision(obj: &mut Value, rev: i64) {
    if rev == 0 {
        meta::remove(obj, "resourceVersion");
    } else {
        meta::set_resource_version(obj, &rev.to_string());
    }
}

/// `at` and so many seconds; the end of time when that is later than time goes.
pub(super) fn later(at: jiff::Timestamp, seconds: i64) -> jiff::Timestamp {
    let end = if seconds < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    };
    at.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(end)
}

/// Marks for deletion at `now` + `grace` seconds.
pub(super) fn mark_deleted(obj: &mut Value, now: jiff::Timestamp, grace: i64) {
    let at = later(now, grace);
    let meta = metadata_mut(obj);
    meta.insert(
        "deletionTimestamp".into(),
        Value::String(apimachinery::time::format_seconds(at)),
    );
    meta.insert("deletionGracePeriodSeconds".into(), json!(grace));
}

/// Checks the body's namespace against the URL's and fills it in
/// (upstream `rest.EnsureObjectNamespaceMatchesRequestNamespace`).
pub(super) fn settle_namespace(obj: &mut Value, namespaced: bool, ns: &str) -> Result<()> {
    let own = namespace(obj);
    let want = if namespaced { ns } else { "" };
    if !own.is_empty() && own != want {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if want.is_empty() {
        meta::remove(obj, "namespace");
    } else {
        meta::set_namespace(obj, want);
    }
    Ok(())
}

/// What is wrong with a new object's metadata, whatever its kind (upstream `rest.BeforeCreate`). `owners` are its
/// `managedFields`, which it goes without while it is checked.
pub(super) fn created(obj: &Value, owners: Option<&Value>, namespaced: bool) -> ErrorList {
    match typed(obj, owners) {
        Ok(meta) => api::meta::created(&meta, namespaced),
        Err(e) => vec![e],
    }
}

/// What is wrong with a changed object's metadata, whatever its kind (upstream `rest.BeforeUpdate`).
pub(super) fn changed(new: &Value, owners: Option<&Value>, old: &Value, namespaced: bool) -> ErrorList {
    match (typed(new, owners), typed(old, None)) {
        (Ok(new), Ok(old)) => api::meta::changed(&new, &old, namespaced),
        (Err(e), _) | (_, Err(e)) => vec![e],
    }
}

fn typed(obj: &Value, owners: Option<&Value>) -> std::result::Result<ObjectMeta, Error> {
    let path = Path::new("metadata");
    let empty = json!({});
    let mut typed = ObjectMeta::deserialize(obj.get("metadata").unwrap_or(&empty))
        .map_err(|e| Error::internal(&path, format!("decoding the metadata: {e}")))?;
    let text = |entry: &Value, field: &str| entry.get(field).and_then(Value::as_str).map(str::to_owned);
    // The fields themselves are the field manager's to read, and long.
    let entries = owners.and_then(Value::as_array).into_iter().flatten();
    let entries = entries.map(|entry| ManagedFieldsEntry {
        fields_type: text(entry, "fieldsType"),
        manager: text(entry, "manager"),
        operation: text(entry, "operation"),
        subresource: text(entry, "subresource"),
        ..ManagedFieldsEntry::default()
    });
    typed.managed_fields = Some(entries.collect());
    Ok(typed)
}
