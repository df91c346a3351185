//! The order of a merged list: what the patch names follows the patch, the rest stays where the server had it.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::super::go;
use super::{Error, MAP, PATCH, Result, bad_type};

/// The merge key's value of an element.
pub(super) fn key_of<'v>(element: &'v Value, key: &str) -> Result<&'v Value> {
    let Value::Object(map) = element else {
        return Err(bad_type(MAP, element));
    };
    map.get(key).ok_or_else(|| missing(map, key))
}

fn missing(map: &Map<String, Value>, key: &str) -> Error {
    let map = go::plain(&Value::Object(map.clone()));
    Error::Failed(format!("map: {map} does not contain declared merge key: {key}"))
}

/// What tells an element from others.
#[derive(PartialEq, Eq, Hash)]
enum Name<'v> {
    /// The value of its merge key.
    Key(&'v Value),
    /// All of it.
    Whole(&'v Value),
}

impl<'v> Name<'v> {
    fn of(element: &'v Value, key: Option<&str>) -> Option<Self> {
        match key {
            Some(key) if element.is_object() => element.get(key).map(Name::Key),
            _ => Some(Name::Whole(element)),
        }
    }
}

/// Where elements first stand in a list.
struct Places<'v> {
    first: HashMap<Name<'v>, usize>,
    key: Option<&'v str>,
}

impl<'v> Places<'v> {
    fn of(list: &'v [Value], key: Option<&'v str>) -> Self {
        let mut first = HashMap::with_capacity(list.len());
        for (at, one) in list.iter().enumerate() {
            if let Some(name) = Name::of(one, key) {
                first.entry(name).or_insert(at);
            }
        }
        Places { first, key }
    }

    fn at(&self, element: &Value) -> Option<usize> {
        self.first.get(&Name::of(element, self.key)?).copied()
    }
}

/// Sorts a merged list: elements that `wanted` names in its order, the others in the order of `server`, and the two
/// interleaved as they stood in `server` (upstream: `normalizeElementOrder`, `mergeSortedSlice`).
pub(super) fn arrange(merged: Vec<Value>, wanted: &[Value], server: &[Value], key: Option<&str>) -> Vec<Value> {
    let (wanted, server) = (Places::of(wanted, key), Places::of(server, key));
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for one in merged {
        let there = server.at(&one);
        match wanted.at(&one) {
            Some(at) => named.push((at, there, one)),
            None => others.push((there, one)),
        }
    }
    named.sort_by_key(|(at, ..)| *at);
    others.sort_by_key(|(there, _)| *there);
    let mut out = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    loop {
        let take_other = match (others.peek(), named.peek()) {
            (None, None) => return out,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some((other, _)), Some((_, name, _))) => match (other, name) {
                (Some(other), Some(name)) => other < name,
                _ => false,
            },
        };
        if take_other {
            out.extend(others.next().map(|(_, one)| one));
        } else {
            out.extend(named.next().map(|(_, _, one)| one));
        }
    }
}

/// The elements with later duplicates left out.
pub(super) fn unique(list: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::with_capacity(list.len());
    let first: Vec<bool> = list.iter().map(|one| seen.insert(one)).collect();
    let kept = list.into_iter().zip(first).filter(|(_, first)| *first);
    kept.map(|(one, _)| one).collect()
}

/// Checks that a patch's elements stand in the order of `$setElementOrder`, but for those that go
/// (upstream: `validatePatchWithSetOrderList`).
pub(super) fn check(patch: &[Value], wanted: &[Value], key: Option<&str>) -> Result<()> {
    if patch.is_empty() || wanted.is_empty() {
        return Ok(());
    }
    if key.is_some()
        && let Some(other) = patch.iter().find(|one| !one.is_object())
    {
        return Err(bad_type(MAP, other));
    }
    let goes = |one: &Value| key.is_some() && one.get(PATCH).and_then(Value::as_str) == Some("delete");
    let kept: Vec<&Value> = patch.iter().filter(|one| !goes(one)).collect();
    let (mut at, mut place) = (0, 0);
    while at < kept.len() && place < wanted.len() {
        if kept[at].get(PATCH).is_some() {
            at += 1;
            continue;
        }
        let same = match key {
            Some(key) => key_of(kept[at], key)? == key_of(&wanted[place], key)?,
            None => *kept[at] == wanted[place],
        };
        at += usize::from(same);
        place += 1;
    }
    if at < kept.len() && place == wanted.len() {
        let (patch, wanted) = (go::plain_list(patch), go::plain_list(wanted));
        return Err(Error::Failed(format!(
            "The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{wanted}\n"
        )));
    }
    Ok(())
}
