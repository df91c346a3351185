//! Objects: the generic store, the strategies of the kinds, and the in-process handle on both.
//!
//! `store.rs` is what every kind has in common, `strategy.rs` what one kind may say about itself,
//! `strategies.rs` the table between them. [`Registry`] is how the server's own parts (authorizer,
//! admission, bootstrap, allocators) read and write objects without HTTP.

pub(crate) mod admissionregistration;
pub(crate) mod apiextensions;
pub(crate) mod apiregistration;
pub(crate) mod apps;
pub(crate) mod autoscaling;
pub(crate) mod batch;
pub(crate) mod cache;
pub(crate) mod certificates;
pub(crate) mod codec;
pub(crate) mod convert;
pub(crate) mod coordination;
pub(crate) mod core;
pub(crate) mod discovery;
pub(crate) mod entries;
pub(crate) mod entry;
pub(crate) mod field_labels;
pub(crate) mod field_manager;
pub(crate) mod flowcontrol;
pub(crate) mod networking;
pub(crate) mod node;
pub(crate) mod options;
pub(crate) mod policy;
pub(crate) mod rbac;
pub(crate) mod resource;
pub(crate) mod scheduling;
pub(crate) mod selection;
pub(crate) mod storage;
pub(crate) mod store;
pub(crate) mod strategies;
pub(crate) mod strategy;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api::gates::Gates;
use apimachinery::status::{ApiError, Result};
use async_trait::async_trait;
use serde_json::Value;

pub(crate) use cache::CachedObjects;
pub(crate) use entry::Entry;
pub(crate) use store::{ChangeFn, Hooks, NoHooks, Settings, Store};

use crate::objects::Objects;
use crate::options::Override;
use crate::request::RequestContext;
use crate::resources::{self, Resource};
use crate::storage::Storage;
use field_manager::Writer;
use options::{DeleteOptions, ListOptions};

/// What the registry needs to know besides the table.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// `--etcd-prefix`, e.g. `/registry`.
    pub(crate) prefix: String,
    /// `--event-ttl`.
    pub(crate) event_ttl: Duration,
    /// `--feature-gates`.
    pub(crate) gates: Gates,
    /// What flags say of every store.
    pub(crate) settings: Settings,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            prefix: "/registry".to_owned(),
            event_ttl: Duration::from_secs(3600),
            gates: Gates::default(),
            settings: Settings::default(),
        }
    }
}

/// All stores of the server, by group and resource. Objects passed in and out are in the hub
/// version (the stored one; see `convert.rs`).
pub(crate) struct Registry {
    storage: Arc<dyn Storage>,
    config: Config,
    /// By group, then resource.
    stores: HashMap<&'static str, HashMap<&'static str, Arc<Store>>>,
}

impl Registry {
    /// One store per stored row of the resource table.
    #[cfg(test)]
    pub(crate) fn new(storage: Arc<dyn Storage>, config: Config) -> Arc<Self> {
        Self::with_overrides(storage, config, &[])
    }

    /// As [`Registry::new`]; some resources have their objects elsewhere.
    pub(crate) fn with_overrides(
        storage: Arc<dyn Storage>,
        config: Config,
        overrides: &[(Override, Arc<dyn Storage>)],
    ) -> Arc<Self> {
        let place = |hub: &Resource| {
            let other = overrides
                .iter()
                .find(|(o, _)| o.group == hub.group && o.resource == hub.plural);
            other.map_or(&storage, |(_, other)| other).clone()
        };
        let mut stores: HashMap<&'static str, HashMap<&'static str, Arc<Store>>> = HashMap::new();
        for row in resources::resources() {
            let Some(hub) = convert::hub(row) else { continue };
            let ttl = (hub.plural == "events").then_some(config.event_ttl);
            let shared = stores.get(hub.group).and_then(|g| g.get(hub.plural)).cloned();
            let store = shared.unwrap_or_else(|| {
                let store = Store::new(hub, place(hub), &config.prefix, ttl);
                Arc::new(store.with_gates(&config.gates).with_settings(config.settings))
            });
            stores.entry(hub.group).or_default().insert(hub.plural, store.clone());
            stores.entry(row.group).or_default().insert(row.plural, store);
        }
        Arc::new(Registry {
            storage,
            config,
            stores,
        })
    }

    /// The byte store below.
    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// The etcd key of a path below the prefix: `key("masterleases/10.0.0.1")`.
    pub(crate) fn key(&self, path: &str) -> String {
        format!("{}/{path}", self.config.prefix)
    }

    /// How objects are written.
    pub(crate) fn form(&self) -> codec::Form {
        self.config.settings.form
    }

    /// The store of a resource, `None` for virtual ones (reviews, bindings).
    pub(crate) fn store(&self, group: &str, resource: &str) -> Option<&Arc<Store>> {
        self.stores.get(group)?.get(resource)
    }

    /// The store of a served row.
    pub(crate) fn store_for(&self, row: &Resource) -> Option<&Arc<Store>> {
        self.store(row.group, row.plural)
    }

