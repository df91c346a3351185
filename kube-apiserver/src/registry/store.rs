//! The generic store: what every kind has in common, on top of [`Storage`].
//!
//! One file per operation below `store/`. Objects are JSON values in the kind's hub version.
//! Semantics: upstream `apiserver/pkg/registry/generic/registry/store.go` and
//! `apiserver/pkg/registry/rest`.

mod bookmarks;
mod create;
mod delete;
mod delivery;
mod list;
mod meta;
#[cfg(test)]
mod tests;
mod update;
mod watch;
mod write;

use std::sync::Arc;
use std::time::Duration;

use api::gates::{Dropped, Gates};
use apimachinery::field::quote;
use apimachinery::gvk::{GroupKind, GroupResource};
use apimachinery::status::{ApiError, Result};
use apimachinery::validation::is_path_segment_name;
use async_trait::async_trait;
use serde_json::Value;

pub(crate) use delivery::Frame;
pub(crate) use list::List;
pub(crate) use update::ChangeFn;
pub(crate) use watch::{Change, ChangeKind, ChangeStream};

use super::codec::{self, Form};
use super::entries::Entries;
pub(crate) use super::entry::Entry;
use super::field_manager;
use super::options::parse_version;
use super::strategies::strategy_for;
use super::strategy::Strategy;
use crate::resources::Resource;
use crate::storage::{KeyValue, Storage, StorageError};

/// Admission, as the store calls it: after the new object is known, before it is written.
#[async_trait]
pub(crate) trait Hooks: Send + Sync {
    /// Whether an update of an object that is not there creates it, whatever the kind says (apply).
    fn creates(&self) -> bool {
        false
    }
    /// Mutating admission.
    async fn admit(&self, obj: &mut Value, old: Option<&Value>) -> Result<()>;
    /// Validating admission; on delete `obj` is `None`.
    async fn validate(&self, obj: Option<&Value>, old: Option<&Value>) -> Result<()>;
    /// The object as it last was is gone: this call deleted it, or took away the last that it waited for (upstream
    /// `Store.AfterDelete`). Never in dry runs.
    async fn gone(&self, _obj: &Value) {}
}

/// No admission: the server's own writes.
pub(crate) struct NoHooks;

#[async_trait]
impl Hooks for NoHooks {
    async fn admit(&self, _obj: &mut Value, _old: Option<&Value>) -> Result<()> {
        Ok(())
    }
    async fn validate(&self, _obj: Option<&Value>, _old: Option<&Value>) -> Result<()> {
        Ok(())
    }
}

/// All objects of one resource.
pub(crate) struct Store {
    /// The hub row.
    pub(crate) row: &'static Resource,
    /// The kind's rules.
    pub(crate) strategy: &'static dyn Strategy,
    gr: GroupResource,
    gk: GroupKind,
    storage: Arc<dyn Storage>,
    /// `/registry/pods/`.
    prefix: String,
    ttl: Option<Duration>,
    entries: Entries,
    /// Fields whose gates are off.
    dropped: Dropped,
    settings: Settings,
}

/// What flags say of every store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// `--storage-media-type`.
    pub(crate) form: Form,
    /// `--delete-collection-workers`: objects of a collection that are deleted at once.
    pub(crate) delete_workers: usize,
    /// `--enable-garbage-collector`: whether deletions set the collector's finalizers.
    pub(crate) garbage_collector: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            form: Form::default(),
            delete_workers: 1,
            garbage_collector: true,
        }
    }
}

impl Store {
    /// The store of one hub row below `root` (`/registry`).
    pub(crate) fn new(row: &'static Resource, storage: Arc<dyn Storage>, root: &str, ttl: Option<Duration>) -> Self {
        Store {
            row,
            strategy: strategy_for(row.group, row.plural),
            gr: GroupResource::new(row.group, row.plural),
            gk: GroupKind::new(row.group, row.kind),
            storage,
            prefix: format!("{root}/{}/", row.etcd_prefix.unwrap_or(row.plural)),
            ttl,
            entries: Entries::default(),
            dropped: Gates::default().dropped(row.group, row.plural),
            settings: Settings::default(),
        }
    }

    /// The same with other settings than the flags' defaults.
    pub(crate) fn with_settings(self, settings: Settings) -> Self {
        Store { settings, ..self }
    }

    /// The same with other gates than v1.36's defaults.
    pub(crate) fn with_gates(self, gates: &Gates) -> Self {
        Store {
            dropped: gates.dropped(self.row.group, self.row.plural),
            ..self
        }
    }

    /// `deployments.apps`.
    pub(crate) fn group_resource(&self) -> &GroupResource {
        &self.gr
    }

    /// Reads one object as it is now.
    pub(crate) async fn get(&self, ns: &str, name: &str) -> Result<Arc<Entry>> {
        let (kv, _) = self.read(ns, name, "get").await?;
        self.found(name, kv)
    }

