//! How Go shows an object's part in an error. Upstream validates types of its own that have no JSON names, so
//! `field.Error.ErrorBody` and `diff.Diff` print them with Go's field names, in Go's order, with everything that is
//! not set. `internal-types.txt` lists the types that errors show, as `pkg/apis/*/types.go` declares them:
//!
//! ```text
//! # type
//! #   name kind [omit] [^] [<field] [=name]
//! core.Taint
//!     Key str
//!     TimeAdded time
//! ```
//!
//! Kinds: `str bool int float bytes quantity intstr time any raw orArray orBool orStrings`, another type; prefix `*`
//! pointer, `[]` list, `{}` map. `omit`: left out when empty (types of `meta`, which have JSON names). `^`: the value
//! stands one level higher in the API (`hostNetwork`); `<`: in this field of the API, which Go inlines. A name is the
//! API's but for upper and lower case, or `=` says the API's.

mod diff;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::LazyLock;

use apimachinery::field::{BadValue, escape_html};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::check::to_value;

/// A part as an error shows it; `kind` is what upstream's declaration says, such as `core.Taint` or
/// `[]core.Toleration`.
pub(crate) fn shown<T: Serialize>(kind: &'static str, part: &T) -> BadValue {
    BadValue::Raw(text(kind, part))
}

/// What changed in a part: lines of its indented JSON (`diff.Diff`).
pub(crate) fn difference<T: Serialize>(kind: &'static str, old: &T, new: &T) -> String {
    diff::unified(&indented(&text(kind, old)), &indented(&text(kind, new)))
}

/// A part as `json.Marshal` writes upstream's type.
pub(crate) fn text<T: Serialize>(kind: &'static str, part: &T) -> String {
    let value = to_value(part);
    let mut out = String::new();
    write(
        &mut out,
        &Kind::parse(kind),
        Some(&value).filter(|v| !is_empty_list(v)),
        None,
    );
    escape_html(out)
}

static TYPES: LazyLock<HashMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    let mut types: HashMap<&str, Vec<Field>> = HashMap::new();
    let mut current = "";
    for line in include_str!("../internal-types.txt").lines() {
        if let Some(field) = line.strip_prefix('\t') {
            let mut words = field.split(' ');
            let (name, kind) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let flags: Vec<&str> = words.collect();
            types.entry(current).or_default().push(Field {
                name,
                kind: Kind::parse(kind),
                api: flags.iter().find_map(|f| f.strip_prefix('=')).unwrap_or(name),
                omit: flags.contains(&"omit"),
                outside: flags.contains(&"^"),
                within: flags.iter().find_map(|f| f.strip_prefix('<')),
            });
        } else if !line.starts_with('#') {
            current = line;
            types.insert(line, vec![]);
        }
    }
    types
});

struct Field {
    name: &'static str,
    kind: Kind,
    /// The API's name, in any case.
    api: &'static str,
    omit: bool,
    outside: bool,
    within: Option<&'static str>,
}

