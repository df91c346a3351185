//! resourcequota-controller: what the objects of a namespace use of each ResourceQuota, in its status.
//!
//! Watches ResourceQuotas, what has usage of its own (pods, services, claims of volumes and devices) and what is only counted; key = quota.
//! Upstream: pkg/controller/resourcequota/resource_quota_controller.go. Upstream counts objects of every namespaced
//! resource that discovery tells of; here it is the table below.

mod plan;
#[cfg(test)]
mod tests;

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
use k8s_openapi::api::resource::v1::{DeviceClass, ResourceClaim};
use k8s_openapi::jiff::Timestamp;
use rules::quota::resource_claims::{self, Classes};
use rules::quota::{claims, count_name, old_name, pods, services};
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
        pods: waker.watch(ctx, |pod| pods::usage(pod, Timestamp::now())),
        services: waker.watch(ctx, services::usage),
        claims: waker.watch(ctx, claims::usage),
        // Its classes and its pod count too, but a change of those alone waits for the next full look.
        resource_claims: waker.watch(ctx, |claim| {
            resource_claims::usage(claim, &Classes::default(), &ResourceList::new())
        }),
        classes: ctx.informers.informer::<DeviceClass>().reader(),
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
        waker.counter::<ConfigMap>(ctx),
        waker.counter::<Secret>(ctx),
        waker.counter::<ReplicationController>(ctx),
        waker.counter::<ResourceQuota>(ctx),
        waker.counter::<ServiceAccount>(ctx),
        waker.counter::<Deployment>(ctx),
        waker.counter::<ReplicaSet>(ctx),
        waker.counter::<StatefulSet>(ctx),
        waker.counter::<DaemonSet>(ctx),
        waker.counter::<Job>(ctx),
        waker.counter::<CronJob>(ctx),
        waker.counter::<PodDisruptionBudget>(ctx),
        waker.counter::<EndpointSlice>(ctx),
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

    fn counter<K: Object + k8s_openapi::Resource>(&self, ctx: &ControllerContext) -> Counter
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
        let (group, plural) = (resource.group.as_ref(), resource.plural.as_ref());
        let names = old_name(group, plural).map(str::to_owned);
        let names = names.into_iter().chain([count_name(group, plural)]).collect();
        let reader = informer.reader();
        Counter {
            names,
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
    resource_claims: Reader<ResourceClaim>,
    classes: Reader<DeviceClass>,
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
            resource_claims: self.resource_claims.list_namespace(namespace),
            classes: Classes::new(self.classes.list().iter().map(|class| &**class)),
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
