//! One pass from JSON text to a normalised tree, guided by the table.

use std::borrow::Cow;

use base64::Engine;
use serde_json::{Map, Number, Value};

use super::lexer::{Lexer, Start};
use super::{DecodeError, Decoded};
use crate::codec::MAX_DEPTH;
use crate::field::quote;
use crate::quantity;
use crate::schema::{Field, Kind, Schema, Shape, TypeId};
use crate::time;

type Result<T> = std::result::Result<T, DecodeError>;

/// Findings beyond this many are dropped (upstream: `saveStrictError`).
const MAX_STRICT: usize = 100;

pub(super) struct Decoder<'a> {
    schema: &'a Schema,
    lexer: Lexer<'a>,
    /// Where the decoder is, for error texts.
    path: Vec<Step<'a>>,
    depth: usize,
    strict: Vec<String>,
    /// See [`Decoded::empty`].
    empty: Vec<(String, Value)>,
    /// Above zero inside types that Go decodes by hand, which see no strictness.
    muted: usize,
    /// The first value of a wrong type; decoding goes on, because a syntax error further on wins.
    mismatch: Option<String>,
}

/// One step of the path.
enum Step<'a> {
    Field(Option<TypeId>, &'a str),
    Index(usize),
    Key(String),
}

impl<'a> Decoder<'a> {
    pub(super) fn new(schema: &'a Schema, text: &'a str) -> Self {
        let lexer = Lexer::new(text);
        Self {
            schema,
            lexer,
            path: Vec::new(),
            depth: 0,
            strict: Vec::new(),
            empty: Vec::new(),
            muted: 0,
            mismatch: None,
        }
    }

    // === documents ===

    pub(super) fn document(mut self, ty: TypeId) -> Result<Decoded> {
        let object = self.single(Kind::Struct(ty))?.unwrap_or(Value::Null);
        self.finish(object)
    }

    /// Reports nothing.
    pub(super) fn quiet(mut self) -> Self {
        self.muted = 1;
        self
    }

    pub(super) fn untyped(mut self) -> Result<Decoded> {
        let object = self.tree()?;
        self.finish(object)
    }

    pub(super) fn type_meta(mut self) -> Result<(String, String)> {
        let (mut api_version, mut kind) = (String::new(), String::new());
        match self.lexer.start()? {
            Start::Object => self.entries(|this, key| {
                let target = match key.as_ref() {
                    "apiVersion" => &mut api_version,
                    "kind" => &mut kind,
                    _ => return this.skip(),
                };
                match this.lexer.start()? {
                    Start::Text => *target = this.lexer.string()?.into_owned(),
                    Start::Null => this.skip()?,
                    other => {
                        let word = other.word();
                        let what = format!("json: cannot unmarshal {word} into Go struct field .{key} of type string");
                        this.save(what);
                        this.skip()?;
                    }
                }
                Ok(())
            })?,
            Start::Null => self.skip()?,
            other => {
                let word = other.word();
                let what = format!(
                    "json: cannot unmarshal {word} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
                );
                self.save(what);
                self.skip()?;
            }
        }
        self.finish(Value::Null)?;
        Ok((api_version, kind))
    }

    fn finish(mut self, object: Value) -> Result<Decoded> {
        if self.lexer.peek().is_some() {
            return Err(self.lexer.invalid("after top-level value"));
        }
        match self.mismatch {
            Some(text) => Err(DecodeError::Type(text)),
            None => Ok(Decoded {
                object,
                strict: self.strict,
                empty: self.empty,
            }),
        }
    }

    // === typed values ===

