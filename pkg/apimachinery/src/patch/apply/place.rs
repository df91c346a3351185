//! What the schema table says about one place of an object, as apply sees it
//! (kube-openapi `schemaconv`, structured-merge-diff `schema/elements.go`, `typed/helpers.go`).

use serde_json::{Map, Number, Value};

use super::element::Element;
use crate::field::quote;
use crate::schema::{Field, Kind, ListType, MapType, Schema, Shape, TypeId};

/// The rules for the value in one place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Atom<'a> {
    /// A leaf.
    Scalar(Scalar),
    /// A list of this kind.
    List(&'a ListType, Kind),
    /// A struct of the table; whether it is replaced as a whole.
    Struct(TypeId, bool),
    /// A map with entries of this kind; whether it is replaced as a whole.
    Map(Kind, bool),
    /// Anything: maps are merged, lists replaced.
    Deduced,
    /// Anything, replaced as a whole.
    Opaque,
}

/// What a leaf may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    /// A text.
    String,
    /// A number.
    Numeric,
    /// A boolean.
    Boolean,
    /// Any of them.
    Untyped,
}

static ATOMIC: ListType = ListType::Atomic;

/// The rules of a field's value.
pub(super) fn of_field<'a>(schema: &Schema, field: &'a Field) -> Atom<'a> {
    match (field.shape, field.kind) {
        (Shape::List, kind) => Atom::List(&field.list_type, kind),
        (Shape::Map, kind) => Atom::Map(kind, field.map_type == Some(MapType::Atomic)),
        (Shape::Single, Kind::Struct(ty)) => {
            let atomic = match field.map_type {
                Some(own) => own == MapType::Atomic,
                None => schema[ty].atomic,
            };
            Atom::Struct(ty, atomic)
        }
        (Shape::Single, kind) => of_kind(schema, kind),
    }
}

/// The rules of an element or an entry.
pub(super) fn of_kind(schema: &Schema, kind: Kind) -> Atom<'static> {
    match kind {
        // Bytes are a text with a format, but the one that is known (`convertPrimitive`).
        Kind::Str | Kind::Bytes => Atom::Scalar(Scalar::String),
        Kind::Bool => Atom::Scalar(Scalar::Boolean),
        Kind::I32 | Kind::I64 | Kind::F64 => Atom::Scalar(Scalar::Numeric),
        // Other texts with a format, and quantities, are untyped.
        Kind::Time | Kind::MicroTime | Kind::Quantity => Atom::Scalar(Scalar::Untyped),
        Kind::Raw => Atom::Opaque,
        // Schemas without a type.
        Kind::Any | Kind::IntOrString | Kind::OrArray | Kind::OrBool | Kind::OrStrings => Atom::Deduced,
        Kind::StrList => Atom::List(&ATOMIC, Kind::Str),
        Kind::Struct(ty) => Atom::Struct(ty, schema[ty].atomic),
    }
}

/// The rules of a field or entry, None when the schema does not declare it.
pub(super) fn declared<'a>(schema: &'a Schema, atom: Atom<'a>, name: &str) -> Option<Atom<'a>> {
    match atom {
        Atom::Struct(ty, _) => match schema[ty].field(name) {
            Some(field) => Some(of_field(schema, field)),
            None if is_type_meta(schema, ty, name) => Some(Atom::Scalar(Scalar::String)),
            None => None,
        },
        Atom::Map(kind, _) => Some(of_kind(schema, kind)),
        Atom::Deduced => Some(Atom::Deduced),
        Atom::Opaque => Some(Atom::Opaque),
        Atom::Scalar(_) | Atom::List(..) => None,
    }
}

/// As [`declared`]; what is not declared is anything.
pub(super) fn entry<'a>(schema: &'a Schema, atom: Atom<'a>, name: &str) -> Atom<'a> {
    declared(schema, atom, name).unwrap_or(Atom::Deduced)
}

