//! JSON merge patch (RFC 7386): maps are merged, null deletes, anything else replaces.

use serde_json::{Map, Value};

use super::{Error, cannot_unmarshal};

/// Applies what a client sent, which must be a map.
///
/// # Errors
/// When the patch is none (upstream: `jsonPatcher.applyJSPatch`, json-patch `MergePatch`).
pub fn apply_map(target: &mut Value, patch: &Value) -> Result<(), Error> {
    match patch {
        Value::Object(_) => apply(target, patch),
        Value::Null => return Err(Error::Malformed("Invalid JSON Patch".to_owned())),
        other => {
            let why = cannot_unmarshal(other, "map[string]interface {}");
            return Err(Error::Malformed(format!("error decoding patch: {why}")));
        }
    }
    Ok(())
}

/// Applies `patch` to `target`.
pub fn apply(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(map) = target {
        for (key, change) in changes {
            match change {
                Value::Null => drop(map.remove(key)),
                Value::Object(_) => apply(map.entry(key.as_str()).or_insert(Value::Null), change),
                _ => drop(map.insert(key.clone(), change.clone())),
            }
        }
    }
}

/// The smallest patch that turns `old` into `new`; an empty map when they are equal.
#[cfg(test)]
pub(crate) fn diff(old: &Value, new: &Value) -> Value {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut out = Map::new();
            for key in old.keys().filter(|key| !new.contains_key(key.as_str())) {
                out.insert(key.clone(), Value::Null);
            }
            for (key, value) in new {
                match old.get(key) {
                    Some(before) if before == value => {}
                    Some(before) => drop(out.insert(key.clone(), diff(before, value))),
                    None => drop(out.insert(key.clone(), value.clone())),
                }
            }
            Value::Object(out)
        }
        _ => new.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn the_examples_of_the_rfc_hold() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut out = target.clone();
            apply(&mut out, &patch);
            assert_eq!(out, expected, "{target} + {patch}");
        }
    }

    #[test]
    fn only_maps_are_taken_from_clients() {
        for (patch, why) in [
            (
                json!([1]),
                "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
            ),
            (
                json!("a"),
                "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}",
            ),
            (Value::Null, "Invalid JSON Patch"),
        ] {
            let mut target = json!({"a": 1});
            let error = apply_map(&mut target, &patch).unwrap_err().to_api_error();
            assert_eq!((error.code, error.message.as_str()), (400, why));
            assert_eq!(target, json!({"a": 1}));
        }
    }

    #[test]
    fn a_difference_applied_gives_the_new_tree() {
        let old = json!({"a": 1, "b": {"c": [1], "d": 2}, "e": "x"});
        let new = json!({"a": 1, "b": {"c": [2], "f": {}}, "g": true});
        let patch = diff(&old, &new);
        assert_eq!(
            patch,
            json!({"b": {"c": [2], "d": null, "f": {}}, "e": null, "g": true})
        );
        let mut out = old;
        apply(&mut out, &patch);
        assert_eq!(out, new);
    }
}
