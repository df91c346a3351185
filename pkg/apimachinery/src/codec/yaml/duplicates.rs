//! Keys that occur twice, in go-yaml's words (upstream: go-yaml v2 `decode.go` `setMapIndex`).

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::field::quote;

/// `line 8: key "foo" already set in map` for every repetition below a node, in the order go-yaml finds them. The
/// line is the one the value begins in.
pub(super) struct Duplicates(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Duplicates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Node)
    }
}

struct Node;

type Outcome<E> = Result<Duplicates, E>;

impl<'de> Visitor<'de> for Node {
    type Value = Duplicates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Outcome<A::Error> {
        let mut seen = HashSet::new();
        let mut out = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let mut value: Spanned<Duplicates> = map.next_value()?;
            out.append(&mut value.value.0);
            if !seen.insert(key.clone()) {
                let line = value.referenced.line();
                out.push(format!("line {line}: key {} already set in map", quote(&key)));
            }
        }
        Ok(Duplicates(out))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Outcome<A::Error> {
        let mut out = Vec::new();
        while let Some(mut item) = list.next_element::<Duplicates>()? {
            out.append(&mut item.0);
        }
        Ok(Duplicates(out))
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Outcome<D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Outcome<D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_bool<E>(self, _: bool) -> Outcome<E> {
        Ok(Duplicates(Vec::new()))
    }

    fn visit_i64<E>(self, _: i64) -> Outcome<E> {
        Ok(Duplicates(Vec::new()))
    }

    fn visit_i128<E>(self, _: i128) -> Outcome<E> {
        Ok(Duplicates(Vec::new()))
    }

    fn visit_u64<E>(self, _: u64) -> Outcome<E> {
        Ok(Duplicates(Vec::new()))
    }

    fn visit_u128<E>(self, _: u128) -> Outcome<E> {
        Ok(Duplicates(Vec::new()))
    }

    fn visit_f64<E>(self, _: f64) -> Outcome<E> {
        Ok(Duplicates(Vec::new()))
    }

    fn visit_str<E>(self, _: &str) -> Outcome<E> {
        Ok(Duplicates(Vec::new()))
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Outcome<E> {
        Ok(Duplicates(Vec::new()))
    }

    fn visit_none<E>(self) -> Outcome<E> {
        Ok(Duplicates(Vec::new()))
    }

    fn visit_unit<E>(self) -> Outcome<E> {
        Ok(Duplicates(Vec::new()))
    }
}