    /// An object of the type; `{` is next.
    fn object(&mut self, ty: TypeId) -> Result<Value> {
        let schema = self.schema;
        let one = &schema[ty];
        let mut out = Map::new();
        let mut seen = Seen::default();
        let mut next = 0;
        self.entries(|this, key| {
            // Sorted input, which kubectl and this codec write, names the fields in the table's order.
            let sorted = one.fields().get(next).is_some_and(|field| field.name.as_ref() == key);
            if let Some(index) = if sorted { Some(next) } else { one.field_index(&key) } {
                next = index + 1;
                let field = &one.fields()[index];
                this.path.push(Step::Field(Some(ty), &field.name));
                if seen.again(index) {
                    this.report("duplicate", None);
                }
                let value = this.field(field)?;
                this.path.pop();
                match value {
                    Some(value) => drop(out.insert(key.into_owned(), value)),
                    None => drop(out.remove(key.as_ref())),
                }
                return Ok(());
            }
            let type_meta = match key.as_ref() {
                "apiVersion" if one.type_meta => Some(Seen::API_VERSION),
                "kind" if one.type_meta => Some(Seen::KIND),
                _ => None,
            };
            let Some(index) = type_meta else {
                this.report("unknown", Some(&key));
                return this.skip();
            };
            this.path.push(Step::Field(
                Some(ty),
                if index == Seen::KIND { "kind" } else { "apiVersion" },
            ));
            if seen.again(index) {
                this.report("duplicate", None);
            }
            let value = this.single(Kind::Str)?;
            this.path.pop();
            if let Some(value) = value.filter(|value| value.as_str() != Some("")) {
                out.insert(key.into_owned(), value);
            }
            Ok(())
        })?;
        if let Some(items) = one.items {
            let name = one.fields()[items as usize].name.as_ref();
            out.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        }
        Ok(Value::Object(out))
    }

    /// The value of a field; None when it is absent, null or a zero that Go leaves out.
    fn field(&mut self, field: &'a Field) -> Result<Option<Value>> {
        let start = self.lexer.start()?;
        if start == Start::Null && field.shape != Shape::Single {
            self.skip()?;
            return Ok(None);
        }
        match field.shape {
            Shape::Single => {
                let value = self.single(field.kind)?;
                Ok(value.filter(|value| !(field.omits_zero() && is_zero(field.kind, value))))
            }
            Shape::List if start == Start::Array => {
                let list = self.list(field.kind)?;
                Ok(self.filled(list.is_empty(), Value::Array(list)))
            }
            Shape::Map if start == Start::Object => {
                let map = self.map(field.kind)?;
                Ok(self.filled(map.is_empty(), Value::Object(map)))
            }
            Shape::List | Shape::Map => {
                let expected = self.go_type(field.kind, field.shape);
                self.mismatch(start.word(), &expected);
                self.skip()?;
                Ok(None)
            }
        }
    }

    /// The list or map at the path; an empty one is left out and noted.
    fn filled(&mut self, empty: bool, value: Value) -> Option<Value> {
        if !empty {
            return Some(value);
        }
        if self.empty.len() < MAX_STRICT {
            let steps = self.path.iter().map(|step| match step {
                Step::Field(_, name) => format!("/{name}"),
                Step::Index(index) => format!("/{index}"),
                Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            });
            self.empty.push((steps.collect(), value));
        }
        None
    }

    fn list(&mut self, kind: Kind) -> Result<Vec<Value>> {
        let mut out = Vec::new();
        self.elements(|this, index| {
            this.path.push(Step::Index(index));
            let value = this.element(kind)?;
            this.path.pop();
            out.push(value);
            Ok(())
        })?;
        Ok(out)
    }

    fn map(&mut self, kind: Kind) -> Result<Map<String, Value>> {
        let mut out = Map::new();
        self.entries(|this, key| {
            if out.contains_key(key.as_ref()) {
                this.report("duplicate", Some(&key));
            }
            let deep = matches!(kind, Kind::Struct(_));
            if deep {
                this.path.push(Step::Key(key.clone().into_owned()));
            }
            let value = this.element(kind)?;
            if deep {
                this.path.pop();
            }
            out.insert(key.into_owned(), value);
            Ok(())
        })?;
        Ok(out)
    }

    /// An element of a list or map, where null stands for Go's zero value.
    fn element(&mut self, kind: Kind) -> Result<Value> {
        Ok(self.single(kind)?.unwrap_or_else(|| zero(kind)))
    }

