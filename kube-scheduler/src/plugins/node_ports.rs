//! Host ports must be free on the node (upstream `nodeports`).

use std::sync::Arc;

use rules::ports::{HostPort, conflict};
use serde_json::Value;

use super::Handle;
use crate::framework::event::{Event, Hint};
use crate::framework::node_info::NodeInfo;
use crate::framework::plugin::{Cycle, Filter, Plugin, PreFilter, PreFiltered, Requeue};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Status;

pub(super) const NAME: &str = "NodePorts";
const REASON: &str = "node(s) didn't have free ports for the requested pod ports";

struct NodePorts;

pub(super) fn new(_: &Handle, _: &Value) -> Result<Plugin, String> {
    let plugin = Arc::new(NodePorts);
    Ok(Plugin {
        pre_filter: Some(plugin.clone()),
        requeue: Some(plugin),
        ..Plugin::named(NAME)
    })
}

fn clash(wanted: &[HostPort], used: &[HostPort]) -> bool {
    wanted.iter().any(|port| used.iter().any(|taken| conflict(port, taken)))
}

impl PreFilter for NodePorts {
    fn pre_filter<'a>(&'a self, cycle: Cycle<'a>) -> PreFiltered<'a> {
        if cycle.pod.host_ports.is_empty() {
            return PreFiltered::Skip;
        }
        PreFiltered::check(Free {
            wanted: &cycle.pod.host_ports,
        })
    }
}

struct Free<'a> {
    wanted: &'a [HostPort],
}

impl Filter for Free<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Status> {
        if clash(self.wanted, &node.used_ports) {
            Err(Status::unschedulable(NAME, REASON))
        } else {
            Ok(())
        }
    }
}

impl Requeue for NodePorts {
    fn hint(&self, pod: &PodInfo, event: &Event) -> Hint {
        match event {
            Event::PodDeleted(gone) => Hint::queue_if(clash(&pod.host_ports, &gone.host_ports)),
            Event::NodeAdded(node) => Hint::queue_if(!clash(&pod.host_ports, &node.used_ports)),
            _ => Hint::Skip,
        }
    }
}
