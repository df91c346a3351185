//! Pods that want to be near or far from other pods (upstream `interpodaffinity`).
//!
//! Counts per value of a node label, made once per cycle: for the incoming pod's terms over all pods,
//! for other pods' anti-affinity over the few pods that have it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::Handle;
use crate::cache::{Namespaces, Snapshot};
use crate::framework::affinity::{Term, Terms};
use crate::framework::event::{Event, Hint};
use crate::framework::node_info::NodeInfo;
use crate::framework::plugin::{Cycle, Filter, MAX_SCORE, Plugin, PreFilter, PreFiltered, PreScore, Requeue, Score};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Status;

pub(super) const NAME: &str = "InterPodAffinity";
const AFFINITY: &str = "node(s) didn't match pod affinity rules";
const ANTI_AFFINITY: &str = "node(s) didn't match pod anti-affinity rules";
const EXISTING: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

struct InterPodAffinity {
    hard_weight: i64,
    ignore_preferred_of_existing: bool,
}

pub(super) fn new(_: &Handle, args: &Value) -> Result<Plugin, String> {
    let hard_weight = args["hardPodAffinityWeight"].as_i64().unwrap_or(1);
    if !(0..=100).contains(&hard_weight) {
        return Err(format!(
            "hardPodAffinityWeight: Invalid value: {hard_weight}: not in valid range [0-100]"
        ));
    }
    let plugin = Arc::new(InterPodAffinity {
        hard_weight,
        ignore_preferred_of_existing: args["ignorePreferredTermsOfExistingPods"].as_bool().unwrap_or(false),
    });
    Ok(Plugin {
        pre_filter: Some(plugin.clone()),
        pre_score: Some(plugin.clone()),
        requeue: Some(plugin),
        ..Plugin::named(NAME)
    })
}

/// Pods by the value of a node label.
type Counts = HashMap<String, i64>;

fn add(counts: &mut Counts, node: &NodeInfo, key: &str, amount: i64) {
    if let Some(value) = node.label(key) {
        match counts.get_mut(value) {
            Some(count) => *count += amount,
            None => drop(counts.insert(value.to_owned(), amount)),
        }
    }
}

struct Rules<'a> {
    pod: &'a PodInfo,
    terms: Option<&'a Terms>,
    namespaces: &'a Namespaces,
    /// Per required term: pods that match all required terms.
    near: Vec<Counts>,
    /// Per required anti-affinity term: pods that match it.
    far: Vec<Counts>,
    /// Per label: pods that want this pod away.
    unwelcome: HashMap<String, Counts>,
    /// The pod itself matches its own terms: the first of a group may go anywhere.
    matches_itself: bool,
}

impl PreFilter for InterPodAffinity {
    fn pre_filter<'a>(&'a self, cycle: Cycle<'a>) -> PreFiltered<'a> {
        let mut rules = Rules::new(cycle.pod, cycle.snapshot.namespaces());
        for node in cycle.snapshot.iter() {
            let own = rules.has_required();
            let pods = if own { &node.pods } else { &node.pods_with_anti_affinity };
            for existing in pods {
                rules.count(existing, node, 1);
            }
        }
        if !rules.has_required() && rules.unwelcome.is_empty() {
            return PreFiltered::Skip;
        }
        PreFiltered::check(rules)
    }
}

impl<'a> Rules<'a> {
    fn new(pod: &'a PodInfo, namespaces: &'a Namespaces) -> Self {
        let terms = pod.terms.as_deref();
        let required = terms.map_or(&[][..], |terms| &terms.required);
        let matches_itself = required.iter().all(|term| term.matches(pod, namespaces));
        Self {
            pod,
            terms,
            namespaces,
            near: vec![Counts::new(); required.len()],
            far: vec![Counts::new(); terms.map_or(0, |terms| terms.required_anti.len())],
            unwelcome: HashMap::new(),
            matches_itself,
        }
    }

    fn has_required(&self) -> bool {
        !self.near.is_empty() || !self.far.is_empty()
    }

    /// Takes a pod on a node into account, or out of it with -1.
    fn count(&mut self, existing: &PodInfo, node: &NodeInfo, amount: i64) {
        for term in existing.terms.iter().flat_map(|terms| &terms.required_anti) {
            if term.matches(self.pod, self.namespaces) && node.label(&term.topology_key).is_some() {
                let counts = self.unwelcome.entry(term.topology_key.clone()).or_default();
                add(counts, node, &term.topology_key, amount);
            }
        }
        let Some(terms) = self.terms else { return };
        if !terms.required.is_empty()
            && terms
                .required
                .iter()
                .all(|term| term.matches(existing, self.namespaces))
        {
            for (counts, term) in self.near.iter_mut().zip(&terms.required) {
                add(counts, node, &term.topology_key, amount);
            }
        }
        for (counts, term) in self.far.iter_mut().zip(&terms.required_anti) {
            if term.matches(existing, self.namespaces) {
                add(counts, node, &term.topology_key, amount);
            }
        }
    }

    fn near_enough(&self, required: &[Term], node: &NodeInfo) -> bool {
        let mut all_there = true;
        for (counts, term) in self.near.iter().zip(required) {
            let Some(value) = node.label(&term.topology_key) else {
                return false;
            };
            all_there &= counts.get(value).is_some_and(|count| *count > 0);
        }
        all_there || (self.matches_itself && self.near.iter().all(|counts| counts.values().all(|count| *count <= 0)))
    }
}

