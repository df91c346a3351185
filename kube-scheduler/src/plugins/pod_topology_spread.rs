//! Spreads pods over the values of a node label (upstream `podtopologyspread`). The system's default
//! constraints, which need the pods' Services and owners, are not applied.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use apimachinery::labels::{Operator, Requirement, Selector};
use k8s_openapi::api::core::v1::TopologySpreadConstraint;
use rules::node_affinity::pod_matches_node;
use rules::taints::{blocks_scheduling, find_untolerated};
use serde_json::Value;

use super::Handle;
use crate::framework::event::{Event, Hint};
use crate::framework::node_info::NodeInfo;
use crate::framework::plugin::{Cycle, Filter, MAX_SCORE, Plugin, PreFilter, PreFiltered, PreScore, Requeue, Score};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Status;

pub(super) const NAME: &str = "PodTopologySpread";
const SKEW: &str = "node(s) didn't match pod topology spread constraints";
const LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";

struct PodTopologySpread;

pub(super) fn new(_: &Handle, _: &Value) -> Result<Plugin, String> {
    let plugin = Arc::new(PodTopologySpread);
    Ok(Plugin {
        pre_filter: Some(plugin.clone()),
        pre_score: Some(plugin.clone()),
        requeue: Some(plugin),
        ..Plugin::named(NAME)
    })
}

/// One constraint, its selector parsed, the counts it looks at.
struct Constraint<'a> {
    key: &'a str,
    max_skew: i64,
    min_domains: i64,
    selector: Selector,
    honor_affinity: bool,
    honor_taints: bool,
    /// The pod counts itself where it goes.
    counts_itself: bool,
    /// Matching pods by label value, for every value there is.
    counts: HashMap<String, i64>,
}

impl<'a> Constraint<'a> {
    fn new(spec: &'a TopologySpreadConstraint, pod: &PodInfo) -> Self {
        let labels = pod.pod.metadata.labels.as_ref();
        let mut selector =
            Selector::from_optional(spec.label_selector.as_ref()).unwrap_or_else(|_| Selector::nothing());
        for key in spec.match_label_keys.iter().flatten() {
            let Some(value) = labels.and_then(|labels| labels.get(key)) else {
                continue;
            };
            if let Ok(requirement) = Requirement::new(key, Operator::In, vec![value.clone()]) {
                selector = selector.and(requirement);
            }
        }
        Self {
            key: &spec.topology_key,
            max_skew: i64::from(spec.max_skew),
            min_domains: i64::from(spec.min_domains.unwrap_or(1)),
            honor_affinity: spec.node_affinity_policy.as_deref() != Some("Ignore"),
            honor_taints: spec.node_taints_policy.as_deref() == Some("Honor"),
            counts_itself: selector.matches_optional(labels),
            selector,
            counts: HashMap::new(),
        }
    }

    fn counts_pod(&self, other: &PodInfo, namespace: &str) -> bool {
        &*other.namespace == namespace
            && other.pod.metadata.deletion_timestamp.is_none()
            && self.selector.matches_optional(other.pod.metadata.labels.as_ref())
    }

    fn counts_node(&self, node: &NodeInfo, pod: &PodInfo) -> bool {
        if self.honor_affinity && !pod_matches_node(pod.spec(), node.affinity_ref()) {
            return false;
        }
        let tolerations = pod.spec().tolerations.as_deref().unwrap_or_default();
        !self.honor_taints || find_untolerated(node.taints(), tolerations, blocks_scheduling).is_none()
    }

    fn add(&mut self, value: &str, amount: i64) {
        match self.counts.get_mut(value) {
            Some(count) => *count += amount,
            None => drop(self.counts.insert(value.to_owned(), amount)),
        }
    }

    /// The fewest pods in any domain; none at all while there are too few domains.
    fn fewest(&self) -> i64 {
        if (self.counts.len() as i64) < self.min_domains {
            return 0;
        }
        self.counts.values().copied().min().unwrap_or(0)
    }
}

/// The constraints of this effect, counted over the snapshot. A node that lacks one of the labels
/// does not count at all.
fn count<'a>(cycle: Cycle<'a>, effect: &str) -> Vec<Constraint<'a>> {
    let pod = cycle.pod;
    let specs = pod.spec().topology_spread_constraints.iter().flatten();
    let mut constraints: Vec<_> = specs
        .filter(|spec| spec.when_unsatisfiable == effect)
        .map(|spec| Constraint::new(spec, pod))
        .collect();
    if constraints.is_empty() {
        return constraints;
    }
    let keys: BTreeSet<&str> = constraints.iter().map(|constraint| constraint.key).collect();
    for node in cycle.snapshot.iter() {
        if !keys.iter().all(|key| node.label(key).is_some()) {
            continue;
        }
        for constraint in &mut constraints {
            if !constraint.counts_node(node, pod) {
                continue;
            }
            let value = node.label(constraint.key).expect("every key was just seen");
            let pods = node
                .pods
                .iter()
                .filter(|other| constraint.counts_pod(other, &pod.namespace))
                .count();
            constraint.add(value, pods as i64);
        }
    }
    constraints
}

