//! The node must have what the pod asks for; the emptier node scores higher (upstream
//! `noderesources/fit.go`, `least_allocated.go`, `most_allocated.go`).

use std::sync::Arc;

use serde_json::Value;

use super::Handle;
use super::resource_scores::{Amounts, Weighted, default_resources, read_resources};
use crate::framework::event::{Event, Hint};
use crate::framework::node_info::NodeInfo;
use crate::framework::plugin::{Cycle, Filter, MAX_SCORE, Plugin, PreFilter, PreFiltered, PreScore, Requeue, Score};
use crate::framework::pod_info::PodInfo;
use crate::framework::resource::Resources;
use crate::framework::status::{Code, Status};

pub(super) const NAME: &str = "NodeResourcesFit";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Strategy {
    LeastAllocated,
    MostAllocated,
}

struct Fit {
    strategy: Strategy,
    resources: Vec<Weighted>,
    ignored: Vec<String>,
}

pub(super) fn new(_: &Handle, args: &Value) -> Result<Plugin, String> {
    let mut fit = Fit {
        strategy: Strategy::LeastAllocated,
        resources: default_resources(),
        ignored: Vec::new(),
    };
    if let Some(scoring) = args.get("scoringStrategy").filter(|value| value.is_object()) {
        fit.strategy = match scoring["type"].as_str().unwrap_or("LeastAllocated") {
            "LeastAllocated" => Strategy::LeastAllocated,
            "MostAllocated" => Strategy::MostAllocated,
            other => {
                return Err(format!(
                    "scoringStrategy.type: Unsupported value: {other:?}: supported values: \"LeastAllocated\", \"MostAllocated\""
                ));
            }
        };
        fit.resources = read_resources(scoring.get("resources"))?;
    }
    for name in args["ignoredResources"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        fit.ignored.push(name.to_owned());
    }
    let fit = Arc::new(fit);
    Ok(Plugin {
        pre_filter: Some(fit.clone()),
        pre_score: Some(fit.clone()),
        requeue: Some(fit),
        ..Plugin::named(NAME)
    })
}

impl PreFilter for Fit {
    fn pre_filter<'a>(&'a self, cycle: Cycle<'a>) -> PreFiltered<'a> {
        PreFiltered::check(Enough {
            wanted: &cycle.pod.requests,
            ignored: &self.ignored,
        })
    }
}

struct Enough<'a> {
    wanted: &'a Resources,
    ignored: &'a [String],
}

impl Enough<'_> {
    /// The hot path: no allocation.
    fn fits(&self, node: &NodeInfo, used: &Resources, pods: usize) -> bool {
        let (wanted, have) = (self.wanted, &node.allocatable);
        (pods as i64) < have.pods
            && (wanted.milli_cpu == 0 || wanted.milli_cpu + used.milli_cpu <= have.milli_cpu)
            && (wanted.memory == 0 || wanted.memory + used.memory <= have.memory)
            && (wanted.ephemeral_storage == 0
                || wanted.ephemeral_storage + used.ephemeral_storage <= have.ephemeral_storage)
            && wanted
                .scalar
                .iter()
                .all(|(name, amount)| *amount == 0 || self.ignored(name) || amount + used.get(name) <= have.get(name))
    }

    fn ignored(&self, name: &str) -> bool {
        self.ignored.iter().any(|ignored| ignored == name)
    }

    /// Every shortage; beyond help when the node is too small even if empty.
    fn refuse(&self, node: &NodeInfo) -> Status {
        let mut status = Status {
            code: Code::Unschedulable,
            plugin: NAME,
            reasons: Vec::new(),
        };
        if node.pods.len() as i64 >= node.allocatable.pods {
            status.reasons.push("Too many pods".into());
        }
        let mut check = |name: &str, reason: std::borrow::Cow<'static, str>| {
            let (wanted, used, have) = (
                self.wanted.get(name),
                node.requested.get(name),
                node.allocatable.get(name),
            );
            if wanted > 0 && wanted + used > have {
                status.reasons.push(reason);
                if wanted > have {
                    status.code = Code::Unresolvable;
                }
            }
        };
        check("cpu", "Insufficient cpu".into());
        check("memory", "Insufficient memory".into());
        check("ephemeral-storage", "Insufficient ephemeral-storage".into());
        for name in self.wanted.scalar.keys().filter(|name| !self.ignored(name)) {
            check(name, format!("Insufficient {name}").into());
        }
        status
    }
}

impl Filter for Enough<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Status> {
        if self.fits(node, &node.requested, node.pods.len()) {
            Ok(())
        } else {
            Err(self.refuse(node))
        }
    }
}

impl PreScore for Fit {
    fn pre_score<'a>(&'a self, cycle: Cycle<'a>, _: &[&NodeInfo]) -> Option<Box<dyn Score + 'a>> {
        Some(Box::new(Allocated {
            amounts: Amounts::new(cycle.pod, &self.resources, true),
            strategy: self.strategy,
        }))
    }
}

struct Allocated {
    amounts: Amounts,
    strategy: Strategy,
}

impl Score for Allocated {
    fn score(&self, node: &NodeInfo) -> i64 {
        let (mut total, mut weights) = (0, 0);
        for (have, requested, weight) in self.amounts.on(node) {
            let share = match self.strategy {
                Strategy::LeastAllocated if requested > have => 0,
                Strategy::LeastAllocated => (have - requested) * MAX_SCORE / have,
                Strategy::MostAllocated => requested.min(have) * MAX_SCORE / have,
            };
            total += share * weight;
            weights += weight;
        }
        if weights == 0 { 0 } else { total / weights }
    }
}

impl Requeue for Fit {
    fn hint(&self, pod: &PodInfo, event: &Event) -> Hint {
        let enough = Enough {
            wanted: &pod.requests,
            ignored: &self.ignored,
        };
        match event {
            // Room for one more pod may be all that was missing.
            Event::PodDeleted(_) => Hint::Queue,
            Event::PodUpdated { old, new } => Hint::queue_if(shrank(&old.requests, &new.requests)),
            Event::NodeAdded(node) => Hint::queue_if(enough.fits(node, &Resources::default(), 0)),
            Event::NodeUpdated { old, new } => {
                let before = rules::resources::parse_list(old.status.as_ref().and_then(|s| s.allocatable.as_ref()));
                let grew = shrank(&new.allocatable, &Resources::from_list(&before));
                Hint::queue_if(grew && enough.fits(new, &Resources::default(), 0))
            }
            Event::SelfUpdated { old, new } if new.uid == pod.uid => {
                Hint::queue_if(shrank(&old.requests, &new.requests))
            }
            _ => Hint::Skip,
        }
    }
}

/// True when `new` is smaller than `old` somewhere.
fn shrank(old: &Resources, new: &Resources) -> bool {
    new.milli_cpu < old.milli_cpu
        || new.memory < old.memory
        || new.ephemeral_storage < old.ephemeral_storage
        || new.pods < old.pods
        || old.scalar.iter().any(|(name, amount)| new.get(name) < *amount)
}
