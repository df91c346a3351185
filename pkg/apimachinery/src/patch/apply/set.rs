//! Sets of field paths (structured-merge-diff `fieldpath/set.go`).
//!
//! A set is a tree. A node says whether the path that ends here is a member, and which longer paths are. A node that
//! says neither does not exist, and nodes are in the order of their elements.

use std::cmp::Ordering;
use std::fmt;

use super::element::Element;
use super::place::{self, Atom};
use crate::schema::Schema;

/// A set of field paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    nodes: Vec<Node>,
}

/// One step of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) element: Element,
    pub(super) member: bool,
    pub(super) children: Set,
}

/// Which paths of a comparison or a set count.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All but these and everything below them.
    Exclude(Set),
    /// Only what is below these paths; None is any one element.
    Include(Vec<Vec<Option<Element>>>),
}

impl Set {
    /// A set of paths of fields: `&[&["spec", "replicas"]]`.
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut out = Self::default();
        for path in paths {
            out.insert(
                path.iter()
                    .map(|name| Element::field(name))
                    .collect::<Vec<_>>()
                    .as_slice(),
            );
        }
        out
    }

    /// Adds a path.
    pub fn insert(&mut self, path: &[Element]) {
        let [first, rest @ ..] = path else { return };
        let at = match self.find(first) {
            Ok(at) => at,
            Err(at) => {
                self.nodes.insert(
                    at,
                    Node {
                        element: first.clone(),
                        member: false,
                        children: Self::default(),
                    },
                );
                at
            }
        };
        if rest.is_empty() {
            self.nodes[at].member = true;
        } else {
            self.nodes[at].children.insert(rest);
        }
    }

    /// Adds an element with what is below it; nothing when there is nothing to say of it.
    pub(super) fn attach(&mut self, element: Element, member: bool, children: Self) {
        if !member && children.is_empty() {
            return;
        }
        let node = Node {
            element,
            member,
            children,
        };
        match self
            .nodes
            .last()
            .map_or(Ordering::Less, |last| last.element.cmp(&node.element))
        {
            Ordering::Less => self.nodes.push(node),
            _ => match self.find(&node.element) {
                Ok(at) => {
                    let present = &mut self.nodes[at];
                    present.member |= member;
                    present.children = std::mem::take(&mut present.children).union(node.children);
                }
                Err(at) => self.nodes.insert(at, node),
            },
        }
    }

    fn find(&self, element: &Element) -> Result<usize, usize> {
        self.nodes.binary_search_by(|node| node.element.cmp(element))
    }

    pub(super) fn node(&self, element: &Element) -> Option<&Node> {
        self.find(element).ok().map(|at| &self.nodes[at])
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// What the nodes say may change, their elements and their order may not.
    pub(super) fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// A set of nodes in any order, each of which says something. What is said twice of an element counts together.
    pub(super) fn of_nodes(mut nodes: Vec<Node>) -> Self {
        if !nodes.is_sorted_by(|a, b| a.element < b.element) {
            nodes.sort_by(|a, b| a.element.cmp(&b.element));
            nodes.dedup_by(|again, first| {
                let same = again.element == first.element;
                if same {
                    first.member |= again.member;
                    let children = std::mem::take(&mut first.children);
                    first.children = children.union(std::mem::take(&mut again.children));
                }
                same
            });
        }
        Self { nodes }
    }

    /// Whether it has no paths.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many paths it has.
    pub fn len(&self) -> usize {
        self.nodes
            .iter()
            .map(|node| usize::from(node.member) + node.children.len())
            .sum()
    }

    /// Whether the path is a member.
    pub fn has(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.node(last).is_some_and(|node| node.member),
            [first, rest @ ..] => self.node(first).is_some_and(|node| node.children.has(rest)),
        }
    }

    /// Paths of either.
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let mut out = Vec::with_capacity(self.nodes.len().max(other.nodes.len()));
        let (mut left, mut right) = (self.nodes.into_iter().peekable(), other.nodes.into_iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => return Self { nodes: out },
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.element.cmp(&b.element),
            };
            let a = if order.is_le() { left.next() } else { None };
            let b = if order.is_ge() { right.next() } else { None };
            out.extend(match (a, b) {
                (Some(a), Some(b)) => Some(Node {
                    element: a.element,
                    member: a.member || b.member,
                    children: a.children.union(b.children),
                }),
                (one, other) => one.or(other),
            });
        }
    }

    /// Paths of both.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Self::default();
        walk(&self.nodes, &other.nodes, |a, b| {
            if let (Some(a), Some(b)) = (a, b) {
                out.attach(
                    a.element.clone(),
                    a.member && b.member,
                    a.children.intersection(&b.children),
                );
            }
        });
        out
    }

    /// Paths of this one only.
    pub fn difference(mut self, other: &Self) -> Self {
        if other.is_empty() {
            return self;
        }
        self.sift(&mut |node| {
            if let Some(gone) = other.node(&node.element) {
                node.member &= !gone.member;
                node.children = std::mem::take(&mut node.children).difference(&gone.children);
            }
        });
        self
    }

    /// Paths of this one that neither are in the other nor lie below one that is.
    pub fn recursive_difference(mut self, other: &Self) -> Self {
        self.sift(&mut |node| match other.node(&node.element) {
            Some(gone) if gone.member => {
                node.member = false;
                node.children = Self::default();
            }
            Some(gone) => node.children = std::mem::take(&mut node.children).recursive_difference(&gone.children),
            None => {}
        });
        self
    }

    /// Changes every node; those that say nothing afterwards are gone.
    fn sift(&mut self, change: &mut dyn FnMut(&mut Node)) {
        self.nodes.retain_mut(|node| {
            change(node);
            node.member || !node.children.is_empty()
        });
    }

    /// The paths a filter lets through.
    pub fn filter(self, filter: &Filter) -> Self {
        match filter {
            Filter::Exclude(set) => self.recursive_difference(set),
            Filter::Include(paths) => {
                let paths: Vec<&[Option<Element>]> = paths.iter().map(Vec::as_slice).collect();
                self.include(&paths)
            }
        }
    }

    fn include(mut self, paths: &[&[Option<Element>]]) -> Self {
        self.sift(&mut |node| {
            let matches = |path: &&&[Option<Element>]| {
                path.first()
                    .is_some_and(|first| first.as_ref().is_none_or(|element| *element == node.element))
            };
            let rest: Vec<&[Option<Element>]> = paths.iter().filter(matches).map(|path| &path[1..]).collect();
            if rest.is_empty() {
                node.member = false;
                node.children = Self::default();
            } else if !rest.iter().any(|path| path.is_empty()) {
                node.children = std::mem::take(&mut node.children).include(&rest);
            }
        });
        self
    }

    /// With every named field of a struct that has members below it also as a member.
    pub(super) fn ensure_named_fields(&self, schema: &Schema, atom: Atom<'_>) -> Self {
        let mut out = Self::default();
        for node in &self.nodes {
            let mut member = node.member;
            let inside = match &node.element {
                Element::Field(name) => {
                    member |= !node.children.is_empty() && place::has_field(schema, atom, name);
                    place::entry(schema, atom, name)
                }
                Element::Key(_) => place::item(schema, atom),
                Element::Value(_) | Element::Index(_) => Atom::Opaque,
            };
            out.nodes.push(Node {
                element: node.element.clone(),
                member,
                children: node.children.ensure_named_fields(schema, inside),
            });
        }
        out
    }

    /// Calls `each` with every path: those that end in this place first, then the longer ones.
    pub fn for_each(&self, each: &mut dyn FnMut(&[Element])) {
        self.visit(&mut Vec::new(), each);
    }

    fn visit(&self, path: &mut Vec<Element>, each: &mut dyn FnMut(&[Element])) {
        for node in self.nodes.iter().filter(|node| node.member) {
            path.push(node.element.clone());
            each(path);
            path.pop();
        }
        for node in self.nodes.iter().filter(|node| !node.children.is_empty()) {
            path.push(node.element.clone());
            node.children.visit(path, each);
            path.pop();
        }
    }
}

/// Walks two sorted lists of nodes side by side.
fn walk<'a>(a: &'a [Node], b: &'a [Node], mut each: impl FnMut(Option<&'a Node>, Option<&'a Node>)) {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        match (a.peek(), b.peek()) {
            (None, None) => return,
            (Some(_), None) => each(a.next(), None),
            (None, Some(_)) => each(None, b.next()),
            (Some(x), Some(y)) => match x.element.cmp(&y.element) {
                Ordering::Less => each(a.next(), None),
                Ordering::Greater => each(None, b.next()),
                Ordering::Equal => each(a.next(), b.next()),
            },
        }
    }
}

/// The text of a path: `.spec.ports[port=80]`.
pub(super) fn path_text(path: &[Element]) -> String {
    path.iter().map(Element::to_string).collect()
}

impl fmt::Display for Set {
    /// One path a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        self.for_each(&mut |path| lines.push(path_text(path)));
        f.write_str(&lines.join("\n"))
    }
}