    /// One value; None for null and for values of a wrong type.
    fn single(&mut self, kind: Kind) -> Result<Option<Value>> {
        let start = self.lexer.start()?;
        if start == Start::Null {
            self.skip()?;
            return Ok(None);
        }
        match (kind, start) {
            (Kind::Str, Start::Text) => Ok(Some(Value::String(self.lexer.string()?.into_owned()))),
            (Kind::Struct(ty), Start::Object) => self.object(ty).map(Some),
            (Kind::Bool, Start::True | Start::False) => {
                self.lexer.literal(start)?;
                Ok(Some(Value::Bool(start == Start::True)))
            }
            (Kind::I32 | Kind::I64 | Kind::F64, Start::Number) => {
                let text = self.lexer.number()?;
                let value = number(kind, text);
                if value.is_none() {
                    self.mismatch(&format!("number {text}"), &self.go_type(kind, Shape::Single));
                }
                Ok(value)
            }
            (Kind::Quantity, Start::Text | Start::Number) => self.quantity(start),
            (Kind::IntOrString, Start::Text) => Ok(Some(Value::String(self.lexer.string()?.into_owned()))),
            (Kind::IntOrString, Start::Number) => {
                let text = self.lexer.number()?;
                let value = number(Kind::I32, text);
                if value.is_none() {
                    self.save(format!(
                        "json: cannot unmarshal number {text} into Go value of type int32"
                    ));
                }
                Ok(value)
            }
            (Kind::Time | Kind::MicroTime, Start::Text) => {
                let text = self.lexer.string()?;
                Ok(self.time(kind, text))
            }
            (Kind::Bytes, Start::Text) => {
                let text = self.lexer.string()?;
                Ok(self.bytes(text))
            }
            (Kind::Raw | Kind::Any, _) => self.by_hand(|this| this.tree().map(Some)),
            (Kind::StrList, Start::Array) => Ok(Some(Value::Array(self.list(Kind::Str)?))),
            (Kind::OrBool, Start::True | Start::False) => {
                self.lexer.literal(start)?;
                Ok(Some(Value::Bool(start == Start::True)))
            }
            (Kind::OrArray, Start::Array) => match self.schema.special().json_schema_props {
                Some(ty) => self.by_hand(|this| Ok(Some(Value::Array(this.list(Kind::Struct(ty))?)))),
                None => self.by_hand(|this| this.tree().map(Some)),
            },
            (Kind::OrStrings, Start::Array) => Ok(Some(Value::Array(self.list(Kind::Str)?))),
            (Kind::OrArray | Kind::OrBool | Kind::OrStrings, Start::Object) => {
                match self.schema.special().json_schema_props {
                    Some(ty) => self.by_hand(|this| this.object(ty).map(Some)),
                    None => self.by_hand(|this| this.tree().map(Some)),
                }
            }
            _ => {
                self.wrong(kind, start);
                self.skip()?;
                Ok(None)
            }
        }
    }

    /// Records that a value has the wrong type.
    fn wrong(&mut self, kind: Kind, start: Start) {
        let word = start.word();
        match kind {
            // Types with an UnmarshalJSON of their own fail without the field's name.
            Kind::Quantity => self.save(quantity::ParseError::Format.to_string()),
            Kind::IntOrString => self.save(format!("json: cannot unmarshal {word} into Go value of type int32")),
            Kind::Time | Kind::MicroTime => {
                self.save(format!("json: cannot unmarshal {word} into Go value of type string"));
            }
            Kind::OrBool => self.save("boolean or JSON schema expected".to_owned()),
            _ => {
                let expected = self.go_type(kind, Shape::Single);
                self.mismatch(word, &expected);
            }
        }
    }

    // === scalars ===

    fn quantity(&mut self, start: Start) -> Result<Option<Value>> {
        let text = if start == Start::Text {
            self.lexer.string()?
        } else {
            Cow::Borrowed(self.lexer.number()?)
        };
        Ok(match quantity::canonical(text.trim()) {
            Ok(canonical) => Some(Value::String(canonical.into_owned())),
            Err(error) => {
                self.save(error.to_string());
                None
            }
        })
    }

    fn time(&mut self, kind: Kind, text: Cow<'_, str>) -> Option<Value> {
        let (len, format): (usize, fn(jiff::Timestamp) -> String) = match kind {
            Kind::Time => (20, time::format_seconds),
            _ => (27, time::format_micro),
        };
        match time::parse(&text) {
            // Go's zero time is written as null.
            Ok(_) if text.starts_with("0001-01-01T00:00:00") => None,
            Ok(_) if text.len() == len && text.ends_with('Z') => Some(Value::String(text.into_owned())),
            Ok(at) => Some(Value::String(format(at))),
            Err(error) => {
                self.save(error.to_string());
                None
            }
        }
    }

    fn bytes(&mut self, text: Cow<'_, str>) -> Option<Value> {
        let text = if text.contains(['\n', '\r']) {
            Cow::Owned(text.replace(['\n', '\r'], ""))
        } else {
            text
        };
        match base64::engine::general_purpose::STANDARD.decode(text.as_bytes()) {
            Ok(_) => Some(Value::String(text.into_owned())),
            Err(error) => {
                let at = match error {
                    base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                    _ => text.len() / 4 * 4,
                };
                self.save(format!("illegal base64 data at input byte {at}"));
                None
            }
        }
    }

