//! What one version of an object changes in another (structured-merge-diff `typed/compare.go`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::element::{self, Element};
use super::place::{self, Atom, Form};
use super::set::{Filter, Set};
use crate::schema::{Kind, ListType, Schema};

/// The paths in which two objects differ; no path is in two of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Only the old object has them.
    pub(crate) removed: Set,
    /// Both have them, with different values.
    pub(crate) modified: Set,
    /// Only the new object has them.
    pub(crate) added: Set,
}

impl Comparison {
    /// Whether nothing differs.
    pub(crate) fn is_same(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }

    /// All of it.
    pub(super) fn sets(&self) -> [&Set; 3] {
        [&self.removed, &self.modified, &self.added]
    }

    /// Without the paths the filter stops.
    pub(super) fn filter(self, filter: Option<&Filter>) -> Self {
        let Some(filter) = filter else { return self };
        Self {
            removed: self.removed.filter(filter),
            modified: self.modified.filter(filter),
            added: self.added.filter(filter),
        }
    }

    fn attach(&mut self, element: Element, own: Option<Change>, inside: Self) {
        let sets = [
            (&mut self.removed, inside.removed, Change::Removed),
            (&mut self.modified, inside.modified, Change::Modified),
            (&mut self.added, inside.added, Change::Added),
        ];
        let mut wanted = sets
            .into_iter()
            .map(|(set, inside, change)| (set, inside, own == Some(change)))
            .filter(|(_, inside, own)| *own || !inside.is_empty())
            .peekable();
        let mut element = Some(element);
        while let Some((set, inside, own)) = wanted.next() {
            // Most places differ in one way only: the last set takes the name itself.
            let name = match wanted.peek() {
                Some(_) => element.clone(),
                None => element.take(),
            };
            if let Some(name) = name {
                set.attach(name, own, inside);
            }
        }
    }
}

/// What happened to the value in one place itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Removed,
    Modified,
    Added,
}

/// Compares two objects of one type, of which both must be valid.
///
/// # Errors
/// When an element of a list cannot be told apart.
pub(super) fn compare(schema: &Schema, atom: Atom<'_>, old: &Value, new: &Value) -> Result<Comparison, String> {
    let mut out = Comparison::default();
    Walker { schema }.value(atom, Some(old), Some(new), &mut out)?;
    Ok(out)
}

type Side<'v> = Option<&'v Value>;
type Outcome = Result<Option<Change>, String>;

struct Walker<'a> {
    schema: &'a Schema,
}

impl<'a> Walker<'a> {
    /// Compares one place; paths below it go to `out`, the place's own change is the answer.
    fn value(&self, atom: Atom<'a>, old: Side<'_>, new: Side<'_>, out: &mut Comparison) -> Outcome {
        match atom {
            Atom::Scalar(_) | Atom::Opaque => Ok(leaf(old, new)),
            // Most of an object does not change, and finding that out needs no schema. Not in maps and free values,
            // which nest as deep as a client likes and would be compared again on every level.
            Atom::Struct(..) | Atom::List(..) if old.is_some() && old == new => Ok(None),
            Atom::List(list, kind) => self.list(list, kind, old, new, out),
            Atom::Struct(_, atomic) | Atom::Map(_, atomic) => self.map(atom, atomic, old, new, out),
            Atom::Deduced => match (old.map(Form::of), new.map(Form::of)) {
                (Some(a), Some(b)) if a != b => {
                    self.map(atom, false, old, new, out)?;
                    Ok(leaf(old, new))
                }
                (Some(Form::Leaf), _) | (None, Some(Form::Leaf)) => Ok(leaf(old, new)),
                _ => self.map(atom, false, old, new, out),
            },
        }
    }

