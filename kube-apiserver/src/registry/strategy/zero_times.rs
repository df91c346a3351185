//! Times that Go's types must have and its clients leave out: the zero `metav1.Time` of a condition
//! is `null` in JSON and an empty message in protobuf, upstream takes both (apimachinery
//! `pkg/apis/meta/v1/time.go` `Time.UnmarshalJSON`). The typed rules see the start of the epoch, which
//! validation knows as "not set"; what is stored is `null` again.

use serde_json::{Value, json};

const ZERO: &str = "1970-01-01T00:00:00Z";
const CONDITION_TIME: &str = "lastTransitionTime";
const SERIES_TIME: &str = "lastObservedTime";
/// Times by name, in the status of a disruption budget.
const DISRUPTED_PODS: &str = "disruptedPods";

/// Gives every condition and series without a time the zero one. False when there is none.
pub(super) fn fill(object: &mut Value) -> bool {
    let mut found = false;
    each(object, &mut |holder, key| {
        let time = &mut holder[key];
        if time.is_null() {
            *time = json!(ZERO);
            found = true;
        }
    });
    found
}

/// Takes back what [`fill`] gave.
pub(super) fn restore(object: &mut Value) {
    each(object, &mut |holder, key| {
        if holder[key] == ZERO {
            holder[key] = Value::Null;
        }
    });
}

fn each(value: &mut Value, visit: &mut impl FnMut(&mut Value, &str)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, visit)),
        Value::Object(map) => {
            for (key, child) in map {
                match (key.as_str(), &mut *child) {
                    ("conditions", Value::Array(conditions)) => {
                        let objects = conditions.iter_mut().filter(|c| c.is_object());
                        objects.for_each(|condition| visit(condition, CONDITION_TIME));
                    }
                    (DISRUPTED_PODS, pods @ Value::Object(_)) => {
                        let names: Vec<String> =
                            pods.as_object().into_iter().flatten().map(|(n, _)| n.clone()).collect();
                        names.iter().for_each(|name| visit(pods, name));
                    }
                    ("series", series @ Value::Object(_)) => visit(series, SERIES_TIME),
                    _ => each(child, visit),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_times_are_filled_and_become_null() {
        let time = "2020-01-01T00:00:00Z";
        let mut object = json!({"status": {"conditions": [{"type": "A"}, {"type": "B", "lastTransitionTime": time}],
            "devices": [{"conditions": [{"type": "C", "lastTransitionTime": null}]}]}});
        assert!(fill(&mut object));
        assert!(!fill(&mut object));
        restore(&mut object);
        let wanted = json!({"status": {
            "conditions": [{"type": "A", "lastTransitionTime": null}, {"type": "B", "lastTransitionTime": time}],
            "devices": [{"conditions": [{"type": "C", "lastTransitionTime": null}]}]}});
        assert_eq!(object, wanted);
        assert!(!fill(&mut json!({"spec": {"conditions": "x", "series": 1}})));
        let mut budget = json!({"status": {"disruptedPods": {"p": null, "q": time}}});
        let before = budget.clone();
        assert!(fill(&mut budget));
        restore(&mut budget);
        assert_eq!(budget, before);
    }
}
