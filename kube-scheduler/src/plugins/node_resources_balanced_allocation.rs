//! Prefers nodes whose resources would be used evenly (upstream
//! `noderesources/balanced_allocation.go`): one minus the spread of the used fractions.

use std::sync::Arc;

use serde_json::Value;

use super::Handle;
use super::resource_scores::{Amounts, Weighted, read_resources};
use crate::framework::node_info::NodeInfo;
use crate::framework::plugin::{Cycle, MAX_SCORE, Plugin, PreScore, Score};

pub(super) const NAME: &str = "NodeResourcesBalancedAllocation";

struct Balanced {
    resources: Vec<Weighted>,
}

pub(super) fn new(_: &Handle, args: &Value) -> Result<Plugin, String> {
    let plugin = Balanced {
        resources: read_resources(args.get("resources"))?,
    };
    Ok(Plugin {
        pre_score: Some(Arc::new(plugin)),
        ..Plugin::named(NAME)
    })
}

impl PreScore for Balanced {
    fn pre_score<'a>(&'a self, cycle: Cycle<'a>, _: &[&NodeInfo]) -> Option<Box<dyn Score + 'a>> {
        // A pod that asks for nothing would pile up on the most even node.
        let asks = self
            .resources
            .iter()
            .any(|resource| cycle.pod.requests.get(&resource.name) != 0);
        let evenness = || Evenness(Amounts::new(cycle.pod, &self.resources, false));
        asks.then(|| Box::new(evenness()) as Box<dyn Score + 'a>)
    }
}

struct Evenness(Amounts);

impl Score for Evenness {
    fn score(&self, node: &NodeInfo) -> i64 {
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (have, requested, _) in self.0.on(node) {
            let fraction = (requested as f64 / have as f64).min(1.0);
            count += 1.0;
            sum += fraction;
            squares += fraction * fraction;
        }
        if count < 2.0 {
            return MAX_SCORE;
        }
        let mean = sum / count;
        let deviation = (squares / count - mean * mean).max(0.0).sqrt();
        ((1.0 - deviation) * MAX_SCORE as f64) as i64
    }
}
