//! From an untyped tree to protobuf.

use base64::Engine;
use serde_json::{Map, Value};

use super::{Error, wire};
use crate::codec::{MAX_DEPTH, json};
use crate::quantity;
use crate::schema::{Field, Kind, Schema, Shape, TypeId};
use crate::time;

pub(super) struct Encoder<'a> {
    schema: &'a Schema,
    out: &'a mut Vec<u8>,
    /// Set as soon as something is written that is read as something else.
    differs: &'a mut bool,
}

/// A field that is present, in the order of the wire.
struct Present<'a> {
    field: &'a Field,
    value: &'a Value,
}

type Result<T> = std::result::Result<T, Error>;

impl<'a> Encoder<'a> {
    pub(super) fn new(schema: &'a Schema, out: &'a mut Vec<u8>, differs: &'a mut bool) -> Self {
        Self { schema, out, differs }
    }

    pub(super) fn message(&mut self, ty: TypeId, value: &Value) -> Result<()> {
        self.fields(ty, value, 0)
    }

    fn fields(&mut self, ty: TypeId, value: &Value, depth: usize) -> Result<()> {
        let map = match value {
            Value::Object(map) => map,
            Value::Null => {
                *self.differs = true;
                return Ok(());
            }
            _ => return Err(wrong(&self.schema[ty].name, "expected an object")),
        };
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        let one = &self.schema[ty];
        // The reader fills in an empty list of items.
        *self.differs |= one
            .items
            .is_some_and(|at| !map.contains_key(one.fields()[at as usize].name.as_ref()));
        let present = self.present(ty, map, depth)?;
        self.group(&present, 0, depth)
    }

