//! Keeps pods with scheduling gates out of the active queue (upstream `schedulinggates`).

use std::sync::Arc;

use serde_json::Value;

use super::Handle;
use crate::framework::event::{Event, Hint};
use crate::framework::plugin::{Plugin, PreEnqueue, Requeue};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Status;

pub(super) const NAME: &str = "SchedulingGates";

struct SchedulingGates;

pub(super) fn new(_: &Handle, _: &Value) -> Result<Plugin, String> {
    let plugin = Arc::new(SchedulingGates);
    Ok(Plugin {
        pre_enqueue: Some(plugin.clone()),
        requeue: Some(plugin),
        ..Plugin::named(NAME)
    })
}

impl PreEnqueue for SchedulingGates {
    fn pre_enqueue(&self, pod: &PodInfo) -> Result<(), Status> {
        let gates = pod.spec().scheduling_gates.as_deref().unwrap_or_default();
        if gates.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = gates.iter().map(|gate| gate.name.as_str()).collect();
        Err(Status::unresolvable(
            NAME,
            format!("waiting for scheduling gates: [{}]", names.join(" ")),
        ))
    }
}

impl Requeue for SchedulingGates {
    fn hint(&self, pod: &PodInfo, event: &Event) -> Hint {
        match event {
            Event::SelfUpdated { new, .. } if new.uid == pod.uid => Hint::queue_if(self.pre_enqueue(new).is_ok()),
            _ => Hint::Skip,
        }
    }
}
