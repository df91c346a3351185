//! endpointslice-controller: the ready (and not ready, and terminating) pod addresses of every Service with a
//! selector, in slices.
//!
//! Watches Services, Pods, EndpointSlices and Nodes (for zones); key = Service.
//! Upstream: pkg/controller/endpointslice, staging endpointslice/reconciler.go.

mod plan;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use client::controller::Outcome;
use client::events::{Recorder, reference};
use client::informer::{Event, Reader};
use client::object::{key, key_of, split_key};
use client::workqueue::WorkQueue;
use client::{Api, Client, DeleteOptions};
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use parking_lot::Mutex;

use crate::context::{ControllerContext, Work};
use crate::service_pods;

const NAME: &str = "endpointslice-controller";
/// Value of the managed-by label. Upstream: `ControllerName`.
const MANAGER: &str = "endpointslice-controller.k8s.io";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Index of slices by `namespace/service`.
const BY_SERVICE: &str = "service";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Asks for informers; the work reconciles Services.
pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let services = ctx.informers.informer::<Service>();
    let pods = ctx.informers.informer::<Pod>();
    let nodes = ctx.informers.informer::<Node>();
    let slices = ctx.informers.informer::<EndpointSlice>();
    slices.add_index(BY_SERVICE, |slice: &EndpointSlice| {
        service_of(slice).into_iter().collect()
    });
    let queue = WorkQueue::new("endpoint_slice");
    let controller = Arc::new(Controller {
        services: services.reader(),
        pods: pods.reader(),
        nodes: nodes.reader(),
        slices: slices.reader(),
        client: ctx.client("endpointslice-controller"),
        recorder: ctx.recorder(NAME),
        written: Mutex::default(),
        max_endpoints: ctx.config.max_endpoints_per_slice,
        queue: queue.clone(),
    });
    let on_service = queue.clone();
    services.add_handler(move |event| on_service.add(key_of(&**event.object())));
    let on_pod = controller.clone();
    pods.add_handler(move |event| {
        for service in service_pods::services_of(&event, &on_pod.services) {
            on_pod.queue.add(service);
        }
    });
    let on_slice = controller.clone();
    slices.add_handler(move |event| on_slice.slice_changed(&event));
    Some(ctx.work(NAME, queue, ctx.config.workers.service_endpoint, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    }))
}

/// Key of the Service a slice of ours belongs to.
fn service_of(slice: &EndpointSlice) -> Option<String> {
    let labels = slice.metadata.labels.as_ref()?;
    if labels.get(MANAGED_BY).map(String::as_str) != Some(MANAGER) {
        return None;
    }
    Some(key(
        slice.metadata.namespace.as_deref().unwrap_or_default(),
        labels.get(SERVICE_NAME)?,
    ))
}

struct Controller {
    services: Reader<Service>,
    pods: Reader<Pod>,
    nodes: Reader<Node>,
    slices: Reader<EndpointSlice>,
    client: Client,
    recorder: Recorder,
    /// Generations of slices as we wrote them, by UID: older ones in the cache are stale; `None` is deleted.
    /// Upstream: `endpointSliceTracker`.
    written: Mutex<HashMap<String, Option<i64>>>,
    max_endpoints: usize,
    queue: WorkQueue<String>,
}

impl Controller {
    /// Only changes that are not our own need a look. Upstream: `onEndpointSliceAdd/Update/Delete`.
    fn slice_changed(&self, event: &Event<EndpointSlice>) {
        if let Event::Updated { old, new } = event
            && service_of(old) != service_of(new)
            && let Some(service) = service_of(old)
        {
            self.queue.add(service);
        }
        let slice = event.object();
        let Some(service) = service_of(slice) else { return };
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
            self.queue.add(service);
        }
    }

    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let (namespace, _) = split_key(key);
        // The slices of a deleted Service go with it, by their owner reference.
        let Some(service) = self.services.get_by_key(key) else {
            return Ok(Outcome::Done);
        };
        let Some(selector) = service_pods::selector(&service) else {
            return Ok(Outcome::Done);
        };
        if service.metadata.deletion_timestamp.is_some() {
            return Ok(Outcome::Done);
        }
        let existing: Vec<_> = self
            .slices
            .by_index(BY_SERVICE, key)
            .into_iter()
            .filter(|s| s.metadata.deletion_timestamp.is_none())
            .collect();
        anyhow::ensure!(!self.is_stale(&existing), "EndpointSlice informer cache is out of date");
        let pods: Vec<_> = self
            .pods
            .list_namespace(namespace)
            .into_iter()
            .filter(|pod| service_pods::selects(selector, pod.metadata.labels.as_ref()))
            .collect();
        let zone = |node: &str| self.nodes.get("", node)?.metadata.labels.as_ref()?.get(ZONE).cloned();
        let plan = plan::plan(&service, &pods, &zone, &existing, self.max_endpoints);
        let applied = self.apply(namespace, plan).await;
        if let Err(error) = &applied {
            let message = format!("Error updating Endpoint Slices for Service {key}: {error}");
            self.recorder
                .warning(&reference(&*service), "FailedToUpdateEndpointSlices", message);
        }
        applied?;
        Ok(Outcome::Done)
    }

    /// The cache is behind what we wrote. Upstream: `EndpointSliceTracker.StaleSlices`.
    fn is_stale(&self, cached: &[Arc<EndpointSlice>]) -> bool {
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

    async fn apply(&self, namespace: &str, plan: plan::Plan) -> anyhow::Result<()> {
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
            match api
                .delete(
                    slice.metadata.name.as_deref().unwrap_or_default(),
                    &DeleteOptions::default(),
                )
                .await
            {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => self.note(&slice, true),
            }
        }
        Ok(())
    }
}
