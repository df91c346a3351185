//! Conditions of a status that subresources set.

use serde_json::{Value, json};

use crate::objects::items;

/// Puts `condition` in place of the one of its type, or at the end. The time of the last transition
/// stays when the status does (upstream `podutil.UpdatePodCondition`, `meta.SetStatusCondition`).
pub(super) fn set(obj: &mut Value, mut condition: Value) {
    let mut all = items(obj, "/status/conditions").to_vec();
    let at = all.iter().position(|c| c["type"] == condition["type"]);
    let since = at
        .map(|i| &all[i])
        .filter(|old| old["status"] == condition["status"] && !old["lastTransitionTime"].is_null())
        .map(|old| old["lastTransitionTime"].clone());
    condition["lastTransitionTime"] = since.unwrap_or_else(|| apimachinery::time::now_rfc3339().into());
    match at {
        Some(i) => all[i] = condition,
        None => all.push(condition),
    }
    obj["status"]["conditions"] = Value::Array(all);
}

/// The condition of a type.
pub(super) fn find<'a>(obj: &'a Value, type_: &str) -> Option<&'a Value> {
    items(obj, "/status/conditions").iter().find(|c| c["type"] == type_)
}

/// A pod condition without the fields that are empty.
pub(super) fn pod(type_: &str, reason: &str, message: &str) -> Value {
    let mut condition = json!({"type": type_, "status": "True"});
    for (field, text) in [("reason", reason), ("message", message)] {
        if !text.is_empty() {
            condition[field] = text.into();
        }
    }
    condition
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_place_and_while_its_status_lasts_its_time() {
        let mut obj = json!({"status": {"conditions": [
            {"type": "A", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z", "reason": "old"},
            {"type": "B", "status": "False", "lastTransitionTime": "2020-01-01T00:00:00Z"},
        ]}});
        set(&mut obj, pod("A", "", "m"));
        set(&mut obj, pod("B", "R", ""));
        set(&mut obj, pod("C", "", ""));
        let all = items(&obj, "/status/conditions");
        assert_eq!(
            all[0],
            json!({"type": "A", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z", "message": "m"})
        );
        assert_eq!((&all[1]["type"], &all[1]["reason"]), (&json!("B"), &json!("R")));
        assert_ne!(all[1]["lastTransitionTime"], "2020-01-01T00:00:00Z");
        assert_eq!((all.len(), &all[2]["type"]), (3, &json!("C")));
    }
}
