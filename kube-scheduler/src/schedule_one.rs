//! One pod, one snapshot: which node? Pure; the driver is [`crate::scheduler`].
//!
//! prefilter -> filter every node -> (none: postfilter) -> score -> the best, chance among equals.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::framework::node_info::NodeInfo;
use crate::framework::plugin::{Cycle, Filter, PreFiltered, Score};
use crate::framework::profile::Profile;
use crate::framework::status::{Code, Diagnosis, Status};

#[cfg(test)]
mod tests;

/// Where the pod goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) node: Arc<str>,
    /// Nodes that were asked.
    pub(crate) evaluated: usize,
    /// Nodes that could do.
    pub(crate) feasible: usize,
}

/// Why the pod goes nowhere now.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no node at all.
    NoNodes,
    /// No node can do.
    Unfit(Box<Diagnosis>),
    /// A plugin failed.
    Error(String),
}

/// A pod's filters, ready to ask nodes.
pub(crate) type Filters<'a> = Vec<Box<dyn Filter + 'a>>;

/// What the PreFilters made.
pub(crate) struct Prepared<'a> {
    pub(crate) filters: Filters<'a>,
    /// The only nodes that can do, and who said so.
    pub(crate) nodes: Option<(BTreeSet<String>, Vec<&'static str>)>,
}

/// Finds the node. `chance(n)` gives a number below `n`; `start` is where in the node list to begin
/// when not every feasible node is wanted.
pub(crate) fn schedule(
    profile: &Profile,
    cycle: Cycle<'_>,
    start: usize,
    chance: &mut dyn FnMut(usize) -> usize,
) -> Result<Choice, Failure> {
    if cycle.snapshot.is_empty() {
        return Err(Failure::NoNodes);
    }
    let (feasible, evaluated) = find_feasible(profile, cycle, start)?;
    let chosen = match feasible.as_slice() {
        [only] => only,
        many => pick(&score(profile, cycle, many), many, chance),
    };
    Ok(Choice {
        node: Arc::clone(&chosen.name),
        evaluated,
        feasible: feasible.len(),
    })
}

/// Runs the PreFilters.
pub(crate) fn prepare<'a>(profile: &'a Profile, cycle: Cycle<'a>) -> Result<Prepared<'a>, Status> {
    let mut prepared = Prepared {
        filters: Vec::new(),
        nodes: None,
    };
    for plugin in profile.iter() {
        let Some(point) = &plugin.pre_filter else { continue };
        match point.pre_filter(cycle) {
            PreFiltered::Skip => {}
            PreFiltered::Reject(status) => return Err(status),
            PreFiltered::Check { filter, nodes } => {
                prepared.filters.push(filter);
                let Some(nodes) = nodes else { continue };
                let (names, by) = match prepared.nodes.take() {
                    Some((names, mut by)) => {
                        by.push(plugin.name);
                        (names.intersection(&nodes).cloned().collect(), by)
                    }
                    None => (nodes, vec![plugin.name]),
                };
                if names.is_empty() {
                    return Err(Status::unschedulable(
                        plugin.name,
                        format!("node(s) didn't satisfy plugin(s) [{}] simultaneously", by.join(" ")),
                    ));
                }
                prepared.nodes = Some((names, by));
            }
        }
    }
    Ok(prepared)
}

/// True when no filter refuses the node.
pub(crate) fn passes(filters: &Filters<'_>, node: &NodeInfo) -> bool {
    filters.iter().all(|filter| filter.filter(node).is_ok())
}

