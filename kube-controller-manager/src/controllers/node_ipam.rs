//! node-ipam-controller: every node gets its part of the cluster's pod range (`spec.podCIDR`).
//!
//! Upstream: pkg/controller/nodeipam/ipam/range_allocator.go `rangeAllocator`. Key: the node.

pub(crate) mod cidr;
mod cidr_set;

use std::sync::Arc;

use client::{
    Api, Client, Patch, controller::Outcome, events, events::Recorder, informer::Event, informer::Reader,
    workqueue::WorkQueue,
};
use k8s_openapi::api::core::v1::Node;
use parking_lot::Mutex;
use serde_json::json;

use super::name;
use crate::context::{ControllerContext, Work};
use cidr_set::CidrSet;

struct Controller {
    client: Client,
    recorder: Recorder,
    nodes: Reader<Node>,
    /// One set per address family. Taken before the write, given back when the write fails or the
    /// node goes: two nodes can never get the same range.
    sets: Mutex<Vec<CidrSet>>,
}

pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let config = ctx.config.node_cidrs.as_ref()?;
    let mut sets: Vec<CidrSet> = config
        .clusters
        .iter()
        .map(|&(cluster, mask)| CidrSet::new(cluster, mask))
        .collect();
    for excluded in &config.excluded {
        sets.iter_mut().for_each(|set| set.occupy(*excluded));
    }
    let queue = WorkQueue::new("node-ipam");
    let nodes = ctx.informers.informer::<Node>();
    let controller = Arc::new(Controller {
        client: ctx.client("node-controller"),
        recorder: ctx.recorder("cidrAllocator"),
        nodes: nodes.reader(),
        sets: Mutex::new(sets),
    });
    nodes.add_handler({
        let (queue, controller) = (queue.clone(), controller.clone());
        move |event| match event {
            // What a node has is taken as soon as it is seen: the initial list is complete before
            // the first reconcile.
            Event::Added(node) | Event::Updated { new: node, .. } => {
                controller.occupy(&node);
                queue.add(name(&*node).to_owned());
            }
            Event::Deleted(node) => controller.release(&node),
        }
    });
    Some(ctx.work("node-ipam-controller", queue, 1, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    }))
}

fn ranges(node: &Node) -> impl Iterator<Item = cidr::Cidr> {
    let spec = node.spec.as_ref();
    let all = spec.and_then(|spec| spec.pod_cidrs.clone()).unwrap_or_default();
    all.into_iter().filter_map(|text| text.parse().ok())
}

impl Controller {
    fn occupy(&self, node: &Node) {
        let mut sets = self.sets.lock();
        for range in ranges(node) {
            sets.iter_mut().for_each(|set| set.occupy(range));
        }
    }

    fn release(&self, node: &Node) {
        let mut sets = self.sets.lock();
        for range in ranges(node) {
            sets.iter_mut().for_each(|set| set.release(range));
        }
    }

    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let Some(node) = self.nodes.get("", key) else {
            return Ok(Outcome::Done);
        };
        if ranges(&node).next().is_some() {
            return Ok(Outcome::Done);
        }
        let taken: Option<Vec<_>> = {
            let mut sets = self.sets.lock();
            let taken: Vec<_> = sets.iter_mut().filter_map(CidrSet::next).collect();
            if taken.len() == sets.len() {
                Some(taken)
            } else {
                taken
                    .into_iter()
                    .for_each(|range| sets.iter_mut().for_each(|set| set.release(range)));
                None
            }
        };
        let Some(taken) = taken else {
            let about = events::reference(&*node);
            self.recorder.normal(
                &about,
                "CIDRNotAvailable",
                format!("Node {key} status is now: CIDRNotAvailable"),
            );
            anyhow::bail!(
                "failed to allocate a pod range for node {key}: CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range"
            );
        };
        let texts: Vec<String> = taken.iter().map(ToString::to_string).collect();
        let patch = Patch::Strategic(json!({"spec": {"podCIDR": texts[0], "podCIDRs": texts}}));
        match Api::<Node>::all(self.client.clone()).patch(key, &patch, None).await {
            Ok(_) => Ok(Outcome::Done),
            Err(error) => {
                let mut sets = self.sets.lock();
                taken
                    .into_iter()
                    .for_each(|range| sets.iter_mut().for_each(|set| set.release(range)));
                drop(sets);
                if error.is_not_found() {
                    Ok(Outcome::Done)
                } else {
                    Err(error.into())
                }
            }
        }
    }
}
