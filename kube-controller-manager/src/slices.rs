//! What both controllers that write EndpointSlices share: whose a slice is, writing a plan, and knowing which news
//! of slices is one's own.
//!
//! Upstream: staging endpointslice/util/endpointslice_tracker.go, `NewPortMapKey`.

use std::collections::HashMap;
use std::sync::Arc;

use client::informer::Event;
use client::object::key;
use client::{Api, Client, DeleteOptions};
use k8s_openapi::api::discovery::v1::{EndpointPort, EndpointSlice};
use parking_lot::Mutex;

/// Label of a slice: who writes it.
pub(crate) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// Label of a slice: its Service.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Slices to write.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) create: Vec<EndpointSlice>,
    pub(crate) update: Vec<EndpointSlice>,
    pub(crate) delete: Vec<Arc<EndpointSlice>>,
}

/// Key of the Service (or Endpoints) a slice of `manager` belongs to.
pub(crate) fn service_of(slice: &EndpointSlice, manager: &str) -> Option<String> {
    let labels = slice.metadata.labels.as_ref()?;
    if labels.get(MANAGED_BY).map(String::as_str) != Some(manager) {
        return None;
    }
    Some(key(
        slice.metadata.namespace.as_deref().unwrap_or_default(),
        labels.get(SERVICE_NAME)?,
    ))
}

/// Ports, in any order, as a map key.
pub(crate) type PortKey = String;

/// The key of a set of ports.
pub(crate) fn port_key(ports: &[EndpointPort]) -> PortKey {
    let mut parts: Vec<String> = ports
        .iter()
        .map(|p| {
            let text = |t: &Option<String>| t.clone().unwrap_or_default();
            let protocol = p.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            format!("{}|{}|{:?}|{}", text(&p.name), protocol, p.port, text(&p.app_protocol))
        })
        .collect();
    parts.sort();
    parts.join("\n")
}

/// Writes the slices of one manager.
pub(crate) struct Writer {
    client: Client,
    manager: &'static str,
    /// Generations of slices as we wrote them, by UID: older ones in the cache are stale; `None` is deleted.
    written: Mutex<HashMap<String, Option<i64>>>,
}

impl Writer {
    pub(crate) fn new(client: Client, manager: &'static str) -> Self {
        Self {
            client,
            manager,
            written: Mutex::default(),
        }
    }

    /// Keys of the Services that somebody else's change of a slice concerns; our own concern none.
    /// Upstream: `onEndpointSliceAdd/Update/Delete`.
    pub(crate) fn concerned(&self, event: &Event<EndpointSlice>) -> Vec<String> {
        let mut keys = Vec::new();
        if let Event::Updated { old, new } = event
            && service_of(old, self.manager) != service_of(new, self.manager)
        {
            keys.extend(service_of(old, self.manager));
        }
        let slice = event.object();
        let Some(service) = service_of(slice, self.manager) else {
            return keys;
        };
        let uid = slice.metadata.uid.clone().unwrap_or_default();
        let ours = {
            let mut written = self.written.lock();
            let known = written.get(&uid).copied();
            match event {
                Event::Deleted(_) => {
                    written.remove(&uid);
                    known == Some(None)
                }
                _ => known
                    .flatten()
                    .is_some_and(|generation| generation >= slice.metadata.generation.unwrap_or(0)),
            }
        };
        if !ours {
            keys.push(service);
        }
        keys
    }

    /// The cache is behind what we wrote. Upstream: `EndpointSliceTracker.StaleSlices`.
    pub(crate) fn is_stale(&self, cached: &[Arc<EndpointSlice>]) -> bool {
        let written = self.written.lock();
        cached.iter().any(
            |slice| match written.get(slice.metadata.uid.as_deref().unwrap_or_default()) {
                Some(Some(generation)) => slice.metadata.generation.unwrap_or(0) < *generation,
                Some(None) => true,
                None => false,
            },
        )
    }

    fn note(&self, slice: &EndpointSlice, deleted: bool) {
        let generation = (!deleted).then(|| slice.metadata.generation.unwrap_or(0));
        self.written
            .lock()
            .insert(slice.metadata.uid.clone().unwrap_or_default(), generation);
    }

    /// Carries a plan out. A namespace that is going takes no new slices, and that is no error.
    pub(crate) async fn apply(&self, namespace: &str, plan: Plan) -> anyhow::Result<()> {
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), namespace);
        for slice in plan.create {
            match api.create(&slice).await {
                Ok(created) => self.note(&created, false),
                Err(error) if error.is_namespace_terminating() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        for slice in plan.update {
            self.note(&api.update(&slice).await?, false);
        }
        for slice in plan.delete {
            let name = slice.metadata.name.as_deref().unwrap_or_default();
            match api.delete(name, &DeleteOptions::default()).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => self.note(&slice, true),
            }
        }
        Ok(())
    }
}
