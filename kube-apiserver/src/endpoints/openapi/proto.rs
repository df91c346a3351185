//! OpenAPI documents as protobuf: gnostic's messages, which old clients of v2 and some of v3 ask for.
//!
//! A document is made from its JSON form, as upstream's handlers make it. [`v2`] and [`v3`] say which field of which
//! message a member becomes; [`Message`] writes it. Only what our documents contain is there.

pub(super) mod v2;
pub(super) mod v3;

use apimachinery::codec::yaml;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::Value;

/// A message under construction. Null values (absent members) write nothing.
#[derive(Default)]
struct Message(Vec<u8>);

/// Writes the members of a JSON value into the message that stands for it.
type Writer = fn(&mut Message, &Value);

impl Message {
    fn of(v: &Value, write: Writer) -> Vec<u8> {
        let mut message = Message::default();
        write(&mut message, v);
        message.0
    }

    fn bytes(&mut self, tag: u32, bytes: &[u8]) {
        encode_key(tag, WireType::LengthDelimited, &mut self.0);
        encode_varint(bytes.len() as u64, &mut self.0);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, tag: u32, v: &Value) {
        if let Some(text) = v.as_str().filter(|t| !t.is_empty()) {
            self.bytes(tag, text.as_bytes());
        }
    }

    /// A list of texts; one that stands alone is a list of one.
    fn texts(&mut self, tag: u32, v: &Value) {
        match v {
            Value::String(text) => self.bytes(tag, text.as_bytes()),
            Value::Array(list) => list.iter().for_each(|v| self.texts(tag, v)),
            _ => {}
        }
    }

    fn flag(&mut self, tag: u32, v: &Value) {
        if v == &Value::Bool(true) {
            encode_key(tag, WireType::Varint, &mut self.0);
            encode_varint(1, &mut self.0);
        }
    }

    fn count(&mut self, tag: u32, v: &Value) {
        if let Some(n) = v.as_i64().filter(|n| *n != 0) {
            encode_key(tag, WireType::Varint, &mut self.0);
            encode_varint(n.cast_unsigned(), &mut self.0);
        }
    }

    fn number(&mut self, tag: u32, v: &Value) {
        if let Some(n) = v.as_f64().filter(|n| *n != 0.0) {
            self.double(tag, n);
        }
    }

    /// A double that is written even when it is 0.
    fn double(&mut self, tag: u32, n: f64) {
        encode_key(tag, WireType::SixtyFourBit, &mut self.0);
        self.0.extend_from_slice(&n.to_le_bytes());
    }

    /// A bool that is written even when it is false.
    fn choice(&mut self, tag: u32, b: bool) {
        encode_key(tag, WireType::Varint, &mut self.0);
        encode_varint(u64::from(b), &mut self.0);
    }

    fn part(&mut self, tag: u32, v: &Value, write: Writer) {
        if !v.is_null() {
            self.bytes(tag, &Message::of(v, write));
        }
    }

    fn parts(&mut self, tag: u32, v: &Value, write: Writer) {
        v.as_array()
            .into_iter()
            .flatten()
            .for_each(|item| self.part(tag, item, write));
    }

    /// The members of an object as pairs of name and value; gnostic has no maps.
    fn named(&mut self, tag: u32, v: &Value, write: Writer) {
        for (name, value) in v.as_object().into_iter().flatten() {
            self.pair(tag, name, value, write);
        }
    }

    fn pair(&mut self, tag: u32, name: &str, value: &Value, write: Writer) {
        let mut pair = Message::default();
        pair.bytes(1, name.as_bytes());
        pair.bytes(2, &Message::of(value, write));
        self.bytes(tag, &pair.0);
    }

    /// The members called `x-...`.
    fn extensions(&mut self, tag: u32, v: &Value) {
        let members = v.as_object().into_iter().flatten();
        for (name, value) in members.filter(|(name, _)| name.starts_with("x-")) {
            self.pair(tag, name, value, any);
        }
    }
}

/// Gnostic's `Any`: YAML text.
fn any(m: &mut Message, v: &Value) {
    // JSON is YAML too.
    m.bytes(2, yaml::encode(v).unwrap_or_else(|_| v.to_string()).as_bytes());
}

fn info(m: &mut Message, v: &Value, version: u32) {
    m.text(1, &v["title"]);
    m.text(version, &v["version"]);
}

#[cfg(test)]
mod tests;
