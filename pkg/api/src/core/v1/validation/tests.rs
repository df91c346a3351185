//! One table per kind: a change to a good object, and the errors it must give.

mod objects;
mod pods;
mod services;
mod tables;

use apimachinery::field::ErrorList;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// `base` with every `(pointer, value)` set; `null` removes.
fn with(base: &Value, changes: &[(&str, Value)]) -> Value {
    let mut obj = base.clone();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
        let parent = obj.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
        match (parent, value) {
            (Value::Object(map), Value::Null) => {
                map.remove(key);
            }
            (Value::Object(map), value) => {
                map.insert(key.to_string(), value.clone());
            }
            (Value::Array(items), value) => items[key.parse::<usize>().expect("index")] = value.clone(),
            (other, _) => panic!("{pointer} is in {other}"),
        }
    }
    obj
}

/// Decodes and defaults.
fn object<T: DeserializeOwned>(value: Value, default: fn(&mut T)) -> T {
    let mut obj = serde_json::from_value(value).expect("a test object");
    default(&mut obj);
    obj
}

fn messages(errs: &ErrorList) -> Vec<String> {
    errs.iter().map(ToString::to_string).collect()
}

fn metadata() -> Value {
    json!({"name": "x", "namespace": "n", "resourceVersion": "1", "labels": {}, "annotations": {}})
}
