//! resourcequota-controller: what the objects of a namespace use of each ResourceQuota, in its status.
//!
//! Watches ResourceQuotas, what has usage of its own (pods, services, claims) and what is only counted; key = quota.
//! Upstream: pkg/controller/resourcequota/resource_quota_controller.go. Upstream counts objects of every namespaced
//! resource that discovery tells of; here it is the table below.

mod plan;
mod scopes;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::controller::Outcome;
use client::informer::{Event, Reader};
use client::object::{Resource, key_of, split_key};
use client::workqueue::WorkQueue;
use client::{Api, Client, Object};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Pod, ReplicationController, ResourceQuota, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::jiff::Timestamp;
use rules::resources::ResourceList;

use crate::context::{ControllerContext, Work};

const NAME: &str = "resourcequota-controller";

/// Asks for informers; the work recalculates ResourceQuotas.
pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let quotas = ctx.informers.informer::<ResourceQuota>();
    let queue = WorkQueue::new("resourcequota_primary");
    quotas.add_handler({
        let queue = queue.clone();
        // Changes of the status are our own, or will be put right at the next full look.
        move |event| match &event {
            Event::Updated { old, new } if plan::hard(old) == plan::hard(new) => {}
            _ => queue.add(key_of(&**event.object())),
        }
    });
    let waker = Waker {
        quotas: quotas.reader(),
        queue: queue.clone(),
    };
    let controller = Arc::new(Controller {
        quotas: quotas.reader(),
        pods: waker.watch(ctx, |pod| usage::of_pod(pod, Timestamp::now())),
        services: waker.watch(ctx, usage::of_service),
        claims: waker.watch(ctx, usage::of_claim),
        counters: counters(ctx, &waker),
        client: ctx.client("resourcequota-controller"),
        period: ctx.config.resource_quota_sync_period,
    });
    Some(ctx.work(NAME, queue, ctx.config.workers.resource_quota, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    }))
}

/// Counts the objects of one resource in a namespace.
struct Counter {
    /// The names under which a quota limits the number.
    names: Vec<String>,
    count: Box<dyn Fn(&str) -> usize + Send + Sync>,
}

fn counters(ctx: &ControllerContext, waker: &Waker) -> Vec<Counter> {
    vec![
        // These have had names of their own since before `count/`.
        waker.counter::<ConfigMap>(ctx, Some("configmaps")),
        waker.counter::<Secret>(ctx, Some("secrets")),
        waker.counter::<ReplicationController>(ctx, Some("replicationcontrollers")),
        waker.counter::<ResourceQuota>(ctx, Some("resourcequotas")),
        waker.counter::<ServiceAccount>(ctx, None),
        waker.counter::<Deployment>(ctx, None),
        waker.counter::<ReplicaSet>(ctx, None),
        waker.counter::<StatefulSet>(ctx, None),
        waker.counter::<DaemonSet>(ctx, None),
        waker.counter::<Job>(ctx, None),
        waker.counter::<CronJob>(ctx, None),
        waker.counter::<PodDisruptionBudget>(ctx, None),
        waker.counter::<EndpointSlice>(ctx, None),
    ]
}

/// Brings the quotas of a namespace back when something in it changes.
struct Waker {
    quotas: Reader<ResourceQuota>,
    queue: WorkQueue<String>,
}

impl Waker {
    /// The objects of a kind with usage of its own.
    fn watch<K: Object + k8s_openapi::Resource>(
        &self,
        ctx: &ControllerContext,
        usage: impl Fn(&K) -> ResourceList + Send + Sync + 'static,
    ) -> Reader<K>
    where
        K::Scope: 'static,
    {
        let informer = ctx.informers.informer::<K>();
        let (quotas, queue) = (self.quotas.clone(), self.queue.clone());
        informer.add_handler(move |event| {
            if let Event::Updated { old, new } = &event
                && usage(old) == usage(new)
            {
                return;
            }
            wake(&quotas, &queue, &**event.object());
        });
        informer.reader()
    }

    fn counter<K: Object + k8s_openapi::Resource>(&self, ctx: &ControllerContext, short: Option<&str>) -> Counter
    where
        K::Scope: 'static,
    {
        let informer = ctx.informers.informer::<K>();
        let (quotas, queue) = (self.quotas.clone(), self.queue.clone());
        informer.add_handler(move |event| {
            if !matches!(event, Event::Updated { .. }) {
                wake(&quotas, &queue, &**event.object());
            }
        });
        let resource = Resource::of::<K>();
        let count = match resource.group.as_ref() {
            "" => format!("count/{}", resource.plural),
            group => format!("count/{}.{group}", resource.plural),
        };
        let reader = informer.reader();
        Counter {
            names: short.map(str::to_owned).into_iter().chain([count]).collect(),
            count: Box::new(move |namespace| reader.list_namespace(namespace).len()),
        }
    }
}

fn wake<K: Object>(quotas: &Reader<ResourceQuota>, queue: &WorkQueue<String>, object: &K) {
    for quota in quotas.list_namespace(object.metadata().namespace.as_deref().unwrap_or_default()) {
        queue.add(key_of(&*quota));
    }
}

struct Controller {
    quotas: Reader<ResourceQuota>,
    pods: Reader<Pod>,
    services: Reader<Service>,
    claims: Reader<PersistentVolumeClaim>,
    counters: Vec<Counter>,
    client: Client,
    /// `--resource-quota-sync-period`: how long a status that somebody else wrote may stay.
    period: Duration,
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let Some(quota) = self.quotas.get_by_key(key) else {
            return Ok(Outcome::Done);
        };
        let (namespace, _) = split_key(key);
        let hard = plan::hard(&quota);
        let counts: BTreeMap<&str, usize> = self
            .counters
            .iter()
            .flat_map(|counter| counter.names.iter().map(move |name| (name.as_str(), counter)))
            .filter(|(name, _)| hard.contains_key(*name))
            .map(|(name, counter)| (name, (counter.count)(namespace)))
            .collect();
        let objects = plan::Objects {
            pods: self.pods.list_namespace(namespace),
            services: self.services.list_namespace(namespace),
            claims: self.claims.list_namespace(namespace),
            counts,
        };
        if let Some(status) = plan::plan(&quota, &objects, Timestamp::now()) {
            let next = ResourceQuota {
                status: Some(status),
                ..(*quota).clone()
            };
            let api: Api<ResourceQuota> = Api::namespaced(self.client.clone(), namespace);
            match api.update_status(&next).await {
                Err(error) if error.is_not_found() => {}
                other => {
                    other?;
                }
            }
        }
        Ok(if self.period.is_zero() {
            Outcome::Done
        } else {
            Outcome::After(self.period)
        })
    }
}
