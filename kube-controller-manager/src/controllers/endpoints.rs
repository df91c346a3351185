//! endpoints-controller: the older form of endpoints, one object per Service, for those who still read it.
//!
//! Watches Services, Pods and Endpoints; key = Service. Upstream: pkg/controller/endpoint/endpoints_controller.go.

mod plan;

use std::sync::Arc;

use client::controller::Outcome;
use client::events::{Recorder, reference};
use client::informer::{Event, Reader};
use client::object::{key_of, split_key};
use client::workqueue::WorkQueue;
use client::{Api, Client};
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};

use crate::context::{ControllerContext, Work};
use crate::service_pods;

const NAME: &str = "endpoint-controller";

/// Asks for informers; the work reconciles Services.
pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let services = ctx.informers.informer::<Service>();
    let pods = ctx.informers.informer::<Pod>();
    let endpoints = ctx.informers.informer::<Endpoints>();
    let queue = WorkQueue::new("endpoint");
    let controller = Arc::new(Controller {
        services: services.reader(),
        pods: pods.reader(),
        endpoints: endpoints.reader(),
        client: ctx.client("endpoint-controller"),
        recorder: ctx.recorder(NAME),
    });
    let on_service = queue.clone();
    services.add_handler(move |event| on_service.add(key_of(&**event.object())));
    let (on_pod, all) = (queue.clone(), services.reader());
    pods.add_handler(move |event| {
        for service in service_pods::services_of(&event, &all) {
            on_pod.add(service);
        }
    });
    let on_endpoints = queue.clone();
    endpoints.add_handler(move |event| {
        // Endpoints of a Service that went while we were away, or that somebody else deleted.
        if !matches!(event, Event::Updated { .. }) {
            on_endpoints.add(key_of(&**event.object()));
        }
    });
    Some(
        ctx.work("endpoints-controller", queue, ctx.config.workers.endpoint, move |key| {
            let controller = controller.clone();
            async move { controller.reconcile(&key).await }
        }),
    )
}

struct Controller {
    services: Reader<Service>,
    pods: Reader<Pod>,
    endpoints: Reader<Endpoints>,
    client: Client,
    recorder: Recorder,
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let (namespace, name) = split_key(key);
        let api: Api<Endpoints> = Api::namespaced(self.client.clone(), namespace);
        let current = self.endpoints.get_by_key(key);
        let Some(service) = self.services.get_by_key(key) else {
            // Only what we made: a leader election of old lives in Endpoints without a Service.
            if current.is_some_and(|e| plan::is_ours(&e)) {
                match api.delete(name, &client::DeleteOptions::default()).await {
                    Err(error) if !error.is_not_found() => return Err(error.into()),
                    _ => {}
                }
            }
            return Ok(Outcome::Done);
        };
        let Some(selector) = service_pods::selector(&service) else {
            return Ok(Outcome::Done);
        };
        let pods: Vec<_> = self
            .pods
            .list_namespace(namespace)
            .into_iter()
            .filter(|pod| service_pods::selects(selector, pod.metadata.labels.as_ref()))
            .collect();
        let Some(next) = plan::plan(&service, &pods, current.as_deref()) else {
            return Ok(Outcome::Done);
        };
        let exists = next.metadata.resource_version.is_some();
        let written = if exists {
            api.update(&next).await
        } else {
            api.create(&next).await
        };
        match written {
            Err(error) if error.is_namespace_terminating() => Ok(Outcome::Done),
            Err(error) => {
                let (reason, verb) = if exists {
                    ("FailedToUpdateEndpoint", "update")
                } else {
                    ("FailedToCreateEndpoint", "create")
                };
                let message = if exists {
                    format!("Failed to {verb} endpoint {key}: {error}")
                } else {
                    format!("Failed to {verb} endpoint for service {key}: {error}")
                };
                self.recorder.warning(&reference(&*service), reason, message);
                Err(error.into())
            }
            Ok(_) => Ok(Outcome::Done),
        }
    }
}