    fn map(&self, atom: Atom<'a>, atomic: bool, old: Side<'_>, new: Side<'_>, out: &mut Comparison) -> Outcome {
        let (a, b) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
        // Go writes some fields of a struct even when they are empty.
        let always = match atom {
            Atom::Struct(ty, _) => self.schema[ty].always_written(),
            _ => &[],
        };
        let same_shape = always.is_empty() || a.is_some() == b.is_some();
        if atomic || same_shape && a.is_none_or(Map::is_empty) && b.is_none_or(Map::is_empty) {
            return Ok(leaf(old, new));
        }
        let written = |name: &str| always.iter().find(|(own, _)| **own == *name).map(|(_, value)| value);
        let mut entry = |name: &str, x: Side<'_>, y: Side<'_>| -> Result<(), String> {
            let x = x.or_else(|| a.and_then(|_| written(name)));
            let y = y.or_else(|| b.and_then(|_| written(name)));
            let mut inside = Comparison::default();
            let own = self.value(place::entry(self.schema, atom, name), x, y, &mut inside)?;
            if own.is_some() || !inside.is_same() {
                out.attach(Element::field(name), own, inside);
            }
            Ok(())
        };
        let (mut left, mut right) = (a.into_iter().flatten().peekable(), b.into_iter().flatten().peekable());
        loop {
            match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some((name, x)), None) => {
                    entry(name, Some(x), None)?;
                    left.next();
                }
                (None, Some((name, y))) => {
                    entry(name, None, Some(y))?;
                    right.next();
                }
                (Some((n, x)), Some((m, y))) => match n.cmp(m) {
                    std::cmp::Ordering::Less => {
                        entry(n, Some(x), None)?;
                        left.next();
                    }
                    std::cmp::Ordering::Greater => {
                        entry(m, None, Some(y))?;
                        right.next();
                    }
                    std::cmp::Ordering::Equal => {
                        entry(n, Some(x), Some(y))?;
                        left.next();
                        right.next();
                    }
                },
            }
        }
        if a.is_some() != b.is_some() {
            let absent = |name: &str| !a.or(b).is_some_and(|map| map.contains_key(name));
            for (name, _) in always.iter().filter(|(name, _)| absent(name)) {
                entry(name, None, None)?;
            }
        }
        Ok(container(old, new))
    }

    fn list(&self, list: &ListType, kind: Kind, old: Side<'_>, new: Side<'_>, out: &mut Comparison) -> Outcome {
        let items = |side: Side<'_>| -> usize { side.and_then(Value::as_array).map_or(0, Vec::len) };
        if *list == ListType::Atomic || items(old) == 0 && items(new) == 0 {
            return Ok(leaf(old, new));
        }
        let mut found: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for child in old.and_then(Value::as_array).into_iter().flatten() {
            let element = place::element_of(self.schema, list, kind, child)?;
            found.entry(element).or_default().0.push(child);
        }
        for child in new.and_then(Value::as_array).into_iter().flatten() {
            let element = place::element_of(self.schema, list, kind, child)?;
            found.entry(element).or_default().1.push(child);
        }
        let atom = place::of_kind(self.schema, kind);
        for (element, (a, b)) in found {
            let mut inside = Comparison::default();
            // Elements that occur twice are one leaf.
            let own = match (a.as_slice(), b.as_slice()) {
                ([] | [_], [] | [_]) => self.value(atom, a.first().copied(), b.first().copied(), &mut inside)?,
                ([_, _, ..], [_, _, ..]) => (a != b).then_some(Change::Modified),
                ([_, _, ..], once) => {
                    if let Some(one) = once.first() {
                        self.value(atom, None, Some(one), &mut inside)?;
                        out.attach(element.clone(), Some(Change::Added), std::mem::take(&mut inside));
                    }
                    Some(Change::Removed)
                }
                (once, _) => {
                    if let Some(one) = once.first() {
                        self.value(atom, Some(one), None, &mut inside)?;
                        out.attach(element.clone(), Some(Change::Removed), std::mem::take(&mut inside));
                    }
                    Some(Change::Added)
                }
            };
            if own.is_some() || !inside.is_same() {
                out.attach(element, own, inside);
            }
        }
        Ok(container(old, new))
    }
}

fn leaf(old: Side<'_>, new: Side<'_>) -> Option<Change> {
    match (old, new) {
        (None, None) => None,
        (None, Some(_)) => Some(Change::Added),
        (Some(_), None) => Some(Change::Removed),
        (Some(a), Some(b)) => (!element::equal(a, b)).then_some(Change::Modified),
    }
}

fn container(old: Side<'_>, new: Side<'_>) -> Option<Change> {
    match (old, new) {
        (None, Some(_)) => Some(Change::Added),
        (Some(_), None) => Some(Change::Removed),
        _ => None,
    }
}
