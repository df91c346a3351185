//! Parser of the table's text form.

use std::collections::HashMap;

use serde_json::Value;

use super::{Field, Kind, ListType, MapType, Patch, ProtoMessage, ProtoSlot, Schema, Shape, Special, Type, TypeId};

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("schema table line {line}: {what}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Higher tags than this do not occur; a dense index by tag stays small.
const MAX_TAG: u32 = 4096;

pub(super) fn parse(text: &str) -> Result<Schema, ParseError> {
    let mut names: Vec<&str> = Vec::with_capacity(800);
    let mut by_name: HashMap<Box<str>, TypeId> = HashMap::with_capacity(1000);
    let mut implied: Vec<String> = Vec::new();

    // First pass: the names, so that references can be resolved to indices.
    let (mut open, mut type_meta) = ("", false);
    for (number, line) in lines(text) {
        let mut words = line.split_ascii_whitespace();
        if line.starts_with([' ', '\t']) {
            if type_meta && words.next() == Some("metadata") && words.nth(1) == Some("&meta.v1.ObjectMeta") {
                implied.push(format!("{open}List"));
            }
            continue;
        }
        open = words.next().unwrap_or_default();
        type_meta = words.any(|word| word == "typemeta");
        if by_name.insert(open.into(), index(names.len())).is_some() {
            return Err(ParseError {
                line: number,
                what: format!("type {open} occurs twice"),
            });
        }
        names.push(open);
    }
    implied.retain(|name| !by_name.contains_key(name.as_str()));
    for (offset, name) in implied.iter().enumerate() {
        by_name.insert(name.as_str().into(), index(names.len() + offset));
    }

    // Second pass: the facts.
    let mut types: Vec<Type> = Vec::with_capacity(names.len() + implied.len());
    for (number, line) in lines(text) {
        let fail = |what: String| ParseError { line: number, what };
        if !line.starts_with([' ', '\t']) {
            types.push(head(line).map_err(fail)?);
            continue;
        }
        let owner = types
            .last_mut()
            .ok_or_else(|| fail("a field before any type".to_owned()))?;
        owner.fields.push(field(line, &by_name).map_err(fail)?);
    }
    for name in &implied {
        types.push(list_of(name, &by_name).map_err(|what| ParseError { line: 0, what })?);
    }
    for one in &mut types {
        finish(one).map_err(|what| ParseError {
            line: 0,
            what: format!("{}: {what}", one.name),
        })?;
    }
    let special = Special {
        json_schema_props: by_name.get("apiextensions.v1.JSONSchemaProps").copied(),
    };
    Ok(Schema {
        types,
        by_name,
        special,
    })
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    numbered.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}

fn index(at: usize) -> TypeId {
    TypeId(u32::try_from(at).expect("a table has far fewer than u32::MAX types"))
}

fn head(line: &str) -> Result<Type, String> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next().unwrap_or_default().into();
    let mut out = Type {
        name,
        atomic: false,
        type_meta: false,
        fields: Vec::new(),
        proto: ProtoMessage::default(),
        items: None,
        always: Box::default(),
    };
    for word in words {
        match word {
            "atomic" => out.atomic = true,
            "typemeta" => out.type_meta = true,
            _ => return Err(format!("unknown word {word:?} after a type")),
        }
    }
    Ok(out)
}

fn field(line: &str, names: &HashMap<Box<str>, TypeId>) -> Result<Field, String> {
    let mut words = line.split_ascii_whitespace();
    let (Some(name), Some(tags), Some(kind)) = (words.next(), words.next(), words.next()) else {
        return Err("a field needs a name, a tag path and a kind".to_owned());
    };
    let (shape, kind) = match kind.strip_prefix("[]") {
        Some(kind) => (Shape::List, kind),
        None => kind
            .strip_prefix("{}")
            .map_or((Shape::Single, kind), |kind| (Shape::Map, kind)),
    };
    let mut out = Field {
        name: name.into(),
        tags: tag_path(tags)?,
        shape,
        kind: self::kind(kind, names)?,
        required: false,
        pointer: false,
        always: false,
        list_type: ListType::Atomic,
        map_type: None,
        patch: Patch::default(),
        default: None,
        allowed: Box::default(),
    };
    for word in words {
        flag(&mut out, word)?;
    }
    Ok(out)
}

fn tag_path(text: &str) -> Result<Box<[u32]>, String> {
    if text == "-" {
        return Ok(Box::default());
    }
    let tag = |part: &str| part.parse::<u32>().ok().filter(|tag| (1..=MAX_TAG).contains(tag));
    text.split('.')
        .map(|part| tag(part).ok_or_else(|| format!("bad tag path {text:?}")))
        .collect()
}