    /// Reads one object at a moment not older than `version` (as sent; empty: now).
    pub(crate) async fn get_from(&self, ns: &str, name: &str, version: &str) -> Result<Arc<Entry>> {
        let wanted = parse_version(version).map_err(|e| ApiError::generic(500, "", e.to_string()))?;
        let Some(wanted) = wanted else {
            return self.get(ns, name).await;
        };
        let key = self.key(ns, name)?;
        let read = self.storage.get_from(&key, wanted).await;
        let (kv, now) = read.map_err(|e| self.failed(e, "get"))?;
        if wanted > now {
            return Err(list::too_large_version(wanted, now));
        }
        self.found(name, kv)
    }

    fn found(&self, name: &str, kv: Option<Arc<KeyValue>>) -> Result<Arc<Entry>> {
        kv.ok_or_else(|| ApiError::not_found(&self.gr, name))
            .and_then(|kv| self.entry(&kv))
    }

    fn key(&self, ns: &str, name: &str) -> Result<String> {
        if self.row.namespaced && ns.is_empty() {
            return Err(ApiError::bad_request("Namespace parameter required."));
        }
        if name.is_empty() {
            return Err(ApiError::bad_request("Name parameter required."));
        }
        let unfit = is_path_segment_name(name);
        if !unfit.is_empty() {
            return Err(ApiError::bad_request(format!(
                "Name parameter invalid: {}: {}",
                quote(name),
                unfit.join(";")
            )));
        }
        Ok(if self.row.namespaced {
            format!("{}{ns}/{name}", self.prefix)
        } else {
            format!("{}{name}", self.prefix)
        })
    }

    async fn read(&self, ns: &str, name: &str, verb: &str) -> Result<(Option<Arc<KeyValue>>, i64)> {
        let key = self.key(ns, name)?;
        self.storage.get(&key).await.map_err(|e| self.failed(e, verb))
    }

    /// Stored bytes as an object: decoded, defaulted, resourceVersion set.
    fn decode(&self, bytes: &[u8], rev: i64) -> Result<Value> {
        let mut value = codec::decode(self.row, bytes)?;
        let owners = field_manager::take_owners(&mut value);
        self.strategy.default(&mut value);
        field_manager::put_owners(&mut value, owners);
        meta::set_revision(&mut value, rev);
        Ok(value)
    }

    /// Whether the store would keep this key's value otherwise now: an update that changes nothing writes it again
    /// (upstream `objState.stale`).
    async fn stale(&self, key: &str) -> Result<bool> {
        self.storage.stale(key).await.map_err(|e| self.failed(e, "update"))
    }

    /// Whether stored bytes have the form in which this store writes: an update that changes nothing rewrites others.
    fn written_as_now(&self, bytes: &[u8]) -> bool {
        codec::has_form(self.row, self.settings.form, bytes)
    }

    fn entry(&self, kv: &KeyValue) -> Result<Arc<Entry>> {
        if let Some(entry) = kv.memo.get() {
            return Ok(entry);
        }
        let entry = self.version(&kv.key, &kv.value, kv.mod_rev)?;
        kv.memo.set(entry.slim());
        Ok(entry)
    }

    /// One stored version of a key, decoded unless it was before.
    fn version(&self, key: &str, bytes: &[u8], rev: i64) -> Result<Arc<Entry>> {
        self.entries.get_or_decode(key, rev, || self.fresh(key, bytes, rev))
    }

    /// One version that nobody has decoded: made of the tree whose write it is, or else of its bytes.
    fn fresh(&self, key: &str, bytes: &[u8], rev: i64) -> Result<Arc<Entry>> {
        let Some((stored, mut value)) = self.entries.announced(key, bytes) else {
            return Ok(self.wrap(rev, self.decode(bytes, rev)?));
        };
        apimachinery::meta::set_gvk(&mut value, &self.row.api_version(), self.row.kind);
        meta::set_revision(&mut value, rev);
        let entry = Entry::written(self.row, self.strategy, rev, value, stored);
        #[cfg(debug_assertions)]
        assert_eq!(
            std::str::from_utf8(entry.item_json()),
            std::str::from_utf8(self.wrap(rev, self.decode(bytes, rev)?).item_json()),
            "{key} is not read as it was written"
        );
        Ok(entry)
    }

    /// An object this store has just decoded or written.
    fn wrap(&self, rev: i64, value: Value) -> Arc<Entry> {
        Entry::new(self.row, self.strategy, rev, value)
    }

    /// A storage failure in the API's words (upstream: `registry/generic/registry` interpretations).
    fn failed(&self, e: StorageError, verb: &str) -> ApiError {
        match e {
            StorageError::Compacted(_) => ApiError::expired("The resourceVersion for the provided list is too old."),
            StorageError::TooLarge => ApiError::generic(500, "", e.to_string()),
            StorageError::Unavailable(reason) | StorageError::Timeout(reason) => {
                tracing::warn!(resource = %self.gr, verb, reason, "storage does not answer");
                ApiError::server_timeout(&self.gr, verb, 2)
            }
            StorageError::Transform(why) => ApiError::internal(why),
            other => ApiError::generic(500, "", other.to_string()),
        }
    }
}