fn find_feasible<'a>(
    profile: &'a Profile,
    cycle: Cycle<'a>,
    start: usize,
) -> Result<(Vec<&'a NodeInfo>, usize), Failure> {
    let mut diagnosis = Diagnosis {
        total_nodes: cycle.snapshot.len(),
        ..Diagnosis::default()
    };
    let prepared = match prepare(profile, cycle) {
        Ok(prepared) => prepared,
        Err(status) if status.code == Code::Error => return Err(Failure::Error(status.message())),
        Err(status) => {
            diagnosis.pre_filter_message = status.message();
            diagnosis.blame(&status);
            diagnosis.absent = Some(status);
            return Err(Failure::Unfit(Box::new(diagnosis)));
        }
    };
    let mut feasible = Vec::new();
    let mut ask = |node: &'a NodeInfo, feasible: &mut Vec<&'a NodeInfo>| -> Result<(), Failure> {
        // Room promised to others is not free; but it may also never be taken.
        let crowded = cycle.snapshot.with_nominated(node, cycle.pod);
        let asked = crowded.iter().chain(std::iter::once(node));
        let mut answers = asked.map(|node| prepared.filters.iter().try_for_each(|filter| filter.filter(node)));
        match answers.try_for_each(|answer| answer) {
            Ok(()) => feasible.push(node),
            Err(status) if status.code == Code::Error => return Err(Failure::Error(status.message())),
            Err(status) => {
                diagnosis.blame(&status);
                diagnosis.statuses.push((Arc::clone(&node.name), status));
            }
        }
        Ok(())
    };
    match &prepared.nodes {
        Some((names, _)) => {
            for node in names.iter().filter_map(|name| cycle.snapshot.get(name)) {
                ask(node, &mut feasible)?;
            }
        }
        None => {
            let enough = wanted(profile, cycle.snapshot.len());
            let total = cycle.snapshot.len();
            // A full scan needs no rotation.
            let first = if enough == total { 0 } else { start % total };
            for node in cycle.snapshot.iter_from(first) {
                ask(node, &mut feasible)?;
                if feasible.len() == enough {
                    break;
                }
            }
        }
    }
    let evaluated = diagnosis.statuses.len() + feasible.len();
    if !feasible.is_empty() {
        return Ok((feasible, evaluated));
    }
    if let Some((_, by)) = &prepared.nodes {
        diagnosis.absent = Some(Status::unresolvable(
            by[0],
            format!("node(s) didn't satisfy plugin(s) [{}]", by.join(" ")),
        ));
        diagnosis.unschedulable_plugins.extend(by);
    }
    Err(Failure::Unfit(Box::new(diagnosis)))
}

/// How many feasible nodes are enough: all of a small cluster, a share of a large one, which by
/// default shrinks as the cluster grows (upstream `numFeasibleNodesToFind`).
fn wanted(profile: &Profile, total: usize) -> usize {
    const AT_LEAST: usize = 100;
    if total < AT_LEAST {
        return total;
    }
    let percentage = match profile.percentage_of_nodes_to_score as usize {
        0 => 50usize.saturating_sub(total / 125).max(5),
        asked => asked.min(100),
    };
    (total * percentage / 100).max(AT_LEAST)
}

fn score(profile: &Profile, cycle: Cycle<'_>, nodes: &[&NodeInfo]) -> Vec<i64> {
    let mut totals = vec![0; nodes.len()];
    let mut scores = vec![0; nodes.len()];
    for enabled in profile.plugins.iter().filter(|enabled| enabled.weight > 0) {
        let Some(point) = &enabled.plugin.pre_score else {
            continue;
        };
        let Some(scorer) = point.pre_score(cycle, nodes) else {
            continue;
        };
        for (slot, node) in scores.iter_mut().zip(nodes) {
            *slot = scorer.score(node);
        }
        Score::normalize(&*scorer, &mut scores);
        for (total, score) in totals.iter_mut().zip(&scores) {
            *total += score * enabled.weight;
        }
    }
    totals
}

fn pick<'a>(totals: &[i64], nodes: &[&'a NodeInfo], chance: &mut dyn FnMut(usize) -> usize) -> &'a NodeInfo {
    let best = totals.iter().copied().max().unwrap_or(0);
    let equals: Vec<&NodeInfo> = nodes
        .iter()
        .zip(totals)
        .filter(|(_, total)| **total == best)
        .map(|(node, _)| *node)
        .collect();
    equals[chance(equals.len()).min(equals.len() - 1)]
}
