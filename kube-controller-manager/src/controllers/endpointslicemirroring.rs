//! endpointslice-mirroring-controller: slices of Endpoints that people write by hand for Services without a selector.
//!
//! Watches Endpoints, Services and EndpointSlices; key = Endpoints, which has its Service's name.
//! Upstream: pkg/controller/endpointslicemirroring.

mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use client::controller::Outcome;
use client::events::{Recorder, reference};
use client::informer::{Event, Reader};
use client::object::key_of;
use client::workqueue::WorkQueue;
use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::context::{ControllerContext, Work};
use crate::slices::{self, Writer};

const NAME: &str = "endpointslice-mirroring-controller";
/// Value of the managed-by label. Upstream: `ControllerName`.
const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// Index of slices by `namespace/endpoints`.
const BY_ENDPOINTS: &str = "mirrored";

/// Asks for informers; the work mirrors Endpoints.
pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let endpoints = ctx.informers.informer::<Endpoints>();
    let services = ctx.informers.informer::<Service>();
    let slices = ctx.informers.informer::<EndpointSlice>();
    slices.add_index(BY_ENDPOINTS, |slice: &EndpointSlice| {
        slices::service_of(slice, MANAGER).into_iter().collect()
    });
    let queue = WorkQueue::new("endpoint_slice_mirroring");
    let controller = Arc::new(Controller {
        endpoints: endpoints.reader(),
        services: services.reader(),
        slices: slices.reader(),
        writer: Writer::new(ctx.client("endpointslicemirroring-controller"), MANAGER),
        recorder: ctx.recorder("endpoint-slice-mirroring-controller"),
        max_endpoints: ctx.config.mirroring_max_endpoints,
        batch_period: ctx.config.mirroring_batch_period,
        queue: queue.clone(),
    });
    let (on_endpoints, on_service, on_slice) = (controller.clone(), queue.clone(), controller.clone());
    endpoints.add_handler(move |event| on_endpoints.endpoints_changed(&event));
    services.add_handler(move |event| {
        if service_matters(&event) {
            on_service.add(key_of(&**event.object()));
        }
    });
    slices.add_handler(move |event| {
        for owner in on_slice.writer.concerned(&event) {
            on_slice.queue.add_after(owner, on_slice.batch_period);
        }
    });
    let workers = ctx.config.workers.mirroring;
    Some(ctx.work(NAME, queue, workers, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    }))
}

/// Endpoints of a Service with a selector are the endpoints controller's, and so are its slices.
fn has_selector(service: &Service) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| !selector.is_empty())
}

fn service_matters(event: &Event<Service>) -> bool {
    match event {
        Event::Added(service) | Event::Deleted(service) => !has_selector(service),
        Event::Updated { old, new } => has_selector(old) != has_selector(new),
    }
}

struct Controller {
    endpoints: Reader<Endpoints>,
    services: Reader<Service>,
    slices: Reader<EndpointSlice>,
    writer: Writer,
    recorder: Recorder,
    max_endpoints: usize,
    /// `--mirroring-endpointslice-updates-batch-period`.
    batch_period: Duration,
    queue: WorkQueue<String>,
}

impl Controller {
    fn endpoints_changed(&self, event: &Event<Endpoints>) {
        let matters = match event {
            Event::Updated { old, new } => plan::is_mirrored(old) || plan::is_mirrored(new),
            Event::Added(endpoints) | Event::Deleted(endpoints) => plan::is_mirrored(endpoints),
        };
        if matters {
            self.queue.add(key_of(&**event.object()));
        }
    }

    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let existing = self.slices.by_index(BY_ENDPOINTS, key);
        let mirrored = self
            .endpoints
            .get_by_key(key)
            .filter(|endpoints| plan::is_mirrored(endpoints))
            .filter(|_| self.services.get_by_key(key).is_some_and(|s| !has_selector(&s)));
        let Some(endpoints) = mirrored else {
            let plan = slices::Plan {
                delete: existing,
                ..slices::Plan::default()
            };
            self.writer.apply(key, plan).await?;
            self.writer.forget(key);
            return Ok(Outcome::Done);
        };
        anyhow::ensure!(
            !self.writer.is_stale(key, &existing),
            "EndpointSlice informer cache is out of date"
        );
        let mirror = plan::plan(&endpoints, &existing, self.max_endpoints);
        if mirror.invalid > 0 {
            let message = format!(
                "Skipped {} invalid IP addresses when mirroring to EndpointSlices",
                mirror.invalid
            );
            self.recorder
                .warning(&reference(&*endpoints), "InvalidIPAddress", message);
        }
        if mirror.skipped > mirror.invalid {
            let message = format!(
                "A max of {} addresses can be mirrored to EndpointSlices per Endpoints subset. {} addresses were skipped",
                self.max_endpoints, mirror.skipped
            );
            self.recorder
                .warning(&reference(&*endpoints), "TooManyAddressesToMirror", message);
        }
        self.writer.apply(key, mirror.slices).await?;
        Ok(Outcome::Done)
    }
}
