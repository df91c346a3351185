//! Node selector and node affinity, required and preferred (upstream `nodeaffinity`).

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{NodeAffinity as Rules, NodeSelectorTerm, PodSpec};
use rules::node_affinity::{NodeRef, pod_matches_node, preferred_score};
use serde_json::Value;

use super::Handle;
use crate::framework::event::{Event, Hint};
use crate::framework::node_info::NodeInfo;
use crate::framework::plugin::{
    Cycle, Filter, Plugin, PreFilter, PreFiltered, PreScore, Requeue, Score, default_normalize,
};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Status;

pub(super) const NAME: &str = "NodeAffinity";
const REASON: &str = "node(s) didn't match Pod's node affinity/selector";
const CONFLICT: &str = "pod affinity terms conflict";

struct NodeAffinity;

pub(super) fn new(_: &Handle, _: &Value) -> Result<Plugin, String> {
    let plugin = Arc::new(NodeAffinity);
    Ok(Plugin {
        pre_filter: Some(plugin.clone()),
        pre_score: Some(plugin.clone()),
        requeue: Some(plugin),
        ..Plugin::named(NAME)
    })
}

fn affinity(pod: &PodInfo) -> Option<&Rules> {
    pod.spec().affinity.as_ref()?.node_affinity.as_ref()
}

fn required_terms(pod: &PodInfo) -> Option<&[NodeSelectorTerm]> {
    let required = affinity(pod)?
        .required_during_scheduling_ignored_during_execution
        .as_ref()?;
    Some(&required.node_selector_terms)
}

/// The only nodes the terms admit, when every term names some by `metadata.name` (DaemonSet pods).
fn named_nodes(terms: &[NodeSelectorTerm]) -> Option<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for term in terms {
        let mut names: Option<BTreeSet<String>> = None;
        for field in term.match_fields.iter().flatten() {
            if field.key != "metadata.name" || field.operator != "In" {
                continue;
            }
            let values: BTreeSet<String> = field.values.iter().flatten().cloned().collect();
            names = Some(match names {
                Some(names) => names.intersection(&values).cloned().collect(),
                None => values,
            });
        }
        all.extend(names?);
    }
    (!terms.is_empty()).then_some(all)
}

impl PreFilter for NodeAffinity {
    fn pre_filter<'a>(&'a self, cycle: Cycle<'a>) -> PreFiltered<'a> {
        let spec = cycle.pod.spec();
        let terms = required_terms(cycle.pod);
        if terms.is_none() && spec.node_selector.as_ref().is_none_or(|selector| selector.is_empty()) {
            return PreFiltered::Skip;
        }
        let nodes = terms.and_then(named_nodes);
        if nodes.as_ref().is_some_and(BTreeSet::is_empty) {
            return PreFiltered::Reject(Status::unresolvable(NAME, CONFLICT));
        }
        PreFiltered::Check {
            filter: Box::new(Matching { spec }),
            nodes,
        }
    }
}

struct Matching<'a> {
    spec: &'a PodSpec,
}

impl Filter for Matching<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Status> {
        if pod_matches_node(self.spec, node.affinity_ref()) {
            Ok(())
        } else {
            Err(Status::unresolvable(NAME, REASON))
        }
    }
}

impl PreScore for NodeAffinity {
    fn pre_score<'a>(&'a self, cycle: Cycle<'a>, _: &[&NodeInfo]) -> Option<Box<dyn Score + 'a>> {
        let preferred = affinity(cycle.pod)?
            .preferred_during_scheduling_ignored_during_execution
            .as_deref()?;
        (!preferred.is_empty()).then(|| Box::new(Preferring { preferred }) as Box<dyn Score + 'a>)
    }
}

struct Preferring<'a> {
    preferred: &'a [k8s_openapi::api::core::v1::PreferredSchedulingTerm],
}

impl Score for Preferring<'_> {
    fn score(&self, node: &NodeInfo) -> i64 {
        preferred_score(self.preferred, node.affinity_ref())
    }

    fn normalize(&self, scores: &mut [i64]) {
        default_normalize(scores, false);
    }
}

impl Requeue for NodeAffinity {
    fn hint(&self, pod: &PodInfo, event: &Event) -> Hint {
        match event {
            Event::NodeAdded(node) => Hint::queue_if(pod_matches_node(pod.spec(), node.affinity_ref())),
            Event::NodeUpdated { old, new } => Hint::queue_if(
                !pod_matches_node(pod.spec(), NodeRef::from(&**old))
                    && pod_matches_node(pod.spec(), new.affinity_ref()),
            ),
            Event::SelfUpdated { old, new } if new.uid == pod.uid => Hint::queue_if(
                old.spec().node_selector != new.spec().node_selector || old.spec().affinity != new.spec().affinity,
            ),
            _ => Hint::Skip,
        }
    }
}
