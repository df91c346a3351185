//! From protobuf to an untyped tree.

use base64::Engine;
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::wire::Reader;
use super::{Error, named, unwrap};
use crate::codec::{MAX_DEPTH, json};
use crate::quantity;
use crate::schema::{Field, Kind, ProtoMessage, ProtoSlot, Schema, Shape, Type, TypeId};
use crate::time;

pub(super) struct Decoder<'a> {
    schema: &'a Schema,
    depth: usize,
}

/// The list or map being filled; its elements usually follow each other.
#[derive(Default)]
enum Open {
    #[default]
    None,
    List(u32, Vec<Value>),
    Map(u32, Map<String, Value>),
}

type Result<T> = std::result::Result<T, Error>;

impl<'a> Decoder<'a> {
    pub(super) fn new(schema: &'a Schema) -> Self {
        Self { schema, depth: 0 }
    }

    pub(super) fn object(&mut self, bytes: &[u8]) -> Result<Value> {
        let unknown = unwrap(bytes)?;
        let ty = super::find(self.schema, unknown.api_version, unknown.kind)?;
        Ok(named(self.message(ty, unknown.raw)?, &unknown))
    }

    pub(super) fn message(&mut self, ty: TypeId, bytes: &[u8]) -> Result<Value> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        let one = &self.schema[ty];
        let mut out = Map::new();
        self.fill(one, &one.proto, bytes, &mut out)?;
        if let Some(items) = one.items {
            let name = one.fields()[items as usize].name.as_ref();
            out.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        }
        self.depth -= 1;
        Ok(Value::Object(out))
    }

    fn fill(&mut self, ty: &Type, layout: &ProtoMessage, bytes: &[u8], out: &mut Map<String, Value>) -> Result<()> {
        let mut reader = Reader::new(bytes);
        let mut open = Open::default();
        while let Some((tag, wire)) = reader.key()? {
            match layout.slots.get(tag as usize) {
                Some(ProtoSlot::Field(index)) => {
                    let field = &ty.fields()[*index as usize];
                    match field.shape {
                        Shape::Single => self.single(field, wire, &mut reader, out)?,
                        Shape::List => self.element(*index, ty, wire, &mut reader, out, &mut open)?,
                        Shape::Map => self.entry(*index, ty, wire, &mut reader, out, &mut open)?,
                    }
                }
                Some(ProtoSlot::Inline(inner)) => {
                    if wire != 2 {
                        return Err(Error::WireType {
                            field: ty.name.to_string(),
                            wire,
                        });
                    }
                    self.fill(ty, inner, reader.delimited()?, out)?;
                }
                Some(ProtoSlot::Unused) | None => reader.skip(wire)?,
            }
        }
        close(&mut open, ty, out);
        Ok(())
    }

    fn single(&mut self, field: &Field, wire: u8, reader: &mut Reader<'_>, out: &mut Map<String, Value>) -> Result<()> {
        match self.value(field, wire, reader)? {
            Some(value) if !(field.omits_zero() && json::is_zero(field.kind, &value)) => {
                out.insert(field.name.as_ref().to_owned(), value);
            }
            _ => drop(out.remove(field.name.as_ref())),
        }
        Ok(())
    }

    fn element(
        &mut self,
        index: u32,
        ty: &Type,
        wire: u8,
        reader: &mut Reader<'_>,
        out: &mut Map<String, Value>,
        open: &mut Open,
    ) -> Result<()> {
        let field = &ty.fields()[index as usize];
        if !matches!(open, Open::List(at, _) if *at == index) {
            close(open, ty, out);
            let begun = match out.remove(field.name.as_ref()) {
                Some(Value::Array(list)) => list,
                _ => Vec::new(),
            };
            *open = Open::List(index, begun);
        }
        let scalar = matches!(field.kind, Kind::Bool | Kind::I32 | Kind::I64 | Kind::F64);
        if scalar && wire == 2 {
            // Packed; Go reads both forms.
            let mut packed = Reader::new(reader.delimited()?);
            let inner = if field.kind == Kind::F64 { 1 } else { 0 };
            while !packed.is_empty() {
                let value = self.value(field, inner, &mut packed)?;
                push(open, value.unwrap_or(Value::Null));
            }
            return Ok(());
        }
        let value = self.value(field, wire, reader)?;
        push(open, value.unwrap_or(Value::Null));
        Ok(())
    }

    fn entry(
        &mut self,
        index: u32,
        ty: &Type,
        wire: u8,
        reader: &mut Reader<'_>,
        out: &mut Map<String, Value>,
        open: &mut Open,
    ) -> Result<()> {
        let field = &ty.fields()[index as usize];
        if wire != 2 {
            return Err(Error::WireType {
                field: field.name.to_string(),
                wire,
            });
        }
        let mut inner = Reader::new(reader.delimited()?);
        let (mut key, mut value) = (String::new(), None);
        while let Some((tag, wire)) = inner.key()? {
            match (tag, wire) {
                (1, 2) => key = lossy(inner.delimited()?),
                (2, _) => value = self.value(field, wire, &mut inner)?,
                _ => inner.skip(wire)?,
            }
        }
        let value = value.unwrap_or_else(|| json::zero(field.kind));
        if !matches!(open, Open::Map(at, _) if *at == index) {
            close(open, ty, out);
            let begun = match out.remove(field.name.as_ref()) {
                Some(Value::Object(map)) => map,
                _ => Map::new(),
            };
            *open = Open::Map(index, begun);
        }
        if let Open::Map(_, map) = open {
            map.insert(key, value);
        }
        Ok(())
    }

    /// One value; None for times that are not set.
    fn value(&mut self, field: &Field, wire: u8, reader: &mut Reader<'_>) -> Result<Option<Value>> {
        let expected = match field.kind {
            Kind::Bool | Kind::I32 | Kind::I64 => 0,
            Kind::F64 => 1,
            _ => 2,
        };
        if wire != expected {
            return Err(Error::WireType {
                field: field.name.to_string(),
                wire,
            });
        }
        let wrong = |what: String| Error::Value {
            field: field.name.to_string(),
            what,
        };
        Ok(Some(match field.kind {
            Kind::Bool => Value::Bool(reader.varint()? != 0),
            // Go cuts to the lower 32 bits.
            Kind::I32 => Value::from(reader.varint()? as i32),
            Kind::I64 => Value::from(reader.varint()? as i64),
            Kind::F64 => {
                let number = f64::from_bits(reader.fixed64()?);
                Number::from_f64(number)
                    .map(Value::Number)
                    .ok_or_else(|| wrong("not a finite number".to_owned()))?
            }
            Kind::Str => Value::String(lossy(reader.delimited()?)),
            Kind::Bytes => Value::String(base64::engine::general_purpose::STANDARD.encode(reader.delimited()?)),
            Kind::Time | Kind::MicroTime => return self.time(field, reader.delimited()?),
            Kind::Quantity => {
                let text = first_text(reader.delimited()?, 1)?;
                let text = if text.is_empty() { "0" } else { text.as_str() };
                match quantity::canonical(text) {
                    Ok(canonical) => Value::String(canonical.into_owned()),
                    Err(error) => return Err(wrong(error.to_string())),
                }
            }
            Kind::IntOrString => int_or_string(reader.delimited()?)?,
            Kind::Raw | Kind::Any => {
                let raw = raw_bytes(reader.delimited()?)?;
                return self.raw(raw).map(Some);
            }
            Kind::StrList => Value::Array(texts(reader.delimited()?, 1)?),
            Kind::OrArray | Kind::OrBool | Kind::OrStrings => self.alternative(field.kind, reader.delimited()?)?,
            Kind::Struct(ty) => self.message(ty, reader.delimited()?)?,
        }))
    }

    fn time(&self, field: &Field, bytes: &[u8]) -> Result<Option<Value>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let (mut seconds, mut nanos) = (0_i64, 0_i32);
        let mut reader = Reader::new(bytes);
        while let Some((tag, wire)) = reader.key()? {
            match (tag, wire) {
                (1, 0) => seconds = reader.varint()? as i64,
                (2, 0) => nanos = reader.varint()? as i32,
                _ => reader.skip(wire)?,
            }
        }
        let wrong = |_| Error::Value {
            field: field.name.to_string(),
            what: "time out of range".to_owned(),
        };
        let at = Timestamp::new(seconds, nanos).map_err(wrong)?;
        Ok(Some(Value::String(match field.kind {
            Kind::Time => time::format_seconds(at),
            _ => time::format_micro(at),
        })))
    }

    /// JSON bytes, or a whole object in protobuf.
    fn raw(&mut self, raw: &[u8]) -> Result<Value> {
        if raw.is_empty() {
            return Ok(Value::Null);
        }
        if super::is_proto(raw) {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(Error::TooDeep);
            }
            let out = self.object(raw);
            self.depth -= 1;
            return out;
        }
        json::parse_quietly(raw).map_err(|error| Error::Value {
            field: "raw".to_owned(),
            what: error.to_string(),
        })
    }

    /// `JSONSchemaPropsOr{Array,Bool,StringArray}`
    fn alternative(&mut self, kind: Kind, bytes: &[u8]) -> Result<Value> {
        let missing = || Error::UnknownKind("apiextensions.v1.JSONSchemaProps".to_owned());
        let ty = self.schema.special().json_schema_props.ok_or_else(missing)?;
        let (mut schema, mut list, mut allows) = (None, Vec::new(), false);
        let mut reader = Reader::new(bytes);
        while let Some((tag, wire)) = reader.key()? {
            match (kind, tag, wire) {
                (Kind::OrBool, 1, 0) => allows = reader.varint()? != 0,
                (Kind::OrBool, 2, 2) | (_, 1, 2) => schema = Some(self.message(ty, reader.delimited()?)?),
                (Kind::OrArray, 2, 2) => list.push(self.message(ty, reader.delimited()?)?),
                (Kind::OrStrings, 2, 2) => list.push(Value::String(lossy(reader.delimited()?))),
                _ => reader.skip(wire)?,
            }
        }
        Ok(match (kind, schema) {
            (Kind::OrBool, None) => Value::Bool(allows),
            (_, Some(schema)) if list.is_empty() => schema,
            _ => Value::Array(list),
        })
    }
}

