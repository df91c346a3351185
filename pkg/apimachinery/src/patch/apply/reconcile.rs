//! Field sets written when the schema was another one (structured-merge-diff `typed/reconcile_schema.go`): what has
//! become atomic is owned as a whole by whoever owned a part of it.

use super::element::Element;
use super::place::{self, Atom};
use super::set::Set;
use crate::schema::{ListType, Schema};

/// Brings a set to today's schema.
pub(super) fn reconcile(schema: &Schema, atom: Atom<'_>, set: &mut Set) {
    for node in set.nodes_mut().iter_mut().filter(|node| !node.children.is_empty()) {
        let below = match &node.element {
            Element::Field(name) => place::declared(schema, atom, name),
            _ => matches!(atom, Atom::List(..)).then(|| place::item(schema, atom)),
        };
        match below {
            Some(Atom::List(ListType::Atomic, _) | Atom::Struct(_, true) | Atom::Map(_, true) | Atom::Opaque) => {
                node.member = true;
                node.children = Set::default();
            }
            Some(atom @ (Atom::List(..) | Atom::Struct(..) | Atom::Map(..))) => {
                reconcile(schema, atom, &mut node.children);
            }
            _ => {}
        }
    }
}
