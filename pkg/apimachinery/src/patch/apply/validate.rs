//! Whether a value fits the schema (structured-merge-diff `typed/validate.go`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::element::Element;
use super::place::{self, Atom, Faults, Scalar};
use crate::patch::go;
use crate::schema::{Kind, ListType, Schema};

/// All that is wrong with a value.
pub(super) fn validate(schema: &Schema, atom: Atom<'_>, value: &Value) -> Faults {
    Validation { schema }.value(atom, value)
}

struct Validation<'a> {
    schema: &'a Schema,
}

impl Validation<'_> {
    fn value(&self, atom: Atom<'_>, value: &Value) -> Faults {
        match (atom, value) {
            (_, Value::Null) | (Atom::Deduced | Atom::Opaque, _) => Faults::default(),
            (Atom::Scalar(scalar), value) => scalar_fault(scalar, value).map_or_else(Faults::default, Faults::one),
            (Atom::List(list, kind), Value::Array(items)) => self.list(list, kind, items),
            (Atom::List(..), other) => Faults::one(format!("expected list, got &{{{}}}", go::plain(other))),
            (Atom::Struct(..) | Atom::Map(..), Value::Object(map)) => self.map(atom, map),
            (Atom::Struct(..) | Atom::Map(..), other) => {
                Faults::one(format!("expected map, got &{{{}}}", go::plain(other)))
            }
        }
    }

    fn map(&self, atom: Atom<'_>, map: &serde_json::Map<String, Value>) -> Faults {
        let mut faults = Faults::default();
        for (name, value) in map {
            let Some(inside) = place::declared(self.schema, atom, name) else {
                faults.add(Faults::one("field not declared in schema").under(&Element::field(name)));
                // Upstream looks no further in this map.
                return faults;
            };
            let found = self.value(inside, value);
            if !found.is_empty() {
                faults.add(found.under(&Element::field(name)));
            }
        }
        faults
    }

    fn list(&self, list: &ListType, kind: Kind, items: &[Value]) -> Faults {
        let inside = place::of_kind(self.schema, kind);
        let mut faults = Faults::default();
        let mut seen = BTreeSet::new();
        for (at, value) in items.iter().enumerate() {
            let element = if *list == ListType::Atomic {
                Element::Index(at.try_into().unwrap_or_default())
            } else {
                match place::element_of(self.schema, list, kind, value) {
                    Ok(element) => element,
                    Err(why) => {
                        faults.add(Faults::one(format!("element {at}: {why}")));
                        return faults;
                    }
                }
            };
            let found = self.value(inside, value);
            if *list != ListType::Atomic && !seen.insert(element.clone()) {
                faults.add(Faults::one(format!("duplicate entries for key {element}")));
            }
            if !found.is_empty() {
                faults.add(found.under(&element));
            }
        }
        faults
    }
}

/// Why a value is no such scalar.
fn scalar_fault(scalar: Scalar, value: &Value) -> Option<String> {
    match (scalar, value) {
        (_, Value::Null)
        | (Scalar::String, Value::String(_))
        | (Scalar::Numeric, Value::Number(_))
        | (Scalar::Boolean, Value::Bool(_))
        | (Scalar::Untyped, Value::String(_) | Value::Number(_) | Value::Bool(_)) => None,
        (Scalar::String, other) => Some(format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            go::syntax(other)
        )),
        (Scalar::Numeric, other) => Some(format!("expected numeric (int or float), got {}", go::type_name(other))),
        (Scalar::Boolean, other) => Some(format!("expected boolean, got &{{{}}}", go::plain(other))),
        (Scalar::Untyped, other) => Some(format!("expected any scalar, got &{{{}}}", go::plain(other))),
    }
}