    fn need(&self, group: &str, resource: &str) -> Result<&Arc<Store>> {
        self.store(group, resource).ok_or_else(ApiError::path_not_found)
    }

    /// Changes an object as it is now; repeated when someone else writes in between.
    pub(crate) async fn modify(
        &self,
        group: &str,
        resource: &str,
        ns: &str,
        name: &str,
        change: ChangeFn<'_>,
    ) -> Result<Arc<Value>> {
        let store = self.need(group, resource)?;
        let ctx = context(store.row, "update", ns, name);
        let writer = Writer::own(store.row, "");
        let change = |old: &Value| tracked(&writer, old, change);
        let (entry, _) = store.update(&ctx, ns, name, store.strategy, &change, &NoHooks).await?;
        Ok(entry.value())
    }

    /// Replaces an object's status through the kind's status strategy.
    pub(crate) async fn modify_status(
        &self,
        group: &str,
        resource: &str,
        ns: &str,
        name: &str,
        change: ChangeFn<'_>,
    ) -> Result<Arc<Value>> {
        let store = self.need(group, resource)?;
        let mut ctx = context(store.row, "update", ns, name);
        ctx.info.subresource = "status".to_owned();
        let strategy = store.strategy.status().unwrap_or(store.strategy);
        let writer = Writer::own(store.row, "status");
        let change = |old: &Value| tracked(&writer, old, change);
        let (entry, _) = store.update(&ctx, ns, name, strategy, &change, &NoHooks).await?;
        Ok(entry.value())
    }
}

#[async_trait]
impl Objects for Registry {
    async fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Arc<Value>> {
        Ok(self.need(group, resource)?.get(namespace, name).await?.value())
    }

    async fn list(&self, group: &str, resource: &str, namespace: &str) -> Result<Vec<Arc<Value>>> {
        let list = self
            .need(group, resource)?
            .list(namespace, &ListOptions::default())
            .await?;
        Ok(list.items.iter().map(|e| e.value()).collect())
    }

    async fn create(&self, group: &str, resource: &str, namespace: &str, obj: Value) -> Result<Arc<Value>> {
        let store = self.need(group, resource)?;
        let ctx = context(store.row, "create", namespace, "");
        let mut obj = obj;
        store.strategy.default(&mut obj);
        Writer::own(store.row, "").track(&Value::Null, &mut obj);
        Ok(store.create(&ctx, namespace, obj, &NoHooks).await?.value())
    }

    async fn update(&self, group: &str, resource: &str, namespace: &str, obj: Value) -> Result<Arc<Value>> {
        let name = apimachinery::meta::name(&obj).to_owned();
        let mut obj = obj;
        self.need(group, resource)?.strategy.default(&mut obj);
        self.modify(group, resource, namespace, &name, &move |_| Ok(obj.clone()))
            .await
    }

    async fn update_status(&self, group: &str, resource: &str, namespace: &str, obj: Value) -> Result<Arc<Value>> {
        let name = apimachinery::meta::name(&obj).to_owned();
        self.modify_status(group, resource, namespace, &name, &move |_| Ok(obj.clone()))
            .await
    }

    async fn delete(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<()> {
        let store = self.need(group, resource)?;
        let ctx = context(store.row, "delete", namespace, name);
        store
            .delete(&ctx, namespace, name, &DeleteOptions::default(), &NoHooks)
            .await
            .map(|_| ())
    }
}

/// A change of the server's own, with its owner.
fn tracked(writer: &Writer, old: &Value, change: ChangeFn<'_>) -> Result<Value> {
    let mut new = change(old)?;
    writer.track(old, &mut new);
    Ok(new)
}

/// The server's own request on one resource.
fn context(row: &Resource, verb: &str, ns: &str, name: &str) -> RequestContext {
    RequestContext::internal_for(verb, row.group, row.version, row.plural, ns, name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::storage::ListRequest;
    use crate::storage::memory::Memory;

    #[tokio::test]
    async fn some_resources_have_a_store_of_their_own() {
        let (main, other): (Arc<dyn Storage>, Arc<dyn Storage>) =
            (Arc::new(Memory::default()), Arc::new(Memory::default()));
        let place = Override {
            group: String::new(),
            resource: "configmaps".to_owned(),
            servers: vec![],
        };
        let registry = Registry::with_overrides(main.clone(), Config::default(), &[(place, other.clone())]);
        for (resource, kind) in [("configmaps", "ConfigMap"), ("serviceaccounts", "ServiceAccount")] {
            let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "namespace": "n"}});
            registry.create("", resource, "n", object).await.unwrap();
        }
        let keys = async |storage: &Arc<dyn Storage>| -> Vec<String> {
            let all = ListRequest {
                prefix: "/registry/".to_owned(),
                ..Default::default()
            };
            let page = storage.list(&all).await.unwrap();
            page.items.iter().map(|kv| kv.key.to_string()).collect()
        };
        assert_eq!(keys(&main).await, ["/registry/serviceaccounts/n/a"]);
        assert_eq!(keys(&other).await, ["/registry/configmaps/n/a"]);
    }
}
