//! resourcequota-controller: what the objects of a namespace use of each ResourceQuota, in its status.
//!
//! Watches ResourceQuotas, what has usage of its own (pods, services, claims of volumes and devices) and what is only
//! counted. What comes has been charged by the API server's admission before it was stored, and the charge may be seen
//! here before the object is: therefore an arrival only raises what is used (key = `+` and the quota), and all is
//! counted anew when something goes or takes less (key = the quota). Upstream does not look at arrivals at all
//! (`QuotaMonitor.processResourceChanges`), and so misses those from before admission knew of the quota.
//! Upstream: pkg/controller/resourcequota/resource_quota_controller.go.

mod monitors;
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
use rules::volumes::attributes_classes_of_claim;

use crate::context::{ControllerContext, Work};
use monitors::Monitors;

const NAME: &str = "resourcequota-controller";
/// Before a key: something came.
const ARRIVAL: char = '+';
/// How soon a quota on a resource that nobody serves yet is looked at again (upstream's period of discovery).
const UNKNOWN: Duration = Duration::from_secs(30);

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
    let client = ctx.client("resourcequota-controller");
    let controller = Arc::new(Controller {
        quotas: quotas.reader(),
        pods: waker.watch(ctx, |pod: &Pod| {
            let ends = pod.spec.as_ref().is_some_and(pods::is_terminating);
            let scopes = [ends.to_string(), rules::qos::pod_qos(pod).to_owned()];
            (pods::usage(pod, Timestamp::now()), scopes.into())
        }),
        services: waker.watch(ctx, |service: &Service| (services::usage(service), Vec::new())),
        claims: waker.watch(ctx, |claim: &PersistentVolumeClaim| {
            let classes = attributes_classes_of_claim(claim);
            (claims::usage(claim), classes.into_iter().collect())
        }),
        // Its classes and its pod count too, but a change of those alone waits for the next full look.
        resource_claims: waker.watch(ctx, |claim: &ResourceClaim| {
            let used = resource_claims::usage(claim, &Classes::default(), &ResourceList::new());
            (used, Vec::new())
        }),
        classes: ctx.informers.informer::<DeviceClass>().reader(),
        counters: counters(ctx, &waker),
        monitors: Monitors::new(client.clone(), waker.clone(), ctx.shutdown.clone()),
        client,
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
#[derive(Clone)]
struct Waker {
    quotas: Reader<ResourceQuota>,
    queue: WorkQueue<String>,
}

/// What quotas see of an object: its usage, and what their scopes look at.
type Seen = (ResourceList, Vec<String>);

impl Waker {
    /// The objects of a kind with usage of its own.
    fn watch<K: Object + k8s_openapi::Resource>(
        &self,
        ctx: &ControllerContext,
        seen: impl Fn(&K) -> Seen + Send + Sync + 'static,
    ) -> Reader<K>
    where
        K::Scope: 'static,
    {
        let informer = ctx.informers.informer::<K>();
        let waker = self.clone();
        informer.add_handler(move |event| match &event {
            Event::Added(object) => waker.arrived(&**object),
            Event::Deleted(object) => waker.left(&**object),
            Event::Updated { old, new } => {
                let (old, now) = (seen(old), seen(new));
                if plan::gives_back(&old, &now) {
                    waker.left(&**new);
                } else if old != now {
                    waker.arrived(&**new);
                }
            }
        });
        informer.reader()
    }

    fn counter<K: Object + k8s_openapi::Resource>(&self, ctx: &ControllerContext) -> Counter
    where
        K::Scope: 'static,
    {
        let informer = ctx.informers.informer::<K>();
        let waker = self.clone();
        informer.add_handler(move |event| waker.came_or_went(&event));
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

    /// For what is only counted.
    fn came_or_went<K: Object>(&self, event: &Event<K>) {
        match event {
            Event::Added(object) => self.arrived(&**object),
            Event::Deleted(object) => self.left(&**object),
            Event::Updated { .. } => {}
        }
    }

    fn arrived<K: Object>(&self, object: &K) {
        self.wake(object, |quota| format!("{ARRIVAL}{quota}"));
    }

    fn left<K: Object>(&self, object: &K) {
        self.wake(object, |quota| quota);
    }

    fn wake<K: Object>(&self, object: &K, key: impl Fn(String) -> String) {
        let namespace = object.metadata().namespace.as_deref().unwrap_or_default();
        for quota in self.quotas.list_namespace(namespace) {
            self.queue.add(key(key_of(&*quota)));
        }
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
    monitors: Monitors,
    client: Client,
    /// `--resource-quota-sync-period`: how long a status that somebody else wrote may stay.
    period: Duration,
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let (key, count) = match key.strip_prefix(ARRIVAL) {
            Some(key) => (key, plan::Count::Arrivals),
            None => (key, plan::Count::All),
        };
        let Some(quota) = self.quotas.get_by_key(key) else {
            return Ok(Outcome::Done);
        };
        let (namespace, _) = split_key(key);
        let hard = plan::hard(&quota);
        let mut counts: BTreeMap<&str, usize> = self
            .counters
            .iter()
            .flat_map(|counter| counter.names.iter().map(move |name| (name.as_str(), counter)))
            .filter(|(name, _)| hard.contains_key(*name))
            .map(|(name, counter)| (name, (counter.count)(namespace)))
            .collect();
        let classes = Classes::new(self.classes.list().iter().map(|class| &**class));
        let mut period = self.period;
        for name in hard.keys().filter(|name| name.starts_with("count/")) {
            if counts.contains_key(name.as_str()) || plan::is_measured(name, &classes) {
                continue;
            }
            match self.monitors.count(name, namespace).await? {
                Some(count) => drop(counts.insert(name, count)),
                None => period = period.min(UNKNOWN),
            }
        }
        let objects = plan::Objects {
            pods: self.pods.list_namespace(namespace),
            services: self.services.list_namespace(namespace),
            claims: self.claims.list_namespace(namespace),
            resource_claims: self.resource_claims.list_namespace(namespace),
            classes,
            counts,
        };
        if let Some(status) = plan::plan(&quota, &objects, count, Timestamp::now()) {
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
        Ok(if period.is_zero() || count == plan::Count::Arrivals {
            Outcome::Done
        } else {
            Outcome::After(period)
        })
    }
}
