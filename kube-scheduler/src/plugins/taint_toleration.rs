//! Taints refuse pods that do not tolerate them, or weigh against them (upstream
//! `tainttoleration`).

use std::sync::Arc;

use k8s_openapi::api::core::v1::Toleration;
use rules::taints::{PREFER_NO_SCHEDULE, blocks_scheduling, find_untolerated, tolerations_tolerate_taint};
use serde_json::Value;

use super::Handle;
use crate::framework::event::{Event, Hint};
use crate::framework::node_info::NodeInfo;
use crate::framework::plugin::{
    Cycle, Filter, Plugin, PreFilter, PreFiltered, PreScore, Requeue, Score, default_normalize,
};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Status;

pub(super) const NAME: &str = "TaintToleration";
const REASON: &str = "node(s) had untolerated taint(s)";

struct TaintToleration;

pub(super) fn new(_: &Handle, _: &Value) -> Result<Plugin, String> {
    let plugin = Arc::new(TaintToleration);
    Ok(Plugin {
        pre_filter: Some(plugin.clone()),
        pre_score: Some(plugin.clone()),
        requeue: Some(plugin),
        ..Plugin::named(NAME)
    })
}

fn tolerations(pod: &PodInfo) -> &[Toleration] {
    pod.spec().tolerations.as_deref().unwrap_or_default()
}

fn admits(node: &NodeInfo, tolerations: &[Toleration]) -> bool {
    let taints = node.taints();
    taints.is_empty() || find_untolerated(taints, tolerations, blocks_scheduling).is_none()
}

impl PreFilter for TaintToleration {
    fn pre_filter<'a>(&'a self, cycle: Cycle<'a>) -> PreFiltered<'a> {
        PreFiltered::check(Tolerating {
            tolerations: tolerations(cycle.pod),
        })
    }
}

struct Tolerating<'a> {
    tolerations: &'a [Toleration],
}

impl Filter for Tolerating<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Status> {
        if admits(node, self.tolerations) {
            Ok(())
        } else {
            Err(Status::unresolvable(NAME, REASON))
        }
    }
}

impl PreScore for TaintToleration {
    fn pre_score<'a>(&'a self, cycle: Cycle<'a>, nodes: &[&NodeInfo]) -> Option<Box<dyn Score + 'a>> {
        let preferring = |node: &&NodeInfo| node.taints().iter().any(|taint| taint.effect == PREFER_NO_SCHEDULE);
        if !nodes.iter().any(preferring) {
            return None;
        }
        let tolerations = tolerations(cycle.pod)
            .iter()
            .filter(|toleration| {
                toleration
                    .effect
                    .as_deref()
                    .is_none_or(|effect| effect.is_empty() || effect == PREFER_NO_SCHEDULE)
            })
            .cloned()
            .collect();
        Some(Box::new(FewestTaints { tolerations }))
    }
}

/// Counts the taints the pod would rather avoid; fewest is best.
struct FewestTaints {
    tolerations: Vec<Toleration>,
}

impl Score for FewestTaints {
    fn score(&self, node: &NodeInfo) -> i64 {
        let unwanted = node.taints().iter().filter(|taint| {
            taint.effect == PREFER_NO_SCHEDULE && !tolerations_tolerate_taint(&self.tolerations, taint)
        });
        unwanted.count() as i64
    }

    fn normalize(&self, scores: &mut [i64]) {
        default_normalize(scores, true);
    }
}

impl Requeue for TaintToleration {
    fn hint(&self, pod: &PodInfo, event: &Event) -> Hint {
        match event {
            Event::NodeAdded(node) => Hint::queue_if(admits(node, tolerations(pod))),
            Event::NodeUpdated { old, new } => {
                let before = old
                    .spec
                    .as_ref()
                    .and_then(|spec| spec.taints.as_deref())
                    .unwrap_or_default();
                let was = find_untolerated(before, tolerations(pod), blocks_scheduling).is_none();
                Hint::queue_if(!was && admits(new, tolerations(pod)))
            }
            Event::SelfUpdated { old, new } if new.uid == pod.uid => {
                Hint::queue_if(old.spec().tolerations != new.spec().tolerations)
            }
            _ => Hint::Skip,
        }
    }
}
