//! Versions of one kind that share storage: the hub version is the stored one, the others are
//! converted at the edge. Only two kinds have more than one served version.

mod autoscaling;
mod events;

use serde_json::Value;

use crate::resources::{self, Resource};

/// The row in whose version objects of `row` are stored and handled; `None` for virtual kinds.
/// A stored version that is not served (`v1beta1` policies) is a matter of the codec only.
pub(crate) fn hub(row: &Resource) -> Option<&'static Resource> {
    let stored = row.storage_version?;
    let (group, version) = stored.split_once('/').unwrap_or(("", stored));
    resources::find(group, version, row.plural).or_else(|| resources::find(row.group, row.version, row.plural))
}

/// A client's object in the hub version.
pub(crate) fn to_hub(row: &Resource, obj: Value) -> Value {
    match (row.group, row.version, row.kind) {
        ("events.k8s.io", _, "Event") => events::to_core(obj),
        ("autoscaling", "v1", "HorizontalPodAutoscaler") => autoscaling::to_v2(obj),
        ("autoscaling", "v2", "HorizontalPodAutoscaler") => autoscaling::without_carried(obj),
        _ => obj,
    }
}

/// A hub object in the version of `row`.
pub(crate) fn from_hub(row: &Resource, obj: &Value) -> Value {
    match (row.group, row.version, row.kind) {
        ("events.k8s.io", _, "Event") => events::from_core(obj),
        ("autoscaling", "v1", "HorizontalPodAutoscaler") => autoscaling::from_v2(obj),
        _ => obj.clone(),
    }
}

/// Whether objects of `row` are served as they are handled.
pub(crate) fn is_hub(row: &Resource) -> bool {
    !matches!(
        (row.group, row.version, row.kind),
        ("events.k8s.io", _, "Event") | ("autoscaling", "v1", "HorizontalPodAutoscaler")
    )
}

/// Moves fields by a table of (from, to), keeping those that do not move.
fn rename(mut obj: Value, api_version: &str, moves: &[(&str, &str)]) -> Value {
    if let Some(map) = obj.as_object_mut() {
        let moved: Vec<(String, Value)> = moves
            .iter()
            .filter_map(|(from, to)| map.remove(*from).map(|v| ((*to).to_owned(), v)))
            .collect();
        map.extend(moved);
        map.insert("apiVersion".into(), Value::String(api_version.to_owned()));
    }
    obj
}