enum Kind {
    Pointer(Box<Kind>),
    List(Box<Kind>),
    Map(Box<Kind>),
    Struct(&'static str),
    /// A value, and how an absent one is written.
    Plain(&'static str),
    Quantity,
    /// What is a schema or something else (`JSONSchemaPropsOrBool` and its like): a struct of both.
    Either(&'static str),
}

impl Kind {
    fn parse(text: &'static str) -> Self {
        let prefixed = |prefix: &str| text.strip_prefix(prefix).map(|rest| Box::new(Kind::parse(rest)));
        if let Some(kind) = prefixed("*") {
            return Kind::Pointer(kind);
        }
        if let Some(kind) = prefixed("[]") {
            return Kind::List(kind);
        }
        if let Some(kind) = prefixed("{}") {
            return Kind::Map(kind);
        }
        match text {
            "quantity" => Kind::Quantity,
            "orArray" | "orBool" | "orStrings" => Kind::Either(text),
            "str" => Kind::Plain("\"\""),
            "bool" => Kind::Plain("false"),
            "int" | "float" | "intstr" => Kind::Plain("0"),
            "bytes" | "time" | "any" | "raw" => Kind::Plain("null"),
            name => Kind::Struct(name),
        }
    }
}

fn write(out: &mut String, kind: &Kind, value: Option<&Value>, outside: Option<&Map<String, Value>>) {
    let value = value.filter(|v| !v.is_null());
    match (kind, value) {
        (Kind::Pointer(inner), Some(_)) => write(out, inner, value, outside),
        (Kind::Pointer(_) | Kind::List(_) | Kind::Map(_), None) => out.push_str("null"),
        (Kind::List(inner), Some(Value::Array(items))) => {
            sequence(out, '[', ']', items, |out, item| write(out, inner, Some(item), None));
        }
        (Kind::Map(inner), Some(Value::Object(map))) => {
            sequence(out, '{', '}', map, |out, (key, value)| {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(out, inner, Some(value), None);
            });
        }
        (Kind::Struct(name), value) => {
            let empty = Map::new();
            let map = value.and_then(Value::as_object).unwrap_or(&empty);
            let fields = TYPES.get(name).map(Vec::as_slice).unwrap_or_default();
            let fields = fields.iter().filter_map(|field| {
                let around = if field.outside { outside.unwrap_or(&empty) } else { map };
                let within = match field.within {
                    Some(part) => around.get(part).and_then(Value::as_object).unwrap_or(&empty),
                    None => around,
                };
                let value = named(within, field.api);
                let pointer = matches!(field.kind, Kind::Pointer(_));
                (!field.omit || value.is_some_and(|v| pointer || !is_empty(v))).then_some((field, value))
            });
            sequence(out, '{', '}', fields, |out, (field, value)| {
                out.push_str(&Value::from(field.name).to_string());
                out.push(':');
                let absent = value.is_some_and(|v| REQUIRED.contains(&field.name) && is_empty_list(v));
                write(out, &field.kind, value.filter(|_| !absent), Some(map));
            });
        }
        (Kind::Either(which), value) => {
            let schema = value.filter(|v| v.is_object());
            let (name, kind, zero) = match *which {
                "orArray" => ("JSONSchemas", "[]apiextensions.JSONSchemaProps", None),
                "orStrings" => ("Property", "[]str", None),
                _ => ("Allows", "bool", schema.map(|_| &Value::Bool(true))),
            };
            let other = (name, Kind::parse(kind), value.filter(|_| schema.is_none()).or(zero));
            let own = ("Schema", Kind::parse("*apiextensions.JSONSchemaProps"), schema);
            let both = if name == "Allows" { [other, own] } else { [own, other] };
            sequence(out, '{', '}', both, |out, (name, kind, value)| {
                out.push_str(&format!("\"{name}\":"));
                write(out, &kind, value, None);
            });
        }
        (Kind::Plain(zero), None) => out.push_str(zero),
        (Kind::Quantity, None) => out.push_str("\"0\""),
        (Kind::Quantity, Some(Value::String(amount))) => {
            let canonical = apimachinery::quantity::canonical(amount);
            out.push_str(&Value::from(canonical.as_deref().unwrap_or(amount)).to_string());
        }
        (_, Some(other)) => out.push_str(&other.to_string()),
    }
}

/// The value of this name, whatever its case.
fn named<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found = map.iter().find(|(key, _)| is_name(key, name));
    found.map(|(_, value)| value).filter(|value| !value.is_null())
}

/// Whether the API's name is this name of Go's: `x-kubernetes-list-type` is `XListType`.
fn is_name(api: &str, go: &str) -> bool {
    let bare = || api.strip_prefix("x-kubernetes-").map_or((api, ""), |rest| (rest, "x"));
    let (rest, prefix) = bare();
    let mut letters = prefix.chars().chain(rest.chars().filter(|c| !matches!(c, '-' | '$')));
    go.chars()
        .all(|c| letters.next().is_some_and(|l| l.eq_ignore_ascii_case(&c)))
        && letters.next().is_none()
}

/// Lists that the API requires: its types do not tell an absent one from an empty one, and the first is shown.
const REQUIRED: [&str; 8] = [
    "CephMonitors",
    "Containers",
    "Counters",
    "NodeSelectorTerms",
    "RequestMappings",
    "Rules",
    "Subjects",
    "Verbs",
];

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn sequence<T>(
    out: &mut String,
    open: char,
    close: char,
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut String, T),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(out, item);
    }
    out.push(close);
}

/// One field or element a line, one space a level (`json.MarshalIndent(data, "", " ")`).
fn indented(compact: &str) -> String {
    let mut out = String::with_capacity(compact.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth));
    };
    let mut characters = compact.chars().peekable();
    while let Some(c) = characters.next() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                if let Some(close) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => {
                quoted = c == '"';
                out.push(c);
            }
        }
    }
    out
}