fn kind(text: &str, names: &HashMap<Box<str>, TypeId>) -> Result<Kind, String> {
    Ok(match text {
        "str" => Kind::Str,
        "bool" => Kind::Bool,
        "i32" => Kind::I32,
        "i64" => Kind::I64,
        "f64" => Kind::F64,
        "bytes" => Kind::Bytes,
        "time" => Kind::Time,
        "microtime" => Kind::MicroTime,
        "quantity" => Kind::Quantity,
        "intstr" => Kind::IntOrString,
        "raw" => Kind::Raw,
        "any" => Kind::Any,
        "strlist" => Kind::StrList,
        "orArray" => Kind::OrArray,
        "orBool" => Kind::OrBool,
        "orStrings" => Kind::OrStrings,
        _ => {
            let name = text.strip_prefix('&').ok_or_else(|| format!("unknown kind {text:?}"))?;
            Kind::Struct(*names.get(name).ok_or_else(|| format!("unknown type {name:?}"))?)
        }
    })
}

fn flag(field: &mut Field, word: &str) -> Result<(), String> {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    match key {
        "req" => field.required = true,
        "ptr" => field.pointer = true,
        "always" => field.always = true,
        "set" => field.list_type = ListType::Set,
        "map" => field.list_type = ListType::Map(value.split(',').map(Box::from).collect()),
        "mapType" => {
            field.map_type = Some(match value {
                "atomic" => MapType::Atomic,
                "granular" => MapType::Granular,
                _ => return Err(format!("unknown map type {value:?}")),
            });
        }
        "patch" => field.patch = patch(value)?,
        "default" => {
            let parsed = serde_json::from_str::<Value>(value);
            field.default = Some(parsed.map_err(|error| format!("default {value:?}: {error}"))?);
        }
        "enum" => field.allowed = value.split('|').map(|one| one.replace("%20", " ").into()).collect(),
        _ => return Err(format!("unknown word {word:?} after a field")),
    }
    Ok(())
}

fn patch(text: &str) -> Result<Patch, String> {
    let (strategies, key) = text
        .split_once(':')
        .map_or((text, None), |(head, key)| (head, Some(key)));
    let mut out = Patch {
        key: key.map(Box::from),
        ..Patch::default()
    };
    for strategy in strategies.split(',') {
        match strategy {
            "merge" => out.merge = true,
            "retainKeys" => out.retain_keys = true,
            "replace" => out.replace = true,
            _ => return Err(format!("unknown patch strategy {strategy:?}")),
        }
    }
    Ok(out)
}

/// The list type implied by a kind.
fn list_of(name: &str, names: &HashMap<Box<str>, TypeId>) -> Result<Type, String> {
    let item = name.strip_suffix("List").unwrap_or(name);
    let mut out = head(&format!("{name} typemeta"))?;
    out.fields.push(field("\tmetadata 1 &meta.v1.ListMeta", names)?);
    out.fields.push(field(&format!("\titems 2 []&{item} req"), names)?);
    Ok(out)
}

/// Sorts the fields and lays out the protobuf message.
fn finish(one: &mut Type) -> Result<(), String> {
    one.fields.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = one.fields.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(format!("field {} occurs twice", pair[0].name));
    }
    let written = one.fields.iter().filter(|field| field.required || field.always);
    one.always = written.map(|field| (field.name.clone(), unset(field))).collect();
    for (index, field) in one.fields.iter().enumerate() {
        if one.type_meta && field.required && field.shape == Shape::List && field.name.as_ref() == "items" {
            one.items = u32::try_from(index).ok();
        }
        let Some((last, outer)) = field.tags.split_last() else {
            continue;
        };
        let mut message = &mut one.proto;
        for tag in outer {
            let slot = slot(message, *tag);
            if matches!(slot, ProtoSlot::Unused) {
                *slot = ProtoSlot::Inline(Box::default());
            }
            let ProtoSlot::Inline(inner) = slot else {
                return Err(format!("tag {tag} is both a field and an inlined message"));
            };
            message = inner;
        }
        let slot = slot(message, *last);
        if !matches!(slot, ProtoSlot::Unused) {
            return Err(format!("tag {last} is used twice"));
        }
        *slot = ProtoSlot::Field(u32::try_from(index).expect("a type has far fewer than u32::MAX fields"));
    }
    Ok(())
}

/// What Go writes for a field nobody set.
fn unset(field: &Field) -> Value {
    match (field.shape, field.kind) {
        _ if field.pointer => Value::Null,
        (Shape::Single, Kind::Struct(_)) => Value::Object(serde_json::Map::new()),
        (Shape::Single, Kind::Str) => Value::from(""),
        (Shape::Single, Kind::Bool) => Value::from(false),
        (Shape::Single, Kind::I32 | Kind::I64 | Kind::F64 | Kind::IntOrString) => Value::from(0),
        (Shape::Single, Kind::Quantity) => Value::from("0"),
        _ => Value::Null,
    }
}

fn slot(message: &mut ProtoMessage, tag: u32) -> &mut ProtoSlot {
    let at = tag as usize;
    if message.slots.len() <= at {
        message.slots.resize_with(at + 1, ProtoSlot::default);
    }
    &mut message.slots[at]
}
