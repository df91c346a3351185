//! A pod that names its node fits only there (upstream `nodename`).

use std::sync::Arc;

use serde_json::Value;

use super::Handle;
use crate::framework::event::{Event, Hint};
use crate::framework::node_info::NodeInfo;
use crate::framework::plugin::{Cycle, Filter, Plugin, PreFilter, PreFiltered, Requeue};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Status;

pub(super) const NAME: &str = "NodeName";
const REASON: &str = "node(s) didn't match the requested node name";

struct NodeName;

pub(super) fn new(_: &Handle, _: &Value) -> Result<Plugin, String> {
    let plugin = Arc::new(NodeName);
    Ok(Plugin {
        pre_filter: Some(plugin.clone()),
        requeue: Some(plugin),
        ..Plugin::named(NAME)
    })
}

impl PreFilter for NodeName {
    fn pre_filter<'a>(&'a self, cycle: Cycle<'a>) -> PreFiltered<'a> {
        match cycle.pod.node_name() {
            Some(wanted) => PreFiltered::check(Named { wanted }),
            None => PreFiltered::Skip,
        }
    }
}

struct Named<'a> {
    wanted: &'a str,
}

impl Filter for Named<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Status> {
        if &*node.name == self.wanted {
            Ok(())
        } else {
            Err(Status::unresolvable(NAME, REASON))
        }
    }
}

impl Requeue for NodeName {
    fn hint(&self, pod: &PodInfo, event: &Event) -> Hint {
        match event {
            Event::NodeAdded(node) => Hint::queue_if(pod.node_name() == Some(&node.name)),
            _ => Hint::Skip,
        }
    }
}
