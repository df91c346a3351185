//! The live object with an applied configuration laid over it (structured-merge-diff `typed/merge.go`).
//!
//! Nothing is removed. Where both have a leaf, the configuration's is taken. Lists of elements keep the live order
//! as far as the configuration does not say another one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::element::Element;
use super::place::{self, Atom, Faults, Form};
use crate::schema::{Kind, ListType, Schema};

/// Merges two valid objects of one type.
///
/// # Errors
/// When elements of the configuration occur twice.
pub(super) fn merge(schema: &Schema, atom: Atom<'_>, live: &Value, config: &Value) -> Result<Value, String> {
    let merged = Walker { schema }.value(atom, Some(live), Some(config));
    merged
        .map(|value| value.unwrap_or(Value::Null))
        .map_err(|faults| faults.to_string())
}

type Side<'v> = Option<&'v Value>;
type Outcome = Result<Option<Value>, Faults>;

struct Walker<'a> {
    schema: &'a Schema,
}

static NULL: Value = Value::Null;

impl<'a> Walker<'a> {
    fn value(&self, atom: Atom<'a>, live: Side<'_>, config: Side<'_>) -> Outcome {
        match atom {
            Atom::Scalar(_) | Atom::Opaque => Ok(leaf(live, config)),
            Atom::List(list, kind) => self.list(list, kind, live, config),
            Atom::Struct(_, atomic) | Atom::Map(_, atomic) => self.map(atom, atomic, live, config),
            Atom::Deduced => match config.or(live).map(Form::of) {
                Some(Form::Map) => self.map(atom, false, live, config),
                _ => Ok(leaf(live, config)),
            },
        }
    }

    fn map(&self, atom: Atom<'a>, atomic: bool, live: Side<'_>, config: Side<'_>) -> Outcome {
        let (a, b) = (live.and_then(Value::as_object), config.and_then(Value::as_object));
        if atomic || a.is_none_or(Map::is_empty) && b.is_none_or(Map::is_empty) {
            return Ok(leaf(live, config));
        }
        let mut out = Map::new();
        let names: BTreeSet<&String> = a.into_iter().chain(b).flat_map(Map::keys).collect();
        for name in names {
            let sides = (a.and_then(|map| map.get(name)), b.and_then(|map| map.get(name)));
            let merged = self
                .value(place::entry(self.schema, atom, name), sides.0, sides.1)
                .map_err(|faults| faults.under(&Element::field(name)))?;
            if let Some(value) = merged {
                out.insert(name.clone(), value);
            }
        }
        Ok((!out.is_empty()).then_some(Value::Object(out)))
    }

    fn list(&self, list: &ListType, kind: Kind, live: Side<'_>, config: Side<'_>) -> Outcome {
        let items = |side: Side<'_>| side.and_then(Value::as_array).map_or(0, Vec::len);
        if *list == ListType::Atomic || items(live) == 0 && items(config) == 0 {
            return Ok(leaf(live, config));
        }
        let left = Items::of(self.schema, list, kind, live, true)?;
        let right = Items::of(self.schema, list, kind, config, false)?;
        let atom = place::of_kind(self.schema, kind);
        let mut out = Vec::with_capacity(left.order.len().max(right.order.len()));
        let mut add = |a: Side<'_>, b: Side<'_>| -> Result<(), Faults> {
            out.extend(self.value(atom, a, b)?);
            Ok(())
        };

        // Elements of both, in the configuration's order: the next one tells which live elements must wait.
        let mut shared: VecDeque<&Element> = right
            .order
            .iter()
            .map(|(element, _)| element)
            .filter(|element| left.by_element.contains_key(*element))
            .collect();
        let mut merged: BTreeSet<&Element> = BTreeSet::new();
        let (mut l, mut r) = (0, 0);
        while l < left.order.len() || r < right.order.len() {
            if let (Some((a, _)), Some((b, _))) = (left.order.get(l), right.order.get(r)) {
                if a == b {
                    merged.insert(a);
                    add(left.by_element.get(a).copied(), right.by_element.get(a).copied())?;
                    l += 1;
                    r += 1;
                    shared.pop_front();
                    continue;
                }
                if right.by_element.contains_key(a) && shared.front().is_some_and(|next| *next != a) {
                    // Of both, but not the next one.
                    l += 1;
                    continue;
                }
            }
            if let Some((a, value)) = left.order.get(l) {
                if !right.by_element.contains_key(a) {
                    add(Some(value), None)?;
                    l += 1;
                    continue;
                }
                if merged.contains(a) {
                    l += 1;
                }
            }
            if let Some((b, value)) = right.order.get(r) {
                merged.insert(b);
                add(left.by_element.get(b).copied(), Some(value))?;
                r += 1;
                if shared.front() == Some(&b) {
                    shared.pop_front();
                }
            }
        }
        Ok((!out.is_empty()).then_some(Value::Array(out)))
    }
}

/// The elements of one list.
struct Items<'v> {
    /// In the list's order; an element that occurs twice is here twice.
    order: Vec<(Element, &'v Value)>,
    /// One value per element; null for elements that occur twice, which are not merged.
    by_element: BTreeMap<Element, &'v Value>,
}

impl<'v> Items<'v> {
    fn of(
        schema: &Schema,
        list: &ListType,
        kind: Kind,
        side: Side<'v>,
        allow_duplicates: bool,
    ) -> Result<Self, Faults> {
        let mut out = Items {
            order: Vec::new(),
            by_element: BTreeMap::new(),
        };
        let mut faults = Faults::default();
        for (at, child) in side.and_then(Value::as_array).into_iter().flatten().enumerate() {
            let element = match place::element_of(schema, list, kind, child) {
                Ok(element) => element,
                Err(why) => {
                    faults.add(Faults::one(format!("element {at}: {why}")));
                    continue;
                }
            };
            match out.by_element.get_mut(&element) {
                Some(_) if !allow_duplicates => {
                    faults.add(Faults::one(format!("duplicate entries for key {element}")));
                    continue;
                }
                Some(present) => *present = &NULL,
                None => drop(out.by_element.insert(element.clone(), child)),
            }
            out.order.push((element, child));
        }
        if faults.is_empty() { Ok(out) } else { Err(faults) }
    }
}

fn leaf(live: Side<'_>, config: Side<'_>) -> Option<Value> {
    config.or(live).cloned()
}
