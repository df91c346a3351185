//! Random objects of every type of the table must survive every codec; random bytes must not panic any.

#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

use super::{json, proto, yaml};
use crate::patch::{self, merge, strategic};
use crate::schema::{Kind, Schema, Shape, TypeId};

static TABLE: LazyLock<Schema> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/schema.txt");
    Schema::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
});

/// The kinds that have a protobuf form for all their fields.
static KINDS: LazyLock<Vec<TypeId>> = LazyLock::new(|| {
    let known = |id: TypeId| TABLE[id].type_meta && tagged(id, &mut Vec::new());
    TABLE.types().map(|(id, _)| id).filter(|id| known(*id)).collect()
});

fn tagged(id: TypeId, seen: &mut Vec<TypeId>) -> bool {
    if seen.contains(&id) {
        return true;
    }
    seen.push(id);
    let fields = TABLE[id].fields().iter();
    fields
        .into_iter()
        .all(|field| !field.tags.is_empty() && field.struct_type().is_none_or(|inner| tagged(inner, seen)))
}

/// Builds a random object, thinner as it gets deeper.
struct Generator {
    random: StdRng,
}

impl Generator {
    fn object(&mut self, id: TypeId, depth: u32) -> Value {
        let mut out = Map::new();
        for field in TABLE[id].fields() {
            if !self.random.random_ratio(1, 2 + depth * 2) || depth > 6 {
                continue;
            }
            let count = self.random.random_range(0..3);
            let value = match field.shape {
                Shape::Single => self.value(field.kind, depth),
                Shape::List => (0..count).map(|_| self.value(field.kind, depth)).collect(),
                Shape::Map => {
                    let entries = (0..count).map(|n| (format!("k{n}"), self.value(field.kind, depth)));
                    Value::Object(entries.collect())
                }
            };
            out.insert(field.name.to_string(), value);
        }
        Value::Object(out)
    }

    fn value(&mut self, kind: Kind, depth: u32) -> Value {
        let text = ["", "x", "a\"b\\c\n", "\u{1F600}é", "yes", "0777", "null", "1"][self.random.random_range(0..8)];
        let schema = || TABLE.id("apiextensions.v1.JSONSchemaProps").unwrap();
        match kind {
            Kind::Str => text.into(),
            Kind::Bool => self.random.random::<bool>().into(),
            Kind::I32 => [0, 1, -1, i32::MAX, i32::MIN][self.random.random_range(0..5)].into(),
            Kind::I64 => [0, 1, -1, i64::MAX, i64::MIN, 9_007_199_254_740_993][self.random.random_range(0..6)].into(),
            Kind::F64 => [0.5, -1.25, 1e300][self.random.random_range(0..3)].into(),
            Kind::Bytes => ["", "AA==", "/+8="][self.random.random_range(0..3)].into(),
            Kind::Time => ["1970-01-01T00:00:00Z", "2026-11-21T10:00:00+02:00"][self.random.random_range(0..2)].into(),
            Kind::MicroTime => {
                ["1969-12-31T23:59:59.999999Z", "2026-11-21T10:00:00Z"][self.random.random_range(0..2)].into()
            }
            Kind::Quantity => ["0", "1000m", "1Gi", "1.5", "0.1m", "-3e3"][self.random.random_range(0..6)].into(),
            Kind::IntOrString => {
                if self.random.random() {
                    text.into()
                } else {
                    (-7).into()
                }
            }
            Kind::Raw | Kind::Any => [json!({"a": [1, null, "x"]}), json!("s"), json!([]), json!(1.5)]
                [self.random.random_range(0..4)]
            .clone(),
            Kind::StrList => json!(["a", text]),
            Kind::OrBool if self.random.random() => self.random.random::<bool>().into(),
            Kind::OrStrings if self.random.random() => json!(["x"]),
            Kind::OrArray | Kind::OrBool | Kind::OrStrings => self.object(schema(), depth + 1),
            Kind::Struct(id) => self.object(id, depth + 1),
        }
    }
}

/// A random object in normal form: decoded once.
fn sample(seed: u64) -> (TypeId, Value) {
    let mut random = StdRng::seed_from_u64(seed);
    let id = KINDS[random.random_range(0..KINDS.len())];
    (id, normal(id, random))
}

/// A random object of one type in normal form.
fn normal(id: TypeId, random: StdRng) -> Value {
    let tree = Generator { random }.object(id, 0);
    let out = json::conform(&TABLE, id, &tree).unwrap_or_else(|error| panic!("{}: {error}: {tree}", TABLE[id].name));
    assert_eq!(out.strict, Vec::<String>::new());
    out.object
}

/// Operations that make the fields of `old` those of `new`.
fn operations(old: &Value, new: &Value) -> Value {
    let fields = |v: &Value| v.as_object().cloned().unwrap_or_default();
    let (old, new) = (fields(old), fields(new));
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let gone = gone.map(|key| json!({"op": "remove", "path": format!("/{key}")}));
    let set = new.iter().map(|(key, value)| {
        let op = if old.contains_key(key) { "replace" } else { "add" };
        json!({"op": op, "path": format!("/{key}"), "value": value})
    });
    gone.chain(set).collect()
}

/// Whether a null is anywhere in a tree: a merge patch cannot say that one shall be there.
fn has_null(tree: &Value) -> bool {
    match tree {
        Value::Null => true,
        Value::Array(list) => list.iter().any(has_null),
        Value::Object(map) => map.values().any(has_null),
        _ => false,
    }
}

