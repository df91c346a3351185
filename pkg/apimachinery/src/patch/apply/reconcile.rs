//! Field sets written when the schema was another one (structured-merge-diff `typed/reconcile_schema.go`): what has
//! become atomic is owned as a whole by whoever owned a part of it.

use super::element::Element;
use super::place::{self, Atom};
use super::set::Set;
use crate::schema::{ListType, Schema};

/// The set under today's schema; None when it is the same.
pub(super) fn reconcile(schema: &Schema, atom: Atom<'_>, set: &Set) -> Option<Set> {
    let mut changed = false;
    let out = inside(schema, atom, set, &mut changed);
    changed.then_some(out)
}

fn inside(schema: &Schema, atom: Atom<'_>, set: &Set, changed: &mut bool) -> Set {
    let mut out = Set::default();
    for node in set.nodes() {
        let below = match &node.element {
            Element::Field(name) => place::declared(schema, atom, name),
            _ => matches!(atom, Atom::List(..)).then(|| place::item(schema, atom)),
        };
        let atomic = match below {
            Some(Atom::List(list, _)) => *list == ListType::Atomic,
            Some(Atom::Struct(_, atomic) | Atom::Map(_, atomic)) => atomic,
            Some(Atom::Opaque) => true,
            _ => false,
        };
        if atomic && !node.children.is_empty() {
            *changed = true;
            out.attach(node.element.clone(), true, Set::default());
            continue;
        }
        let children = match below {
            Some(atom @ (Atom::List(..) | Atom::Struct(..) | Atom::Map(..))) if !node.children.is_empty() => {
                inside(schema, atom, &node.children, changed)
            }
            _ => node.children.clone(),
        };
        out.attach(node.element.clone(), node.member, children);
    }
    out
}
