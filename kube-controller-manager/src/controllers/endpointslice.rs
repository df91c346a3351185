//! endpointslice-controller: the ready (and not ready, and terminating) pod addresses of every Service with a
//! selector, in slices.
//!
//! Watches Services, Pods, EndpointSlices and Nodes (for zones); key = Service.
//! Upstream: pkg/controller/endpointslice, staging endpointslice/reconciler.go.

mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use client::controller::Outcome;
use client::events::{Recorder, reference};
use client::informer::Reader;
use client::object::{key_of, split_key};
use client::workqueue::WorkQueue;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::context::{ControllerContext, Work};
use crate::service_pods;
use crate::slices::{self, Writer};

const NAME: &str = "endpointslice-controller";
/// Value of the managed-by label. Upstream: `ControllerName`.
const MANAGER: &str = "endpointslice-controller.k8s.io";
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
        slices::service_of(slice, MANAGER).into_iter().collect()
    });
    let queue = WorkQueue::new("endpoint_slice");
    let controller = Arc::new(Controller {
        services: services.reader(),
        pods: pods.reader(),
        nodes: nodes.reader(),
        slices: slices.reader(),
        writer: Writer::new(ctx.client("endpointslice-controller"), MANAGER),
        recorder: ctx.recorder(NAME),
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
    slices.add_handler(move |event| {
        for service in on_slice.writer.concerned(&event) {
            on_slice.queue.add(service);
        }
    });
    Some(ctx.work(NAME, queue, ctx.config.workers.service_endpoint, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    }))
}

struct Controller {
    services: Reader<Service>,
    pods: Reader<Pod>,
    nodes: Reader<Node>,
    slices: Reader<EndpointSlice>,
    writer: Writer,
    recorder: Recorder,
    max_endpoints: usize,
    queue: WorkQueue<String>,
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let (namespace, _) = split_key(key);
        // The slices of a deleted Service go with it, by their owner reference.
        let Some(service) = self.services.get_by_key(key) else {
            self.writer.forget(key);
            return Ok(Outcome::Done);
        };
        let Some(selector) = service_pods::selector(&service) else {
            return Ok(Outcome::Done);
        };
        if service.metadata.deletion_timestamp.is_some() {
            return Ok(Outcome::Done);
        }
        let mut existing = self.slices.by_index(BY_SERVICE, key);
        anyhow::ensure!(
            !self.writer.is_stale(key, &existing),
            "EndpointSlice informer cache is out of date"
        );
        existing.retain(|slice| slice.metadata.deletion_timestamp.is_none());
        let pods: Vec<_> = self
            .pods
            .list_namespace(namespace)
            .into_iter()
            .filter(|pod| service_pods::selects(selector, pod.metadata.labels.as_ref()))
            .collect();
        let zone = |node: &str| self.nodes.get("", node)?.metadata.labels.as_ref()?.get(ZONE).cloned();
        let plan = plan::plan(&service, &pods, &zone, &existing, self.max_endpoints);
        let applied = self.writer.apply(key, plan).await;
        if let Err(error) = &applied {
            let message = format!("Error updating Endpoint Slices for Service {key}: {error}");
            self.recorder
                .warning(&reference(&*service), "FailedToUpdateEndpointSlices", message);
        }
        applied?;
        Ok(Outcome::Done)
    }
}
