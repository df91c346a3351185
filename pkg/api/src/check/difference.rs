//! What changed in an object that may not change.

use serde::Serialize;

use super::to_value;

/// The top-level fields that differ, old and new value of each. Upstream prints a unified diff of its
/// internal types here (`diff.Diff`); nobody parses it.
pub(crate) fn difference<T: Serialize>(old: &T, new: &T) -> String {
    let (old, new) = (to_value(old), to_value(new));
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
        return String::new();
    };
    let mut lines = String::from("--- \n+++ \n");
    for (key, value) in old.iter().filter(|(k, v)| new.get(*k) != Some(v)) {
        lines += &format!("- \"{key}\": {value}\n");
    }
    for (key, value) in new.iter().filter(|(k, v)| old.get(*k) != Some(v)) {
        lines += &format!("+ \"{key}\": {value}\n");
    }
    lines
}
