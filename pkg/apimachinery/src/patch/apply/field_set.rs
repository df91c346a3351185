//! The paths an applied configuration speaks of (structured-merge-diff `typed/tofieldset.go`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::element::Element;
use super::place::{self, Atom, Form};
use super::set::Set;
use crate::schema::{Kind, ListType, Schema};

/// Every leaf and every element a valid value has.
pub(super) fn field_set(schema: &Schema, atom: Atom<'_>, value: &Value) -> Set {
    let mut out = Set::default();
    Walker { schema }.value(atom, value, &mut out);
    out
}

struct Walker<'a> {
    schema: &'a Schema,
}

impl<'a> Walker<'a> {
    /// Adds what is below this place; whether the place itself is a path of the set.
    fn value(&self, atom: Atom<'a>, value: &Value, out: &mut Set) -> bool {
        match atom {
            Atom::Scalar(_) | Atom::Opaque | Atom::List(ListType::Atomic, _) => true,
            Atom::Struct(_, true) | Atom::Map(_, true) => true,
            Atom::List(list, kind) => {
                self.list(list, kind, value, out);
                false
            }
            Atom::Deduced if Form::of(value) == Form::Leaf => true,
            Atom::Struct(..) | Atom::Map(..) | Atom::Deduced => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    let mut inside = Set::default();
                    let own = self.value(place::entry(self.schema, atom, name), value, &mut inside);
                    let empty = match value {
                        Value::Null => true,
                        Value::Object(map) => map.is_empty(),
                        _ => false,
                    };
                    let own = own || empty || !place::has_field(self.schema, atom, name);
                    out.attach(Element::field(name), own, inside);
                }
                false
            }
        }
    }

    fn list(&self, list: &ListType, kind: Kind, value: &Value, out: &mut Set) {
        let mut found: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
        for child in value.as_array().into_iter().flatten() {
            if let Ok(element) = place::element_of(self.schema, list, kind, child) {
                found.entry(element).or_default().push(child);
            }
        }
        for (element, children) in found {
            let mut inside = Set::default();
            if let [one] = children.as_slice() {
                self.value(place::of_kind(self.schema, kind), one, &mut inside);
            }
            out.attach(element, true, inside);
        }
    }
}
