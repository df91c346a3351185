//! `fieldsV1`: a set of field paths as JSON (structured-merge-diff `fieldpath/serialize.go`).
//!
//! A node is a member's path when its value is `{}` or has the name `.`.

use serde_json::{Map, Value};

use super::element::Element;
use super::set::{Node, Set};

impl Set {
    /// The set in JSON; the order of names is the one JSON trees here have.
    pub fn to_fields_v1(&self) -> Value {
        let mut out = Map::new();
        for node in self.nodes() {
            let mut inside = node.children.to_fields_v1();
            if node.member
                && !node.children.is_empty()
                && let Value::Object(map) = &mut inside
            {
                map.insert(".".to_owned(), Value::Object(Map::new()));
            }
            out.insert(node.element.to_name(), inside);
        }
        Value::Object(out)
    }

    /// The set as the text upstream writes, byte by byte.
    #[cfg(test)]
    pub(super) fn to_fields_v1_text(&self) -> String {
        let mut out = String::from("{");
        self.write(&mut out);
        out.push('}');
        out
    }

    #[cfg(test)]
    fn write(&self, out: &mut String) {
        for (at, node) in self.nodes().iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(&Value::String(node.element.to_name()).to_string());
            out.push_str(":{");
            if node.member && !node.children.is_empty() {
                out.push_str("\".\":{},");
            }
            node.children.write(out);
            out.push('}');
        }
    }

    /// Reads the set. Elements of unknown kinds are dropped.
    ///
    /// # Errors
    /// When a name is malformed or something is no map.
    pub fn from_fields_v1(fields: &Value) -> Result<Self, String> {
        Ok(read(fields)?.0)
    }
}

/// The paths below, and whether the path that ends here is a member.
fn read(fields: &Value) -> Result<(Set, bool), String> {
    let map = match fields {
        Value::Object(map) => map,
        Value::Null => return Ok((Set::default(), true)),
        _ => return Err("fields must be a map".to_owned()),
    };
    let mut nodes = Vec::with_capacity(map.len());
    let mut member = false;
    for (name, inside) in map {
        if name == "." {
            member = true;
            continue;
        }
        let Some(element) = Element::from_name(name)? else {
            continue;
        };
        let (children, own) = read(inside)?;
        nodes.push(Node {
            element,
            member: own,
            children,
        });
    }
    let member = member || nodes.is_empty();
    // Names are not always in the order of their elements: texts of numbers are not. Inserting one by one could take
    // long then.
    Ok((Set::of_nodes(nodes), member))
}
