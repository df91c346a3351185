//! node-lifecycle-controller: a node whose kubelet is silent is Unknown; conditions become taints;
//! pods of a node that is not Ready are not ready either.
//!
//! Upstream: pkg/controller/nodelifecycle/node_lifecycle_controller.go. Unlike upstream there is no
//! tick: a key is due when the node or its Lease changes, or when its grace period would end.
//! Key: the node.

mod apply;
mod health;
mod plan;

use std::{collections::HashMap, sync::Arc};

use client::{Client, controller::Outcome, events::Recorder, informer::Event, informer::Reader, workqueue::WorkQueue};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Node, Pod},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{name, namespace};
use crate::context::{ControllerContext, Work};
use health::Health;

/// Where kubelets renew their Leases.
const LEASE_NAMESPACE: &str = "kube-node-lease";
/// Index of pods by the node they are bound to.
pub(in crate::controllers) const BY_NODE: &str = "spec.nodeName";

struct Controller {
    client: Client,
    recorder: Recorder,
    nodes: Reader<Node>,
    leases: Reader<Lease>,
    pods: Reader<Pod>,
    times: health::Times,
    /// When each node last gave a sign of life, by our own clock: the clocks of nodes are not trusted.
    health: Mutex<HashMap<String, Health>>,
}

pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let queue = WorkQueue::new("node-lifecycle");
    let nodes = ctx.informers.informer::<Node>();
    let leases = ctx.informers.informer::<Lease>();
    let pods = ctx.informers.informer::<Pod>();
    add_node_index(&pods);
    let controller = Arc::new(Controller {
        client: ctx.client("node-controller"),
        recorder: ctx.recorder("node-controller"),
        nodes: nodes.reader(),
        leases: leases.reader(),
        pods: pods.reader(),
        times: health::Times {
            grace: ctx.config.node_monitor_grace_period,
            startup_grace: ctx.config.node_startup_grace_period,
        },
        health: Mutex::default(),
    });
    nodes.add_handler({
        let (queue, controller) = (queue.clone(), controller.clone());
        move |event| match event {
            Event::Added(node) | Event::Updated { new: node, .. } => queue.add(name(&*node).to_owned()),
            Event::Deleted(node) => {
                controller.health.lock().remove(name(&*node));
            }
        }
    });
    leases.add_handler({
        let queue = queue.clone();
        // A renewal alone changes nothing: the key is due when its grace ends. Only a Lease that
        // appears may end an Unknown sooner than the node's own status does.
        move |event| {
            if let Event::Added(lease) = event
                && namespace(&*lease) == LEASE_NAMESPACE
            {
                queue.add(name(&*lease).to_owned());
            }
        }
    });
    pods.add_handler({
        let queue = queue.clone();
        // A pod that is bound to a node that is already not Ready.
        move |event| {
            if let Event::Added(pod) = event
                && let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.clone())
            {
                queue.add(node);
            }
        }
    });
    Some(ctx.work("node-lifecycle-controller", queue, 1, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    }))
}

/// The index of pods by node; several controllers ask for it.
pub(in crate::controllers) fn add_node_index(pods: &client::informer::SharedInformer<Pod>) {
    pods.add_index(BY_NODE, |pod: &Pod| {
        pod.spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .into_iter()
            .collect()
    });
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let Some(node) = self.nodes.get("", key) else {
            return Ok(Outcome::Done);
        };
        let lease = self.leases.get(LEASE_NAMESPACE, key);
        let verdict = {
            let mut all = self.health.lock();
            let health = all
                .entry(key.to_owned())
                .or_insert_with(|| Health::first_seen(Instant::now()));
            health.observe(&node, lease.as_deref(), Instant::now(), self.times)
        };
        let plan = plan::plan(&node, verdict.silent, k8s_openapi::jiff::Timestamp::now());
        apply::apply(self, &node, plan).await?;
        Ok(Outcome::After(verdict.look_again))
    }
}
