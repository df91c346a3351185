//! ConfigMaps and Secrets that pods of this node refer to: one watch each, from when the first pod
//! names it until the last one is gone (upstream: pkg/kubelet/util/manager/watch_based_manager.go).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use client::Client;
use client::informer::SharedInformer;
use client::object::Object;
use client::reflector::Source;
use k8s_openapi::api::core::v1::{ConfigMap, EnvFromSource, EnvVar, Pod, Secret, Volume};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::pods::PodExt;
use crate::shared::Poke;

/// How long a first look may take (upstream: `getConfigMap` polls for 1 s; a new watch needs longer
/// on a busy server).
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// See the module's text.
pub(crate) struct Objects {
    client: Option<Client>,
    config_maps: Table<ConfigMap>,
    secrets: Table<Secret>,
    pokes: Option<mpsc::UnboundedSender<Poke>>,
}

type Table<K> = Mutex<HashMap<(String, String), Watched<K>>>;

struct Watched<K> {
    informer: SharedInformer<K>,
    stop: CancellationToken,
    users: Arc<Mutex<HashSet<String>>>,
}

impl Objects {
    pub(crate) fn new(client: Option<Client>, pokes: mpsc::UnboundedSender<Poke>) -> Self {
        Self {
            client,
            config_maps: Table::default(),
            secrets: Table::default(),
            pokes: Some(pokes),
        }
    }

    /// A table in which nothing is ever found.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self {
            client: None,
            config_maps: Table::default(),
            secrets: Table::default(),
            pokes: None,
        }
    }

    /// Watches all a pod refers to, and no longer what it once did.
    pub(crate) fn register(&self, pod: &Pod) {
        let references = References::of(pod);
        self.register_in(&self.config_maps, pod, &references.config_maps);
        self.register_in(&self.secrets, pod, &references.secrets);
    }

    fn register_in<K: Object + k8s_openapi::Resource>(&self, table: &Table<K>, pod: &Pod, names: &BTreeSet<String>)
    where
        K::Scope: 'static,
    {
        let Some(client) = &self.client else { return };
        let mut table = table.lock();
        for name in names {
            let key = (pod.namespace().to_owned(), name.clone());
            let watched = table
                .entry(key)
                .or_insert_with(|| self.watch(client, pod.namespace(), name));
            watched.users.lock().insert(pod.uid().to_owned());
        }
        table.retain(|(namespace, name), watched| {
            let mut users = watched.users.lock();
            if namespace == pod.namespace() && !names.contains(name) {
                users.remove(pod.uid());
            }
            let used = !users.is_empty();
            if !used {
                watched.stop.cancel();
            }
            used
        });
    }

    /// Forgets a pod.
    pub(crate) fn unregister(&self, uid: &str) {
        fn drop_user<K>(table: &Table<K>, uid: &str) {
            table.lock().retain(|_, watched| {
                let mut users = watched.users.lock();
                users.remove(uid);
                if users.is_empty() {
                    watched.stop.cancel();
                }
                !users.is_empty()
            });
        }
        drop_user(&self.config_maps, uid);
        drop_user(&self.secrets, uid);
    }

    fn watch<K: Object + k8s_openapi::Resource>(&self, client: &Client, namespace: &str, name: &str) -> Watched<K>
    where
        K::Scope: 'static,
    {
        let source = Source::of::<K>(client.clone())
            .in_namespace(namespace)
            .fields(&format!("metadata.name={name}"));
        let informer = SharedInformer::<K>::new(source);
        let users: Arc<Mutex<HashSet<String>>> = Arc::default();
        if let Some(pokes) = self.pokes.clone() {
            let users = users.clone();
            let _ = informer.add_handler(move |_| {
                for uid in users.lock().iter() {
                    let _ = pokes.send(Poke::Object(uid.clone()));
                }
            });
        }
        let stop = CancellationToken::new();
        informer.start(&stop);
        Watched { informer, stop, users }
    }

    /// A ConfigMap; `None`: there is none.
    pub(crate) async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<Arc<ConfigMap>>, String> {
        self.get(&self.config_maps, "configmap", namespace, name).await
    }

    /// A Secret; `None`: there is none.
    pub(crate) async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Arc<Secret>>, String> {
        self.get(&self.secrets, "secret", namespace, name).await
    }

    async fn get<K: Object>(
        &self,
        table: &Table<K>,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<K>>, String> {
        let key = (namespace.to_owned(), name.to_owned());
        let informer = match table.lock().get(&key) {
            Some(watched) => watched.informer.clone(),
            None if self.client.is_none() => return Ok(None),
            None => return Err(format!("object \"{namespace}\"/\"{name}\" not registered")),
        };
        match tokio::time::timeout(FIRST_LOOK, informer.wait_synced()).await {
            Ok(()) => Ok(informer.reader().get(namespace, name)),
            Err(_) => Err(format!(
                "failed to sync {kind} cache: timed out waiting for the condition"
            )),
        }
    }
}

/// Names of the objects a pod refers to.
#[derive(Default)]
pub(crate) struct References {
    pub(crate) config_maps: BTreeSet<String>,
    pub(crate) secrets: BTreeSet<String>,
}

impl References {
    pub(crate) fn of(pod: &Pod) -> Self {
        let mut found = Self::default();
        let spec = pod.spec();
        let containers = spec.containers.iter().chain(pod.init_containers());
        for container in containers {
            found.add_env(container.env.as_deref(), container.env_from.as_deref());
        }
        for container in pod.ephemeral_containers() {
            found.add_env(container.env.as_deref(), container.env_from.as_deref());
        }
        for reference in spec.image_pull_secrets.iter().flatten() {
            found.secrets.insert(reference.name.clone());
        }
        for volume in spec.volumes.iter().flatten() {
            found.add_volume(volume);
        }
        found
    }

    fn add_env(&mut self, env: Option<&[EnvVar]>, from: Option<&[EnvFromSource]>) {
        for source in from.into_iter().flatten() {
            self.config_maps
                .extend(source.config_map_ref.as_ref().map(|r| r.name.clone()));
            self.secrets.extend(source.secret_ref.as_ref().map(|r| r.name.clone()));
        }
        for source in env.into_iter().flatten().filter_map(|e| e.value_from.as_ref()) {
            self.config_maps
                .extend(source.config_map_key_ref.as_ref().map(|r| r.name.clone()));
            self.secrets
                .extend(source.secret_key_ref.as_ref().map(|r| r.name.clone()));
        }
    }

    fn add_volume(&mut self, volume: &Volume) {
        self.config_maps
            .extend(volume.config_map.as_ref().map(|c| c.name.clone()));
        self.secrets
            .extend(volume.secret.as_ref().and_then(|s| s.secret_name.clone()));
        let projected = volume.projected.as_ref().and_then(|p| p.sources.as_ref());
        for source in projected.into_iter().flatten() {
            self.config_maps
                .extend(source.config_map.as_ref().map(|c| c.name.clone()));
            self.secrets.extend(source.secret.as_ref().map(|s| s.name.clone()));
        }
    }
}
