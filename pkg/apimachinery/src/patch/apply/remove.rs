//! A value without the given paths (structured-merge-diff `typed/remove.go`).

use serde_json::{Map, Value};

use super::element::Element;
use super::place::{self, Atom, Form};
use super::set::Set;
use crate::schema::Schema;

/// The value without these fields and elements. Maps and lists that become empty stay as empty ones.
pub(super) fn remove(schema: &Schema, atom: Atom<'_>, value: &Value, paths: &Set) -> Value {
    match (atom, value) {
        (Atom::Scalar(_), value) => value.clone(),
        // Parts of what is replaced as a whole cannot go alone: all of it goes.
        (Atom::Opaque, Value::Object(_) | Value::Array(_)) => Value::Null,
        (Atom::Deduced, Value::Array(_)) => Value::Null,
        (Atom::Struct(_, true) | Atom::Map(_, true), _) => Value::Null,
        (Atom::List(list, kind), Value::Array(items)) => {
            if *list == crate::schema::ListType::Atomic {
                return Value::Null;
            }
            let inside = place::of_kind(schema, kind);
            let mut touched = false;
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                let element = place::element_of(schema, list, kind, item).ok();
                match element.as_ref().and_then(|element| paths.node(element)) {
                    Some(node) if node.member => {}
                    Some(node) => {
                        touched = true;
                        out.push(part(schema, inside, item, &node.children));
                    }
                    None => out.push(item.clone()),
                }
            }
            if out.is_empty() && !touched {
                Value::Null
            } else {
                Value::Array(out)
            }
        }
        (Atom::Struct(..) | Atom::Map(..) | Atom::Deduced, Value::Object(map)) => {
            let mut touched = false;
            let mut out = Map::new();
            for (name, value) in map {
                match paths.node(&Element::field(name)) {
                    Some(node) if node.member => {}
                    Some(node) => {
                        touched = true;
                        let inside = place::entry(schema, atom, name);
                        out.insert(name.clone(), part(schema, inside, value, &node.children));
                    }
                    None => drop(out.insert(name.clone(), value.clone())),
                }
            }
            if out.is_empty() && !touched {
                Value::Null
            } else {
                Value::Object(out)
            }
        }
        (Atom::Opaque | Atom::Deduced, value) if Form::of(value) == Form::Leaf => value.clone(),
        _ => Value::Null,
    }
}

/// The value of a place that stays although parts of it go.
fn part(schema: &Schema, atom: Atom<'_>, value: &Value, paths: &Set) -> Value {
    match (remove(schema, atom, value, paths), value) {
        (Value::Null, Value::Object(_)) => Value::Object(Map::new()),
        (Value::Null, Value::Array(_)) => Value::Array(Vec::new()),
        (rest, _) => rest,
    }
}