    // === untyped values ===

    fn tree(&mut self) -> Result<Value> {
        let start = self.lexer.start()?;
        Ok(match start {
            Start::Object => {
                let mut out = Map::new();
                self.entries(|this, key| {
                    if out.contains_key(key.as_ref()) {
                        this.report("duplicate", Some(&key));
                    }
                    // Where nothing is reported, nobody asks for the path.
                    let told = this.muted == 0;
                    if told {
                        this.path.push(Step::Key(key.clone().into_owned()));
                    }
                    let value = this.tree()?;
                    if told {
                        this.path.pop();
                    }
                    out.insert(key.into_owned(), value);
                    Ok(())
                })?;
                Value::Object(out)
            }
            Start::Array => {
                let mut out = Vec::new();
                self.elements(|this, index| {
                    this.path.push(Step::Index(index));
                    out.push(this.tree()?);
                    this.path.pop();
                    Ok(())
                })?;
                Value::Array(out)
            }
            Start::Text => Value::String(self.lexer.string()?.into_owned()),
            Start::Number => {
                let text = self.lexer.number()?;
                match number(Kind::F64, text) {
                    Some(value) => value,
                    None => {
                        let what = format!("json: cannot unmarshal number {text} into Go value of type float64");
                        self.save(what);
                        Value::Null
                    }
                }
            }
            Start::True | Start::False => {
                self.lexer.literal(start)?;
                Value::Bool(start == Start::True)
            }
            Start::Null => {
                self.lexer.literal(start)?;
                Value::Null
            }
        })
    }

    /// Goes over a value without keeping it.
    fn skip(&mut self) -> Result<()> {
        let start = self.lexer.start()?;
        match start {
            Start::Object => self.entries(|this, _| this.skip()),
            Start::Array => self.elements(|this, _| this.skip()),
            Start::Text => self.lexer.string().map(drop),
            Start::Number => self.lexer.number().map(drop),
            Start::True | Start::False | Start::Null => self.lexer.literal(start),
        }
    }

    // === containers ===

