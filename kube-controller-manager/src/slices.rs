//! What both controllers that write EndpointSlices share: whose a slice is, writing a plan, and knowing which news
//! of slices is one's own.
//!
//! Upstream: staging endpointslice/util, `NewPortMapKey`.

mod tracker;

use std::sync::Arc;

use client::informer::Event;
use client::object::{key, split_key};
use client::{Api, Client, DeleteOptions};
use k8s_openapi::api::discovery::v1::{EndpointPort, EndpointSlice};

use tracker::Tracker;

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
    tracker: Tracker,
}

impl Writer {
    pub(crate) fn new(client: Client, manager: &'static str) -> Self {
        Self {
            client,
            manager,
            tracker: Tracker::default(),
        }
    }

    /// Keys of the Services that somebody else's change of a slice concerns; our own concern none.
    /// Upstream: `onEndpointSliceAdd/Update/Delete`.
    pub(crate) fn concerned(&self, event: &Event<EndpointSlice>) -> Vec<String> {
        let mut keys = Vec::new();
        let slice = event.object();
        let service = service_of(slice, self.manager);
        if let Event::Updated { old, .. } = event
            && let Some(before) = service_of(old, self.manager)
            && Some(&before) != service.as_ref()
        {
            // The cache will never show it there again.
            self.tracker.forget_slice(&before, slice);
            keys.push(before);
        }
        keys.extend(service.filter(|service| !self.tracker.is_own(service, event)));
        keys
    }

    /// The cached slices of a Service, those that are being deleted too, are behind what we wrote.
    pub(crate) fn is_stale(&self, service: &str, cached: &[Arc<EndpointSlice>]) -> bool {
        self.tracker.is_stale(service, cached)
    }

    /// The Service has no slices of ours to wait for any more.
    pub(crate) fn forget(&self, service: &str) {
        self.tracker.forget(service);
    }

    /// Carries out a plan for a Service. A namespace that is going takes no new slices, and that is no error.
    pub(crate) async fn apply(&self, service: &str, plan: Plan) -> anyhow::Result<()> {
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), split_key(service).0);
        for slice in plan.create {
            match api.create(&slice).await {
                Ok(created) => self.tracker.wrote(service, &created),
                Err(error) if error.is_namespace_terminating() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        for slice in plan.update {
            self.tracker.wrote(service, &api.update(&slice).await?);
        }
        for slice in plan.delete {
            let name = slice.metadata.name.as_deref().unwrap_or_default();
            self.tracker.deletes(service, &slice);
            match api.delete(name, &DeleteOptions::default()).await {
                Err(error) if !error.is_not_found() => {
                    self.tracker.keeps(service, &slice);
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}