impl Filter for Rules<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Status> {
        if let Some(terms) = self.terms {
            if !self.near_enough(&terms.required, node) {
                return Err(Status::unresolvable(NAME, AFFINITY));
            }
            let crowded = |counts: &Counts, key: &str| {
                node.label(key)
                    .and_then(|value| counts.get(value))
                    .is_some_and(|count| *count > 0)
            };
            if self
                .far
                .iter()
                .zip(&terms.required_anti)
                .any(|(counts, term)| crowded(counts, &term.topology_key))
            {
                return Err(Status::unschedulable(NAME, ANTI_AFFINITY));
            }
        }
        let unwelcome = self.unwelcome.iter().any(|(key, counts)| {
            node.label(key)
                .and_then(|value| counts.get(value))
                .is_some_and(|count| *count > 0)
        });
        if unwelcome {
            Err(Status::unschedulable(NAME, EXISTING))
        } else {
            Ok(())
        }
    }

    fn account(&mut self, pod: &PodInfo, node: &NodeInfo, joined: bool) {
        self.count(pod, node, if joined { 1 } else { -1 });
    }
}

impl PreScore for InterPodAffinity {
    fn pre_score<'a>(&'a self, cycle: Cycle<'a>, _: &[&NodeInfo]) -> Option<Box<dyn Score + 'a>> {
        let scores = self.weigh(cycle.pod, cycle.snapshot);
        (!scores.is_empty()).then(|| Box::new(Weighted { scores }) as Box<dyn Score + 'a>)
    }
}

impl InterPodAffinity {
    /// Per label and value, the sum of the weights that speak for it.
    fn weigh(&self, pod: &PodInfo, snapshot: &Snapshot) -> HashMap<String, Counts> {
        let namespaces = snapshot.namespaces();
        let own: &[(i64, Term)] = pod.terms.as_ref().map_or(&[], |terms| &terms.preferred);
        let mut scores: HashMap<String, Counts> = HashMap::new();
        let mut favour = |node: &NodeInfo, key: &str, weight: i64| {
            if weight != 0 && node.label(key).is_some() {
                add(scores.entry(key.to_owned()).or_default(), node, key, weight);
            }
        };
        for node in snapshot.iter() {
            let pods = if own.is_empty() {
                &node.pods_with_affinity
            } else {
                &node.pods
            };
            for existing in pods {
                for (weight, term) in own {
                    if term.matches(existing, namespaces) {
                        favour(node, &term.topology_key, *weight);
                    }
                }
                let Some(theirs) = &existing.terms else { continue };
                for term in &theirs.required {
                    if term.matches(pod, namespaces) {
                        favour(node, &term.topology_key, self.hard_weight);
                    }
                }
                if self.ignore_preferred_of_existing && own.is_empty() {
                    continue;
                }
                for (weight, term) in &theirs.preferred {
                    if term.matches(pod, namespaces) {
                        favour(node, &term.topology_key, *weight);
                    }
                }
            }
        }
        scores
    }
}

struct Weighted {
    scores: HashMap<String, Counts>,
}

impl Score for Weighted {
    fn score(&self, node: &NodeInfo) -> i64 {
        self.scores
            .iter()
            .filter_map(|(key, counts)| counts.get(node.label(key)?))
            .sum()
    }

    fn normalize(&self, scores: &mut [i64]) {
        let (Some(low), Some(high)) = (scores.iter().copied().min(), scores.iter().copied().max()) else {
            return;
        };
        for score in scores {
            *score = if high > low {
                (MAX_SCORE as f64 * (*score - low) as f64 / (high - low) as f64) as i64
            } else {
                0
            };
        }
    }
}

impl Requeue for InterPodAffinity {
    fn hint(&self, pod: &PodInfo, event: &Event) -> Hint {
        let terms = pod.terms.as_deref();
        let wanted =
            |other: &PodInfo| terms.is_some_and(|terms| terms.required.iter().any(|term| term.may_match(other)));
        let minded = |other: &PodInfo| {
            let avoided = terms.is_some_and(|terms| terms.required_anti.iter().any(|term| term.may_match(other)));
            let avoids = other
                .terms
                .as_ref()
                .is_some_and(|theirs| theirs.required_anti.iter().any(|term| term.may_match(pod)));
            avoided || avoids
        };
        match event {
            Event::PodAssigned(other) => Hint::queue_if(wanted(other)),
            Event::PodDeleted(other) => Hint::queue_if(minded(other)),
            Event::PodUpdated { old, new } => {
                let relabelled = old.pod.metadata.labels != new.pod.metadata.labels;
                Hint::queue_if(relabelled && (wanted(new) || minded(old)))
            }
            Event::NodeAdded(_) => Hint::Queue,
            Event::NodeUpdated { old, new } => Hint::queue_if(old.metadata.labels != new.node.metadata.labels),
            Event::SelfUpdated { old, new } if new.uid == pod.uid => {
                Hint::queue_if(old.pod.metadata.labels != new.pod.metadata.labels)
            }
            Event::SelfUpdated { .. } => Hint::Skip,
        }
    }
}