    /// Calls `each` with every key; it must consume the value. `{` is next.
    fn entries(&mut self, mut each: impl FnMut(&mut Self, Cow<'a, str>) -> Result<()>) -> Result<()> {
        self.deeper()?;
        self.lexer.at += 1;
        if self.lexer.peek() == Some(b'}') {
            self.lexer.at += 1;
        } else {
            loop {
                if self.lexer.peek() != Some(b'"') {
                    return Err(self.lexer.invalid("looking for beginning of object key string"));
                }
                let key = self.lexer.string()?;
                self.lexer.expect(b':', "after object key")?;
                each(self, key)?;
                match self.lexer.peek() {
                    Some(b',') => self.lexer.at += 1,
                    Some(b'}') => break,
                    _ => return Err(self.lexer.invalid("after object key:value pair")),
                }
            }
            self.lexer.at += 1;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Calls `each` with every index; it must consume the element. `[` is next.
    fn elements(&mut self, mut each: impl FnMut(&mut Self, usize) -> Result<()>) -> Result<()> {
        self.deeper()?;
        self.lexer.at += 1;
        if self.lexer.peek() == Some(b']') {
            self.lexer.at += 1;
        } else {
            for index in 0.. {
                each(self, index)?;
                match self.lexer.peek() {
                    Some(b',') => self.lexer.at += 1,
                    Some(b']') => break,
                    _ => return Err(self.lexer.invalid("after array element")),
                }
            }
            self.lexer.at += 1;
        }
        self.depth -= 1;
        Ok(())
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(DecodeError::Syntax("exceeded max depth".to_owned()))
        } else {
            Ok(())
        }
    }

    fn by_hand<T>(&mut self, decode: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.muted += 1;
        let out = decode(self);
        self.muted -= 1;
        out
    }

    // === findings ===

    /// Records an unknown or duplicate field: the current path, or `name` below it.
    fn report(&mut self, what: &str, name: Option<&str>) {
        if self.muted > 0 || self.strict.len() >= MAX_STRICT {
            return;
        }
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Field(_, name) => push_name(&mut path, name),
                Step::Key(key) => push_name(&mut path, key),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        if let Some(name) = name {
            push_name(&mut path, name);
        }
        let finding = format!("{what} field {}", quote(&path));
        if !self.strict.contains(&finding) {
            self.strict.push(finding);
        }
    }

    /// Records a value of a wrong type, as Go's `UnmarshalTypeError` words it.
    fn mismatch(&mut self, found: &str, expected: &str) {
        if self.mismatch.is_some() {
            return;
        }
        let mut names = String::new();
        let mut owner = None;
        for step in &self.path {
            if let Step::Field(ty, name) = step {
                push_name(&mut names, name);
                owner = *ty;
            }
        }
        let text = match owner {
            Some(ty) => {
                let owner = self.schema[ty].struct_name();
                format!("json: cannot unmarshal {found} into Go struct field {owner}.{names} of type {expected}")
            }
            None => format!("json: cannot unmarshal {found} into Go value of type {expected}"),
        };
        self.save(text);
    }

    fn save(&mut self, text: String) {
        self.mismatch.get_or_insert(text);
    }

    fn go_type(&self, kind: Kind, shape: Shape) -> String {
        let one = match kind {
            Kind::Str => "string",
            Kind::Bool => "bool",
            Kind::I32 => "int32",
            Kind::I64 => "int64",
            Kind::F64 => "float64",
            Kind::Bytes => "[]uint8",
            Kind::Time => "v1.Time",
            Kind::MicroTime => "v1.MicroTime",
            Kind::Quantity if shape == Shape::Map => return "v1.ResourceList".to_owned(),
            Kind::Quantity => "resource.Quantity",
            Kind::IntOrString => "intstr.IntOrString",
            Kind::Raw => "runtime.RawExtension",
            Kind::Any => "interface {}",
            Kind::StrList => "[]string",
            Kind::OrArray => "v1.JSONSchemaPropsOrArray",
            Kind::OrBool => "v1.JSONSchemaPropsOrBool",
            Kind::OrStrings => "v1.JSONSchemaPropsOrStringArray",
            Kind::Struct(ty) => self.schema[ty].go_name(),
        };
        match shape {
            Shape::Single => one.to_owned(),
            Shape::List => format!("[]{one}"),
            Shape::Map => format!("map[string]{one}"),
        }
    }
}

/// Which fields of an object have occurred.
#[derive(Default)]
struct Seen(u128);

impl Seen {
    const API_VERSION: usize = 127;
    const KIND: usize = 126;

    /// Marks the field; true if it was marked. Types of more than 126 fields share the last marks' place: their
    /// duplicates beyond it go unnoticed.
    fn again(&mut self, index: usize) -> bool {
        if index > Self::API_VERSION {
            return false;
        }
        let bit = 1_u128 << index;
        let again = self.0 & bit != 0;
        self.0 |= bit;
        again
    }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// A number of the kind; integers are never taken through floating point.
fn number(kind: Kind, text: &str) -> Option<Value> {
    let integer = text.parse::<i64>().ok();
    match kind {
        Kind::I32 => integer.filter(|value| i32::try_from(*value).is_ok()).map(Value::from),
        Kind::I64 => integer.map(Value::from),
        _ => match integer {
            // -0 is a floating point number.
            Some(value) if value != 0 || !text.starts_with('-') => Some(value.into()),
            _ => text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number),
        },
    }
}

/// Whether a value is the zero Go leaves out.
pub(crate) fn is_zero(kind: Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Str | Kind::Bytes, Value::String(text)) => text.is_empty(),
        (Kind::Bool, Value::Bool(value)) => !value,
        (Kind::I32 | Kind::I64 | Kind::F64, Value::Number(number)) => number.as_f64() == Some(0.0),
        (Kind::StrList, Value::Array(list)) => list.is_empty(),
        _ => false,
    }
}

/// Go's zero value, for nulls inside lists and maps.
pub(crate) fn zero(kind: Kind) -> Value {
    match kind {
        Kind::Str | Kind::Bytes => Value::String(String::new()),
        Kind::Bool => Value::Bool(false),
        Kind::I32 | Kind::I64 | Kind::F64 | Kind::IntOrString => 0.into(),
        Kind::Quantity => Value::String("0".to_owned()),
        Kind::Struct(_) | Kind::OrBool | Kind::OrArray | Kind::OrStrings => Value::Object(Map::new()),
        Kind::StrList => Value::Array(Vec::new()),
        Kind::Time | Kind::MicroTime | Kind::Raw | Kind::Any => Value::Null,
    }
}
