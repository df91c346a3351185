//! Finds the node where the least important pods must go for the pod to fit (upstream
//! `defaultpreemption`, `framework/preemption`). Pure: the scheduler acts on the plan.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Handle;
use crate::framework::event::{Event, Hint};
use crate::framework::node_info::NodeInfo;
use crate::framework::plugin::{Cycle, Filter, Plugin, PostFilter, PostFiltered, Preemption, Requeue};
use crate::framework::pod_info::PodInfo;
use crate::framework::profile::Profile;
use crate::framework::status::{Code, Diagnosis};
use crate::schedule_one::{Filters, passes, prepare};

pub(super) const NAME: &str = "DefaultPreemption";
const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";

/// So many candidate nodes, or a tenth of the cluster, are compared (upstream `minCandidateNodes*`).
const ENOUGH_CANDIDATES: usize = 100;

struct DefaultPreemption;

pub(super) fn new(_: &Handle, _: &Value) -> Result<Plugin, String> {
    let plugin = Arc::new(DefaultPreemption);
    Ok(Plugin {
        post_filter: Some(plugin.clone()),
        requeue: Some(plugin),
        ..Plugin::named(NAME)
    })
}

impl PostFilter for DefaultPreemption {
    fn post_filter(&self, profile: &Profile, cycle: Cycle<'_>, diagnosis: &Diagnosis) -> PostFiltered {
        // DynamicResources speaks first upstream, also for pods without claims.
        let say = |text: String| PostFiltered {
            plan: None,
            message: format!("no new claims to deallocate, {text}"),
        };
        if let Some(reason) = ineligible(cycle) {
            return say(format!("preemption: {reason}"));
        }
        let enough = (diagnosis.total_nodes / 10).max(ENOUGH_CANDIDATES);
        let mut candidates = Vec::new();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, status) in &diagnosis.statuses {
            if status.code != Code::Unschedulable {
                *counts.entry(NOT_HELPFUL).or_default() += 1;
                continue;
            }
            if candidates.len() >= enough {
                break;
            }
            let victims = cycle.snapshot.get(name).and_then(|node| {
                // Asked first: in most clusters all pods are equally important.
                node.pods.iter().find(|other| other.priority < cycle.pod.priority)?;
                let mut prepared = prepare(profile, cycle).ok()?;
                victims(&mut prepared.filters, cycle.pod, node)
            });
            match victims {
                Some(victims) => candidates.push(Preemption {
                    node: Arc::clone(name),
                    victims,
                }),
                None => *counts.entry(NO_VICTIMS).or_default() += 1,
            }
        }
        let unasked = diagnosis.total_nodes.saturating_sub(diagnosis.statuses.len());
        if unasked > 0 {
            *counts.entry(NOT_HELPFUL).or_default() += unasked;
        }
        if let Some(best) = candidates.into_iter().min_by_key(cost) {
            return PostFiltered {
                plan: Some(best),
                message: String::new(),
            };
        }
        let mut parts: Vec<String> = counts
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        parts.sort();
        say(format!(
            "preemption: 0/{} nodes are available: {}.",
            diagnosis.total_nodes,
            parts.join(", ")
        ))
    }
}

/// Why this pod may not preempt now.
fn ineligible(cycle: Cycle<'_>) -> Option<&'static str> {
    if cycle.pod.spec().preemption_policy.as_deref() == Some("Never") {
        return Some("not eligible due to preemptionPolicy=Never.");
    }
    let nominated = cycle.pod.pod.status.as_ref()?.nominated_node_name.as_deref()?;
    let node = cycle.snapshot.get(nominated)?;
    let leaving = node
        .pods
        .iter()
        .any(|pod| pod.priority < cycle.pod.priority && pod.pod.metadata.deletion_timestamp.is_some());
    leaving.then_some("not eligible due to a terminating pod on the nominated node.")
}

/// The pods that must leave this node, most important first; none when that does not help or no
/// pod is less important.
fn victims(filters: &mut Filters<'_>, pod: &PodInfo, node: &NodeInfo) -> Option<Vec<Arc<PodInfo>>> {
    let mut node = node.clone();
    let mut lesser: Vec<Arc<PodInfo>> = node
        .pods
        .iter()
        .filter(|other| other.priority < pod.priority)
        .cloned()
        .collect();
    for other in &lesser {
        node.remove_pod(&other.uid);
        account(filters, other, &node, false);
    }
    if !passes(filters, &node) {
        return None;
    }
    // Give back as many as possible, the most important and longest running first.
    lesser.sort_by_key(|other| (Reverse(other.priority), start(other)));
    let mut victims = Vec::new();
    for other in lesser {
        node.add_pod(Arc::clone(&other));
        account(filters, &other, &node, true);
        if !passes(filters, &node) {
            node.remove_pod(&other.uid);
            account(filters, &other, &node, false);
            victims.push(other);
        }
    }
    Some(victims)
}

fn account(filters: &mut Filters<'_>, pod: &PodInfo, node: &NodeInfo, joined: bool) {
    for filter in filters.iter_mut() {
        Filter::account(&mut **filter, pod, node, joined);
    }
}

/// Upstream's order of candidates, without disruption budgets: lowest highest victim, lowest sum of
/// priorities, fewest victims, latest start of the most important victims.
fn cost(plan: &Preemption) -> (i32, i64, usize, Reverse<i64>) {
    let highest = plan
        .victims
        .iter()
        .map(|victim| victim.priority)
        .max()
        .unwrap_or(i32::MIN);
    let sum = plan
        .victims
        .iter()
        .map(|victim| i64::from(victim.priority) + i64::from(i32::MAX) + 1)
        .sum();
    let earliest = plan
        .victims
        .iter()
        .filter(|victim| victim.priority == highest)
        .map(|v| start(v))
        .min()
        .unwrap_or(i64::MAX);
    (highest, sum, plan.victims.len(), Reverse(earliest))
}

/// When the pod started, in seconds; a pod that has not is the youngest.
fn start(pod: &PodInfo) -> i64 {
    pod.pod
        .status
        .as_ref()
        .and_then(|status| status.start_time.as_ref())
        .map_or(i64::MAX, |time| time.0.as_second())
}

impl Requeue for DefaultPreemption {
    fn hint(&self, _pod: &PodInfo, event: &Event) -> Hint {
        Hint::queue_if(matches!(event, Event::PodDeleted(_)))
    }
}
