//! Tables of invalid objects: a case is a base object, what is changed in it, and the errors in order.

mod kinds;
pub(crate) mod table;

use std::collections::BTreeMap;

use apimachinery::field::ErrorList;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Name, changes (JSON pointer to value; null removes, a last `-` appends) and the expected errors.
pub(crate) type Case<'a> = (&'a str, Value, &'a [&'a str]);

/// The texts of a list of errors.
pub(crate) fn texts(errs: &ErrorList) -> Vec<String> {
    errs.iter().map(ToString::to_string).collect()
}

/// `base` with the changes of a case made, in the order of their pointers.
pub(crate) fn changed(base: &Value, changes: &Value) -> Value {
    let mut out = base.clone();
    let changes: BTreeMap<&String, &Value> = changes.as_object().into_iter().flatten().collect();
    for (pointer, value) in changes {
        let (parent, last) = pointer.rsplit_once('/').expect("a pointer starts with a slash");
        let last = last.replace("~1", "/");
        match place(&mut out, parent) {
            Value::Array(items) if last == "-" => items.push(value.clone()),
            Value::Array(items) => items[last.parse::<usize>().expect("an index")] = value.clone(),
            Value::Object(map) if value.is_null() => drop(map.remove(&last)),
            Value::Object(map) => drop(map.insert(last, value.clone())),
            other => panic!("{pointer} leads into {other}"),
        }
    }
    out
}

/// The value at a pointer; missing maps on the way are made.
fn place<'a>(root: &'a mut Value, pointer: &str) -> &'a mut Value {
    let mut at = root;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/");
        at = match at {
            Value::Array(items) => &mut items[part.parse::<usize>().expect("an index")],
            other => {
                if !other.is_object() {
                    *other = Value::Object(serde_json::Map::new());
                }
                other
                    .as_object_mut()
                    .expect("a map")
                    .entry(part)
                    .or_insert_with(|| Value::Object(serde_json::Map::new()))
            }
        };
    }
    at
}

/// Checks every case as a new object.
pub(crate) fn creates<T: DeserializeOwned>(
    base: &Value,
    default: fn(&mut T),
    rule: fn(&T) -> ErrorList,
    cases: &[Case<'_>],
) {
    run(cases, |changes| {
        let mut obj: T = serde_json::from_value(changed(base, changes)).expect("an object of the kind");
        default(&mut obj);
        rule(&obj)
    });
}

/// Checks every case as a change of `base`.
pub(crate) fn updates<T: DeserializeOwned>(
    base: &Value,
    default: fn(&mut T),
    rule: fn(&T, &T) -> ErrorList,
    cases: &[Case<'_>],
) {
    run(cases, |changes| {
        let mut old: T = serde_json::from_value(base.clone()).expect("an object of the kind");
        let mut new: T = serde_json::from_value(changed(base, changes)).expect("an object of the kind");
        default(&mut old);
        default(&mut new);
        rule(&new, &old)
    });
}

/// Compares all cases before it fails, so that one run shows every difference.
fn run(cases: &[Case<'_>], rule: impl Fn(&Value) -> ErrorList) {
    let mut wrong = String::new();
    for (name, changes, want) in cases {
        let got = texts(&rule(changes));
        if got != *want {
            wrong += &format!("{name}\n  got  {got:#?}\n  want {want:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Compares what a rule says of every case, made from `base`.
pub(crate) fn warned<T: DeserializeOwned>(base: &Value, rule: impl Fn(&T) -> Vec<String>, cases: &[Case<'_>]) {
    let mut wrong = String::new();
    for (name, changes, want) in cases {
        let obj: T = serde_json::from_value(changed(base, changes)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let got = rule(&obj);
        if got != *want {
            wrong += &format!("{name}\n  got  {got:#?}\n  want {want:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