/// The rules of a list's elements.
pub(super) fn item<'a>(schema: &'a Schema, atom: Atom<'a>) -> Atom<'a> {
    match atom {
        Atom::List(_, kind) => of_kind(schema, kind),
        _ => Atom::Opaque,
    }
}

/// Whether this is a struct with such a field.
pub(super) fn has_field(schema: &Schema, atom: Atom<'_>, name: &str) -> bool {
    matches!(atom, Atom::Struct(ty, _) if schema[ty].field(name).is_some() || is_type_meta(schema, ty, name))
}

fn is_type_meta(schema: &Schema, ty: TypeId, name: &str) -> bool {
    schema[ty].type_meta && matches!(name, "apiVersion" | "kind")
}

/// What anything looks like it is: [`Atom::Deduced`] by the value at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A map; also null, which may be anything.
    Map,
    /// A leaf: a scalar, or a list, which is replaced as a whole.
    Leaf,
}

impl Form {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Object(_) | Value::Null => Self::Map,
            _ => Self::Leaf,
        }
    }
}

/// Names the element of a set or of a list of structs.
///
/// # Errors
/// With upstream's text when the element cannot be told apart.
pub(super) fn element_of(schema: &Schema, list: &ListType, kind: Kind, child: &Value) -> Result<Element, String> {
    match list {
        ListType::Atomic => Err("invalid indexing of non-associative list".to_owned()),
        ListType::Set => match child {
            Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
            Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
            scalar => Ok(Element::Value(scalar.clone())),
        },
        ListType::Map(keys) => {
            let map = match child {
                Value::Object(map) => map,
                Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
                _ => return Err("associative list with keys may not have non-map elements".to_owned()),
            };
            keyed(schema, keys, kind, map)
        }
    }
}

fn keyed(schema: &Schema, keys: &[Box<str>], kind: Kind, map: &Map<String, Value>) -> Result<Element, String> {
    let default = |key: &str| match kind {
        Kind::Struct(ty) => schema[ty].field(key).and_then(default),
        _ => None,
    };
    let found = |key: &str| {
        let value = map.get(key).cloned().or_else(|| default(key))?;
        Some((Box::from(key), value))
    };
    let found: Vec<(Box<str>, Value)> = keys.iter().filter_map(|key| found(key)).collect();
    if found.is_empty() && !keys.is_empty() {
        let keys: Vec<String> = keys.iter().map(|key| quote(key)).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
            keys.join(" ")
        ));
    }
    Ok(Element::key(found))
}

/// The default OpenAPI publishes: the table's, or the zero of what Go always writes.
fn default(field: &Field) -> Option<Value> {
    if let Some(default) = &field.default {
        return (!default.is_null()).then(|| default.clone());
    }
    if !field.required || field.pointer || field.shape != Shape::Single {
        return None;
    }
    match field.kind {
        Kind::Str => Some(Value::String(String::new())),
        Kind::Bool => Some(Value::Bool(false)),
        Kind::I32 | Kind::I64 => Some(Value::Number(Number::from(0))),
        _ => None,
    }
}

// === errors ===

/// What is wrong with an object, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults(Vec<(String, String)>);

impl Faults {
    pub(super) fn one(text: impl Into<String>) -> Self {
        Self(vec![(String::new(), text.into())])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, mut more: Self) {
        self.0.append(&mut more.0);
    }

    /// The same, one step further out.
    pub(super) fn under(mut self, element: &Element) -> Self {
        for (path, _) in &mut self.0 {
            path.insert_str(0, &element.to_string());
        }
        self
    }

    pub(super) fn into_result(self) -> Result<(), String> {
        if self.is_empty() { Ok(()) } else { Err(self.to_string()) }
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = |(path, text): &(String, String)| {
            if path.is_empty() {
                text.clone()
            } else {
                format!("{path}: {text}")
            }
        };
        match self.0.as_slice() {
            [one] => f.write_str(&line(one)),
            all => {
                f.write_str("errors:")?;
                all.iter().try_for_each(|one| write!(f, "\n  {}", line(one)))
            }
        }
    }
}
