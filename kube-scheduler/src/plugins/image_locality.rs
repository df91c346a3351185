//! Prefers nodes that have the pod's images already, large ones more, images that are everywhere
//! less (upstream `imagelocality/image_locality.go`).

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::Handle;
use crate::framework::node_info::NodeInfo;
use crate::framework::plugin::{Cycle, MAX_SCORE, Plugin, PreScore, Score};

pub(super) const NAME: &str = "ImageLocality";

const MIB: i64 = 1024 * 1024;
/// Images smaller than this do not count.
const MIN_BYTES: i64 = 23 * MIB;
/// More than this per container counts no further.
const MAX_BYTES_PER_CONTAINER: i64 = 1000 * MIB;

struct ImageLocality;

pub(super) fn new(_: &Handle, _: &Value) -> Result<Plugin, String> {
    Ok(Plugin {
        pre_score: Some(Arc::new(ImageLocality)),
        ..Plugin::named(NAME)
    })
}

impl PreScore for ImageLocality {
    fn pre_score<'a>(&'a self, cycle: Cycle<'a>, nodes: &[&NodeInfo]) -> Option<Box<dyn Score + 'a>> {
        let spec = cycle.pod.spec();
        let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        let images: Vec<String> = containers.filter_map(|c| c.image.as_deref()).map(normalized).collect();
        let mut holders: HashMap<String, usize> = HashMap::new();
        for node in nodes {
            for image in &images {
                if node.images.contains_key(image) {
                    *holders.entry(image.clone()).or_default() += 1;
                }
            }
        }
        if holders.is_empty() {
            return None;
        }
        let ceiling = MAX_BYTES_PER_CONTAINER * images.len() as i64;
        let nodes = nodes.len().max(1) as f64;
        let spread = images
            .into_iter()
            .map(|image| {
                let share = holders.get(&image).copied().unwrap_or(0) as f64 / nodes;
                (image, share)
            })
            .collect();
        Some(Box::new(Local { spread, ceiling }))
    }
}

/// Each image with the share of nodes that have it.
struct Local {
    spread: Vec<(String, f64)>,
    ceiling: i64,
}

impl Score for Local {
    fn score(&self, node: &NodeInfo) -> i64 {
        let bytes: i64 = self
            .spread
            .iter()
            .filter_map(|(image, share)| node.images.get(image).map(|size| (*size as f64 * share) as i64))
            .sum();
        MAX_SCORE * (bytes.clamp(MIN_BYTES, self.ceiling) - MIN_BYTES) / (self.ceiling - MIN_BYTES)
    }
}

/// Node status names images with a tag.
fn normalized(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains(':') || last.contains('@') {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}