/// Whether an object in normal form has nothing for whose sake a message is never said to be faithful.
fn said_to_be_faithful(id: TypeId, object: &Value) -> bool {
    fn plain(tree: &Value) -> bool {
        match tree {
            Value::Null => false,
            Value::Number(number) => !number.is_f64(),
            Value::Array(list) => list.iter().all(plain),
            Value::Object(map) => map.values().all(plain),
            _ => true,
        }
    }
    let list = TABLE[id].items.is_some();
    !list && !TABLE[id].name.contains("apiextensions") && plain(object)
}

/// Puts some values into a tree that readers do not give back: zeros, empty lists, times and quantities in other words.
fn spoil(tree: &mut Value, random: &mut StdRng) {
    let odd = [
        json!(0),
        json!(""),
        json!(false),
        json!([]),
        json!({}),
        json!(null),
        json!(1u64 << 40),
        json!("1000m"),
        json!("2026-01-01T00:00:00.5+01:00"),
    ];
    match tree {
        _ if random.random_range(0..40) == 0 => *tree = odd[random.random_range(0..odd.len())].clone(),
        Value::Array(list) => list.iter_mut().for_each(|one| spoil(one, random)),
        Value::Object(map) => map.values_mut().for_each(|one| spoil(one, random)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn objects_survive_every_codec(seed in any::<u64>()) {
        let (id, object) = sample(seed);
        let again = json::decode(&TABLE, id, &json::encode(&object)).unwrap();
        prop_assert_eq!(&again.object, &object);
        let message = proto::message(&TABLE, id, &object).unwrap();
        prop_assert_eq!(&proto::decode(&TABLE, id, &message.bytes).unwrap(), &object);
        prop_assert!(message.faithful || !said_to_be_faithful(id, &object), "{}: {}", TABLE[id].name, object);
        let text = yaml::encode(&object).unwrap();
        let again = yaml::decode(&TABLE, id, text.as_bytes()).unwrap();
        prop_assert_eq!(&again.object, &object, "{}", text);
    }

    #[test]
    fn a_faithful_message_is_read_as_the_tree_it_was_made_of(seed in any::<u64>()) {
        let (id, mut object) = sample(seed);
        spoil(&mut object, &mut StdRng::seed_from_u64(!seed));
        // What is no object of its kind any more is refused.
        if let Ok(message) = proto::message(&TABLE, id, &object)
            && message.faithful
        {
            prop_assert_eq!(&proto::decode(&TABLE, id, &message.bytes).unwrap(), &object);
        }
    }

    #[test]
    fn patches_lead_from_one_object_to_another(seed in any::<u64>(), other in any::<u64>()) {
        let (id, old) = sample(seed);
        let new = normal(id, StdRng::seed_from_u64(other));

        let mut merged = old.clone();
        merge::apply(&mut merged, &merge::diff(&old, &new));
        if !has_null(&new) {
            prop_assert_eq!(&merged, &new);
        }

        let mut patched = old.clone();
        let patch = patch::json::Patch::from_value(&operations(&old, &new)).unwrap();
        patch.apply(&mut patched).unwrap();
        prop_assert_eq!(&patched, &new);

        // Another object is a strategic patch too: what comes out is of the type, and the same patch again changes
        // nothing but the order of what it merges.
        let mut once = old.clone();
        if strategic::apply(&TABLE, id, &mut once, &new).is_ok() {
            let fields = json::conform(&TABLE, id, &once).unwrap_or_else(|error| panic!("{error}: {once}"));
            prop_assert_eq!(fields.strict, Vec::<String>::new());
            let bytes = proto::encode(&TABLE, id, &fields.object).unwrap();
            prop_assert_eq!(&proto::decode(&TABLE, id, &bytes).unwrap(), &fields.object);
        }
    }

    #[test]
    fn random_patches_do_not_panic(seed in any::<u64>(), other in any::<u64>()) {
        let (id, object) = sample(seed);
        // An object of any other kind, and its list of operations, as a patch of this one.
        let (_, patch) = sample(other);
        let mut target = object.clone();
        let _ = strategic::apply(&TABLE, id, &mut target, &patch);
        let _ = json::conform(&TABLE, id, &target);
        let mut target = object.clone();
        merge::apply(&mut target, &patch);
        let _ = json::conform(&TABLE, id, &target);
        for document in [operations(&patch, &object), patch] {
            if let Ok(patch) = patch::json::Patch::from_value(&document) {
                let mut target = object.clone();
                let _ = patch.apply(&mut target);
                let _ = json::conform(&TABLE, id, &target);
            }
        }
    }

    #[test]
    fn typed_and_untyped_readers_agree_on_what_json_is(text in "[\\[\\]{}:,\"a0.e\\\\ tn-]{0,24}") {
        let ours = json::parse(text.as_bytes());
        match serde_json::from_str::<Value>(&text) {
            Ok(theirs) => prop_assert_eq!(ours.unwrap().object, json_numbers(theirs)),
            Err(_) => prop_assert!(ours.is_err(), "{:?} is no JSON", text),
        }
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), seed in any::<u64>()) {
        let (id, object) = sample(seed);
        let _ = proto::decode(&TABLE, id, &bytes);
        let _ = json::decode(&TABLE, id, &bytes);
        let _ = yaml::decode(&TABLE, id, &bytes);
        let _ = proto::unwrap(&[proto::MAGIC.as_slice(), &bytes].concat());
        // A real message with some bytes changed.
        let mut real = proto::encode(&TABLE, id, &object).unwrap();
        for pair in bytes.chunks_exact(2) {
            if !real.is_empty() {
                let at = usize::from(pair[0]) * 7 % real.len();
                real[at] ^= pair[1];
            }
        }
        let _ = proto::decode(&TABLE, id, &real);
    }
}

/// Integers beyond `i64` become floating point numbers, as in Go.
fn json_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) if number.as_i64().is_none() => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(list) => list.into_iter().map(json_numbers).collect(),
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, json_numbers(value))).collect()),
        other => other,
    }
}
