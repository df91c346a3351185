//! Checks of lists and conditions, and how whole values are shown in an error.

use std::collections::BTreeSet;

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::validation::regex_error;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

use super::{one_of, qualified_name, required, to_value};

/// Longest reason of a condition, in bytes (`maxReasonLen`).
const REASON_MAX: usize = 1024;
/// Longest message of a condition, in bytes (`maxMessageLen`).
const MESSAGE_MAX: usize = 32 * 1024;

/// Go's zero time, in seconds since 1970.
const YEAR_ONE: i64 = -62_135_596_800;
/// What the server puts where a condition has no time, so that it decodes.
const FILLED: i64 = 0;

/// A whole value as an error shows it.
pub(crate) fn shown<T: Serialize>(value: &T) -> BadValue {
    BadValue::from(&to_value(value))
}

/// Each item, unless there are more than `max` (`validateSlice` of resource.k8s.io): then nothing else
/// is said of the list.
pub(crate) fn limited<T>(
    errs: &mut ErrorList,
    path: &Path,
    items: &[T],
    max: usize,
    mut check: impl FnMut(&mut ErrorList, &T, &Path),
) -> bool {
    if items.len() > max {
        errs.push(Error::too_many(path, items.len(), max));
        return false;
    }
    for (index, item) in items.iter().enumerate() {
        check(errs, item, &path.index(index));
    }
    true
}

/// [`limited`], and after the items the repeated ones (`validateSet`).
pub(crate) fn limited_set<T, K: Ord + Into<BadValue>>(
    errs: &mut ErrorList,
    path: &Path,
    items: &[T],
    max: usize,
    check: impl FnMut(&mut ErrorList, &T, &Path),
    key: impl Fn(&T) -> K,
) {
    if limited(errs, path, items, max, check) {
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let key = key(item);
            if seen.contains(&key) {
                errs.push(Error::duplicate(&path.index(index), key));
            } else {
                seen.insert(key);
            }
        }
    }
}

/// `metav1validation.ValidateConditions`.
pub(crate) fn conditions(errs: &mut ErrorList, conditions: &[Condition], path: &Path) {
    let mut types = BTreeSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        let type_ = condition.type_.as_str();
        if !types.insert(type_) {
            errs.push(Error::duplicate(&path.child("type"), type_));
        }
        qualified_name(errs, &path.child("type"), type_);
        one_of(
            errs,
            &path.child("status"),
            &condition.status,
            &["False", "True", "Unknown"],
        );
        if let Some(generation) = condition.observed_generation.filter(|g| *g < 0) {
            let rule = "must be greater than or equal to zero";
            errs.push(Error::invalid(&path.child("observedGeneration"), generation, rule));
        }
        if matches!(condition.last_transition_time.0.as_second(), YEAR_ONE | FILLED) {
            errs.push(Error::required(&path.child("lastTransitionTime"), ""));
        }
        let reason = condition.reason.as_str();
        required(errs, &path.child("reason"), reason);
        if !reason.is_empty() {
            if !is_reason(reason) {
                errs.push(Error::invalid(&path.child("reason"), reason, reason_error()));
            }
            if reason.len() > REASON_MAX {
                errs.push(Error::too_long(&path.child("reason"), REASON_MAX));
            }
        }
        if condition.message.len() > MESSAGE_MAX {
            errs.push(Error::too_long(&path.child("message"), MESSAGE_MAX));
        }
    }
}

/// `conditionReasonRegexp`.
fn is_reason(reason: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    reason.starts_with(|c: char| c.is_ascii_alphabetic())
        && reason.ends_with(word)
        && reason.chars().all(|c| word(c) || matches!(c, ',' | ':'))
}

fn reason_error() -> String {
    regex_error(
        "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'",
        "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?",
        &["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"],
    )
}