fn push(open: &mut Open, value: Value) {
    if let Open::List(_, list) = open {
        list.push(value);
    }
}

fn close(open: &mut Open, ty: &Type, out: &mut Map<String, Value>) {
    let (index, value) = match std::mem::take(open) {
        Open::None => return,
        Open::List(index, list) => (index, Value::Array(list)),
        Open::Map(index, map) => (index, Value::Object(map)),
    };
    out.insert(ty.fields()[index as usize].name.as_ref().to_owned(), value);
}

fn lossy(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes).into_owned(), str::to_owned)
}

fn first_text(bytes: &[u8], wanted: u32) -> Result<String> {
    let mut out = String::new();
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.key()? {
        if tag == wanted && wire == 2 {
            out = lossy(reader.delimited()?);
        } else {
            reader.skip(wire)?;
        }
    }
    Ok(out)
}

fn texts(bytes: &[u8], wanted: u32) -> Result<Vec<Value>> {
    let mut out = Vec::new();
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.key()? {
        if tag == wanted && wire == 2 {
            out.push(Value::String(lossy(reader.delimited()?)));
        } else {
            reader.skip(wire)?;
        }
    }
    Ok(out)
}

fn int_or_string(bytes: &[u8]) -> Result<Value> {
    let (mut kind, mut number, mut text) = (0, 0_i32, String::new());
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.key()? {
        match (tag, wire) {
            (1, 0) => kind = reader.varint()?,
            (2, 0) => number = reader.varint()? as i32,
            (3, 2) => text = lossy(reader.delimited()?),
            _ => reader.skip(wire)?,
        }
    }
    Ok(if kind == 1 { Value::String(text) } else { number.into() })
}

/// The payload of a `RawExtension` and its kin.
pub(super) fn raw_bytes(bytes: &[u8]) -> Result<&[u8]> {
    let mut out: &[u8] = &[];
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.key()? {
        if tag == 1 && wire == 2 {
            out = reader.delimited()?;
        } else {
            reader.skip(wire)?;
        }
    }
    Ok(out)
}