    fn present<'v>(&mut self, ty: TypeId, map: &'v Map<String, Value>, depth: usize) -> Result<Vec<Present<'v>>>
    where
        'a: 'v,
    {
        let one = &self.schema[ty];
        let mut out: Vec<Present<'v>> = Vec::with_capacity(map.len());
        for (name, value) in map {
            match one.field(name) {
                Some(field) if field.tags.is_empty() || value.is_null() => *self.differs = true,
                Some(field) => out.push(Present { field, value }),
                // The whole object's are in its envelope.
                None if one.type_meta && (name == "apiVersion" || name == "kind") => *self.differs |= depth > 0,
                None => return Err(Error::UnknownField(format!("{}.{name}", one.name))),
            }
        }
        out.sort_unstable_by(|a, b| a.field.tags.cmp(&b.field.tags));
        Ok(out)
    }

    /// Writes fields that share the first `level` tags: those that end here, and groups nested below.
    fn group(&mut self, present: &[Present<'_>], level: usize, depth: usize) -> Result<()> {
        let mut rest = present;
        while let Some(first) = rest.first() {
            let tag = first.field.tags[level];
            if first.field.tags.len() == level + 1 {
                self.field(tag, first.field, first.value, depth)?;
                rest = &rest[1..];
                continue;
            }
            let end = rest
                .iter()
                .position(|one| one.field.tags[level] != tag)
                .unwrap_or(rest.len());
            let (inner, tail) = rest.split_at(end);
            self.nested(tag, |this| this.group(inner, level + 1, depth))?;
            rest = tail;
        }
        Ok(())
    }

    fn field(&mut self, tag: u32, field: &Field, value: &Value, depth: usize) -> Result<()> {
        match (field.shape, value) {
            (Shape::Single, value) => {
                *self.differs |= field.omits_zero() && json::is_zero(field.kind, value);
                self.value(tag, field, value, depth)
            }
            (Shape::List, Value::Array(list)) => {
                *self.differs |= list.is_empty();
                list.iter().try_for_each(|one| self.value(tag, field, one, depth))
            }
            (Shape::Map, Value::Object(map)) => {
                *self.differs |= map.is_empty();
                // Go sorts keys. The map is sorted already unless serde_json keeps the order of insertion.
                let mut entries: Vec<(&String, &Value)> = map.iter().collect();
                entries.sort_unstable_by_key(|(key, _)| *key);
                for (key, value) in entries {
                    self.nested(tag, |this| {
                        wire::text(this.out, 1, key);
                        this.value(2, field, value, depth)
                    })?;
                }
                Ok(())
            }
            _ => Err(wrong(&field.name, "expected a list or a map")),
        }
    }

    fn value(&mut self, tag: u32, field: &Field, value: &Value, depth: usize) -> Result<()> {
        match (field.kind, value) {
            (Kind::Str, Value::String(text)) => wire::text(self.out, tag, text),
            (Kind::Bool, Value::Bool(flag)) => wire::number(self.out, tag, i64::from(*flag)),
            (Kind::I32 | Kind::I64, Value::Number(number)) => {
                let number = number
                    .as_i64()
                    .ok_or_else(|| wrong(&field.name, "expected an integer"))?;
                *self.differs |= field.kind == Kind::I32 && i32::try_from(number).is_err();
                wire::number(self.out, tag, number);
            }
            (Kind::F64, Value::Number(number)) => {
                *self.differs |= !number.is_f64();
                let number = number.as_f64().ok_or_else(|| wrong(&field.name, "expected a number"))?;
                wire::key(self.out, tag, 1);
                self.out.extend_from_slice(&number.to_le_bytes());
            }
            (Kind::Bytes, Value::String(text)) => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(text);
                let bytes = bytes.map_err(|error| wrong(&field.name, error))?;
                wire::bytes(self.out, tag, &bytes);
            }
            (Kind::Time | Kind::MicroTime, Value::String(text)) => {
                let at = time::parse(text).map_err(|error| wrong(&field.name, error))?;
                let read = match field.kind {
                    Kind::Time => time::format_seconds(at),
                    _ => time::format_micro(at),
                };
                *self.differs |= read != *text;
                let nanos = at.as_nanosecond();
                let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or_default();
                let rest = i64::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default();
                let rest = if field.kind == Kind::Time {
                    0
                } else {
                    rest / 1000 * 1000
                };
                wire::nested(self.out, tag, |out| {
                    wire::number(out, 1, seconds);
                    wire::number(out, 2, rest);
                });
            }
            (Kind::Time | Kind::MicroTime, Value::Null) => {
                *self.differs = true;
                wire::bytes(self.out, tag, &[]);
            }
            (Kind::Quantity, Value::String(text)) => {
                *self.differs |= !quantity::canonical(text).is_ok_and(|read| read == *text);
                wire::nested(self.out, tag, |out| wire::text(out, 1, text));
            }
            (Kind::IntOrString, Value::Number(number)) => {
                let number = number
                    .as_i64()
                    .ok_or_else(|| wrong(&field.name, "expected an integer"))?;
                *self.differs |= i32::try_from(number).is_err();
                wire::nested(self.out, tag, |out| {
                    wire::number(out, 1, 0);
                    wire::number(out, 2, number);
                    wire::text(out, 3, "");
                });
            }
            (Kind::IntOrString, Value::String(text)) => wire::nested(self.out, tag, |out| {
                wire::number(out, 1, 1);
                wire::number(out, 2, 0);
                wire::text(out, 3, text);
            }),
            (Kind::Raw | Kind::Any, value) => {
                *self.differs |= has_fraction(value);
                wire::nested(self.out, tag, |out| wire::bytes(out, 1, &json::encode(value)));
            }
            (Kind::StrList, Value::Array(list)) => {
                return self.nested(tag, |this| this.texts(1, field, list));
            }
            (Kind::OrBool, Value::Bool(flag)) => {
                *self.differs = true;
                wire::nested(self.out, tag, |out| wire::number(out, 1, i64::from(*flag)));
            }
            (Kind::OrBool, Value::Object(_)) => {
                let ty = self.json_schema(field)?;
                return self.nested(tag, |this| {
                    wire::number(this.out, 1, 1);
                    this.nested(2, |this| this.fields(ty, value, depth + 1))
                });
            }
            (Kind::OrArray, Value::Array(list)) => {
                let ty = self.json_schema(field)?;
                return self.nested(tag, |this| {
                    list.iter()
                        .try_for_each(|one| this.nested(2, |this| this.fields(ty, one, depth + 1)))
                });
            }
            (Kind::OrArray | Kind::OrStrings, Value::Object(_)) => {
                let ty = self.json_schema(field)?;
                return self.nested(tag, |this| this.nested(1, |this| this.fields(ty, value, depth + 1)));
            }
            (Kind::OrStrings, Value::Array(list)) => {
                return self.nested(tag, |this| this.texts(2, field, list));
            }
            (Kind::Struct(ty), value) => return self.nested(tag, |this| this.fields(ty, value, depth + 1)),
            _ => return Err(wrong(&field.name, "the value does not fit its kind")),
        }
        Ok(())
    }

    fn texts(&mut self, tag: u32, field: &Field, list: &[Value]) -> Result<()> {
        for one in list {
            let text = one
                .as_str()
                .ok_or_else(|| wrong(&field.name, "expected a list of texts"))?;
            wire::text(self.out, tag, text);
        }
        Ok(())
    }

    fn json_schema(&mut self, field: &Field) -> Result<TypeId> {
        // Its alternatives are few and far between: nobody has shown that each is read as it was.
        *self.differs = true;
        let found = self.schema.special().json_schema_props;
        found.ok_or_else(|| wrong(&field.name, "the table lacks apiextensions.v1.JSONSchemaProps"))
    }

    fn nested(&mut self, tag: u32, write: impl FnOnce(&mut Encoder<'_>) -> Result<()>) -> Result<()> {
        let (schema, differs) = (self.schema, &mut *self.differs);
        let mut outcome = Ok(());
        wire::nested(self.out, tag, |out| {
            outcome = write(&mut Encoder { schema, out, differs })
        });
        outcome
    }
}

/// Whether there is a number in it whose text could be read as another one.
fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(list) => list.iter().any(has_fraction),
        Value::Object(map) => map.values().any(has_fraction),
        _ => false,
    }
}

fn wrong(field: &str, what: impl ToString) -> Error {
    Error::Value {
        field: field.to_owned(),
        what: what.to_string(),
    }
}
