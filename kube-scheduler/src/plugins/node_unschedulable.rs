//! Cordoned nodes take only pods that tolerate it (upstream `nodeunschedulable`).

use std::sync::Arc;

use k8s_openapi::api::core::v1::Taint;
use rules::taints::{NO_SCHEDULE, NODE_UNSCHEDULABLE, tolerations_tolerate_taint};
use serde_json::Value;

use super::Handle;
use crate::framework::event::{Event, Hint};
use crate::framework::node_info::NodeInfo;
use crate::framework::plugin::{Cycle, Filter, Plugin, PreFilter, PreFiltered, Requeue};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Status;

pub(super) const NAME: &str = "NodeUnschedulable";
const REASON: &str = "node(s) were unschedulable";

struct NodeUnschedulable {
    taint: Taint,
}

pub(super) fn new(_: &Handle, _: &Value) -> Result<Plugin, String> {
    let taint = Taint {
        key: NODE_UNSCHEDULABLE.to_owned(),
        effect: NO_SCHEDULE.to_owned(),
        ..Taint::default()
    };
    let plugin = Arc::new(NodeUnschedulable { taint });
    Ok(Plugin {
        pre_filter: Some(plugin.clone()),
        requeue: Some(plugin),
        ..Plugin::named(NAME)
    })
}

impl NodeUnschedulable {
    fn tolerated(&self, pod: &PodInfo) -> bool {
        tolerations_tolerate_taint(pod.spec().tolerations.as_deref().unwrap_or_default(), &self.taint)
    }
}

impl PreFilter for NodeUnschedulable {
    fn pre_filter<'a>(&'a self, cycle: Cycle<'a>) -> PreFiltered<'a> {
        if self.tolerated(cycle.pod) {
            PreFiltered::Skip
        } else {
            PreFiltered::check(NotCordoned)
        }
    }
}

struct NotCordoned;

impl Filter for NotCordoned {
    fn filter(&self, node: &NodeInfo) -> Result<(), Status> {
        if node.unschedulable() {
            Err(Status::unresolvable(NAME, REASON))
        } else {
            Ok(())
        }
    }
}

impl Requeue for NodeUnschedulable {
    fn hint(&self, pod: &PodInfo, event: &Event) -> Hint {
        match event {
            Event::NodeAdded(node) => Hint::queue_if(!node.unschedulable()),
            Event::NodeUpdated { old, new } => {
                let was = old.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
                Hint::queue_if(was && !new.unschedulable())
            }
            Event::SelfUpdated { new, .. } if new.uid == pod.uid => Hint::queue_if(self.tolerated(new)),
            _ => Hint::Skip,
        }
    }
}
