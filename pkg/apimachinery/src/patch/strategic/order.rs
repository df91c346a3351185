//! The order of a merged list: what the patch names follows the patch, the rest stays where the server had it.

use serde_json::Value;

use super::{Error, PATCH, Result};

/// The merge key's value of an element.
pub(super) fn key_of<'v>(element: &'v Value, key: &str) -> Result<&'v Value> {
    let missing = || Error::Inapplicable(format!("map: {element} does not contain declared merge key: {key}"));
    element.get(key).ok_or_else(missing)
}

/// Sorts a merged list: elements that `wanted` names in its order, the others in the order of `server`, and the two
/// interleaved as they stood in `server` (upstream: `normalizeElementOrder`, `mergeSortedSlice`).
pub(super) fn arrange(merged: Vec<Value>, wanted: &[Value], server: &[Value], key: Option<&str>) -> Vec<Value> {
    let at = |list: &[Value], one: &Value| list.iter().position(|other| same(one, other, key));
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|one| at(wanted, one).is_some());
    named.sort_by_cached_key(|one| at(wanted, one));
    others.sort_by_cached_key(|one| at(server, one));
    let mut out = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    loop {
        let take_other = match (others.peek(), named.peek()) {
            (None, None) => return out,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(other), Some(name)) => match (at(server, other), at(server, name)) {
                (Some(other), Some(name)) => other < name,
                _ => false,
            },
        };
        out.extend(if take_other { others.next() } else { named.next() });
    }
}

/// The elements with later duplicates left out.
pub(super) fn unique(list: Vec<Value>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::with_capacity(list.len());
    for one in list {
        if !out.contains(&one) {
            out.push(one);
        }
    }
    out
}

/// Checks that a patch's elements stand in the order of `$setElementOrder`; deletions come last in the result
/// (upstream: `validatePatchWithSetOrderList`).
pub(super) fn check(patch: Vec<Value>, wanted: &[Value], key: Option<&str>) -> Result<Vec<Value>> {
    let deletes = |one: &Value| one.get(PATCH).and_then(Value::as_str) == Some("delete");
    let (gone, mut kept): (Vec<Value>, Vec<Value>) = patch.into_iter().partition(|one| deletes(one));
    let mut rest = wanted.iter();
    for one in kept.iter().filter(|one| one.get(PATCH).is_none()) {
        if !rest.any(|other| same(one, other, key)) {
            let (kept, wanted) = (Value::Array(kept.clone()), Value::Array(wanted.to_vec()));
            return Err(Error::Malformed(format!(
                "The order in patch list:\n{kept}\n doesn't match $setElementOrder list:\n{wanted}\n"
            )));
        }
    }
    kept.extend(gone);
    Ok(kept)
}

fn same(a: &Value, b: &Value, key: Option<&str>) -> bool {
    match key {
        Some(key) if a.is_object() && b.is_object() => a.get(key).is_some() && a.get(key) == b.get(key),
        _ => a == b,
    }
}