impl PreFilter for PodTopologySpread {
    fn pre_filter<'a>(&'a self, cycle: Cycle<'a>) -> PreFiltered<'a> {
        let constraints = count(cycle, "DoNotSchedule");
        if constraints.is_empty() {
            return PreFiltered::Skip;
        }
        let fewest = constraints.iter().map(Constraint::fewest).collect();
        PreFiltered::check(Skew {
            pod: cycle.pod,
            constraints,
            fewest,
        })
    }
}

struct Skew<'a> {
    pod: &'a PodInfo,
    constraints: Vec<Constraint<'a>>,
    fewest: Vec<i64>,
}

impl Filter for Skew<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Status> {
        for (constraint, fewest) in self.constraints.iter().zip(&self.fewest) {
            let Some(value) = node.label(constraint.key) else {
                return Err(Status::unresolvable(NAME, LABEL));
            };
            let there = constraint.counts.get(value).copied().unwrap_or(0);
            if there + i64::from(constraint.counts_itself) - fewest > constraint.max_skew {
                return Err(Status::unschedulable(NAME, SKEW));
            }
        }
        Ok(())
    }

    fn account(&mut self, other: &PodInfo, node: &NodeInfo, joined: bool) {
        if !self
            .constraints
            .iter()
            .all(|constraint| node.label(constraint.key).is_some())
        {
            return;
        }
        for (constraint, fewest) in self.constraints.iter_mut().zip(&mut self.fewest) {
            if constraint.counts_pod(other, &self.pod.namespace) && constraint.counts_node(node, self.pod) {
                let value = node.label(constraint.key).expect("every key was just seen").to_owned();
                constraint.add(&value, if joined { 1 } else { -1 });
                *fewest = constraint.fewest();
            }
        }
    }
}

impl PreScore for PodTopologySpread {
    fn pre_score<'a>(&'a self, cycle: Cycle<'a>, _: &[&NodeInfo]) -> Option<Box<dyn Score + 'a>> {
        let constraints = count(cycle, "ScheduleAnyway");
        (!constraints.is_empty()).then(|| Box::new(Evenly { constraints }) as Box<dyn Score + 'a>)
    }
}

struct Evenly<'a> {
    constraints: Vec<Constraint<'a>>,
}

/// What a node without the labels scores before normalizing.
const IGNORED: i64 = i64::MIN;

impl Score for Evenly<'_> {
    fn score(&self, node: &NodeInfo) -> i64 {
        let mut score = 0.0;
        for constraint in &self.constraints {
            let Some(value) = node.label(constraint.key) else {
                return IGNORED;
            };
            let there = constraint.counts.get(value).copied().unwrap_or(0);
            // More domains weigh more, so that zones and hosts can be compared.
            let weight = (constraint.counts.len() as f64 + 2.0).ln();
            score += there as f64 * weight + (constraint.max_skew - 1) as f64;
        }
        score.round() as i64
    }

    fn normalize(&self, scores: &mut [i64]) {
        let counted = scores.iter().copied().filter(|score| *score != IGNORED);
        let (low, high) = (counted.clone().min().unwrap_or(0), counted.max().unwrap_or(0));
        for score in scores {
            *score = match *score {
                IGNORED => 0,
                _ if high == 0 => MAX_SCORE,
                score => MAX_SCORE * (high + low - score) / high,
            };
        }
    }
}

impl Requeue for PodTopologySpread {
    fn hint(&self, pod: &PodInfo, event: &Event) -> Hint {
        let specs = || pod.spec().topology_spread_constraints.iter().flatten();
        let counted =
            |other: &PodInfo| specs().any(|spec| Constraint::new(spec, pod).counts_pod(other, &pod.namespace));
        let same_namespace = |other: &PodInfo| other.namespace == pod.namespace;
        match event {
            Event::PodAssigned(other) => Hint::queue_if(counted(other)),
            // It may be terminating, and so not be counted itself any more.
            Event::PodDeleted(other) => Hint::queue_if(same_namespace(other)),
            Event::PodUpdated { old, new } => Hint::queue_if(counted(old) != counted(new)),
            Event::NodeAdded(node) => Hint::queue_if(specs().all(|spec| node.label(&spec.topology_key).is_some())),
            Event::NodeUpdated { old, new } => Hint::queue_if(old.metadata.labels != new.node.metadata.labels),
            Event::SelfUpdated { old, new } if new.uid == pod.uid => {
                Hint::queue_if(old.pod.metadata.labels != new.pod.metadata.labels)
            }
            Event::SelfUpdated { .. } => Hint::Skip,
        }
    }
}
