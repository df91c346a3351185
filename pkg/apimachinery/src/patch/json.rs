//! JSON patch (RFC 6902) with the habits of the library upstream uses (gopkg.in/evanphx/json-patch.v4, v4.13): negative
//! indices count from the end, an absent member is null to `test` and `copy`, and `replace` makes it.

use serde_json::Value;

use super::{Error, cannot_unmarshal};
use crate::codec::{MAX_DEPTH, json};
use crate::field::quote;
use crate::schema::{Schema, TypeId};

#[cfg(test)]
mod tests;
mod written;

/// Most operations one patch may have (upstream: `maxJSONPatchOperations`).
pub const MAX_OPERATIONS: usize = 10_000;
/// Most bytes all `copy` operations of a patch may add, roughly (upstream: `AccumulatedCopySizeLimit`).
const MAX_COPIED: usize = 30 << 20;

/// A parsed patch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    operations: Vec<Operation>,
}

#[derive(Clone, Debug, PartialEq)]
struct Operation {
    what: What,
    path: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Add(Value),
    Remove,
    Replace(Value),
    Move(Option<String>),
    Copy(Option<String>),
    Test(Value),
    Unknown(String),
}

impl Patch {
    /// Reads the list of operations from a tree.
    ///
    /// # Errors
    /// When it is no list of operations, or too long.
    pub fn from_value(tree: &Value) -> Result<Self, Error> {
        let list = match tree {
            Value::Array(list) => list,
            Value::Null => return Ok(Self::default()),
            other => return Err(undecodable(cannot_unmarshal(other, "[]handlers.jsonPatchOp"))),
        };
        if list.len() > MAX_OPERATIONS {
            return Err(Error::TooLarge(format!(
                "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
                list.len()
            )));
        }
        let operations = list.iter().map(operation).collect::<Result<_, _>>()?;
        Ok(Self { operations })
    }

    /// Puts in what Go writes of an object although it is empty, where an operation goes through it: upstream
    /// patches Go's JSON, where `status` is there from the start.
    pub fn write_structs(&self, schema: &Schema, ty: TypeId, target: &mut Value) {
        for operation in &self.operations {
            let source = match &operation.what {
                What::Move(from) | What::Copy(from) => from.as_ref(),
                _ => None,
            };
            for path in [operation.path.as_ref(), source].into_iter().flatten() {
                if let Some((parents, _)) = split(path) {
                    written::structs(schema, ty, target, &parents);
                }
            }
        }
    }

    /// Applies the operations in order. On an error the target is half changed: apply to a copy.
    ///
    /// # Errors
    /// When a path is missing, an index is out of bounds or a test fails.
    pub fn apply(&self, target: &mut Value) -> Result<(), Error> {
        self.apply_within(target, MAX_COPIED)
    }

    fn apply_within(&self, target: &mut Value, max_copied: usize) -> Result<(), Error> {
        let mut limits = Limits {
            copied: max_copied,
            depth: MAX_DEPTH,
            #[cfg(test)]
            walks: 0,
        };
        self.run(target, &mut limits)
    }

    fn run(&self, target: &mut Value, limits: &mut Limits) -> Result<(), Error> {
        for operation in &self.operations {
            operation.apply(target, limits).map_err(Error::Inapplicable)?;
        }
        Ok(())
    }
}

/// What strict decoding of a patch objects to, besides duplicates (upstream: `jsonPatchOp`).
pub fn unknown_fields(tree: &Value) -> Vec<String> {
    let known = ["op", "path", "from", "value"];
    let mut out = Vec::new();
    for (at, operation) in tree.as_array().into_iter().flatten().enumerate() {
        let names = operation.as_object().into_iter().flat_map(serde_json::Map::keys);
        let unknown = names.filter(|name| !known.contains(&name.as_str()));
        out.extend(unknown.map(|name| format!("unknown field \"[{at}].{name}\"")));
    }
    out
}

/// A patch that Go could not read (upstream reads it twice; the first reading is a strict one into `jsonPatchOp`).
fn undecodable(why: String) -> Error {
    Error::Malformed(format!("error decoding patch: {why}"))
}

fn operation(tree: &Value) -> Result<Operation, Error> {
    if !tree.is_object() && !tree.is_null() {
        return Err(undecodable(cannot_unmarshal(tree, "handlers.jsonPatchOp")));
    }
    let text = |name: &str| match tree.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => {
            let why = cannot_unmarshal(other, "string");
            let field = format!("Go struct field jsonPatchOp.{name} of type");
            Err(undecodable(why.replace("Go value of type", &field)))
        }
    };
    let (op, path, from) = (text("op")?, text("path")?, text("from")?);
    let value = || tree.get("value").cloned().unwrap_or_default();
    let what = match op.as_deref().unwrap_or("unknown") {
        "add" => What::Add(value()),
        "remove" => What::Remove,
        "replace" => What::Replace(value()),
        "move" => What::Move(from),
        "copy" => What::Copy(from),
        "test" => What::Test(value()),
        other => What::Unknown(other.to_owned()),
    };
    Ok(Operation { what, path })
}

/// What a patch may still do.
struct Limits {
    /// Bytes that may be copied.
    copied: usize,
    /// No part of the object is deeper than this.
    depth: usize,
    /// How often a moved value and what it left were looked through.
    #[cfg(test)]
    walks: usize,
}

impl Limits {
    fn copy(&mut self, value: &Value) -> Outcome<()> {
        let left = self.copied.checked_sub(json::encode(value).len());
        self.copied = left.ok_or_else(|| "the accumulated size of copies is too large".to_owned())?;
        Ok(())
    }

    /// Whether a new value may stand where a path ends. Copies could otherwise double the depth with every operation,
    /// and whatever walks the object afterwards would exhaust its stack.
    fn put(&mut self, path: &str, value: &Value) -> Outcome<()> {
        self.reach(steps(path) + depth(value))
    }

    /// As [`Self::put`] of a value that stood at `from`, where `rest` is the object without it. It is looked through
    /// only when it may have become too deep: moving costs nothing, whatever is moved.
    fn moved(&mut self, from: &str, path: &str, value: &Value, rest: &Value) -> Outcome<()> {
        let deepest = self.depth.saturating_sub(steps(from)) + steps(path);
        if deepest <= MAX_DEPTH {
            return self.reach(deepest);
        }
        #[cfg(test)]
        {
            self.walks += 1;
        }
        self.depth = depth(rest);
        self.put(path, value)
    }

    fn reach(&mut self, depth: usize) -> Outcome<()> {
        // A document that was read is not deeper than that, and by this rule it never becomes so: `depth` ends.
        if depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        self.depth = self.depth.max(depth);
        Ok(())
    }
}

fn steps(path: &str) -> usize {
    path.matches('/').count()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

type Outcome<T> = Result<T, String>;

const MISSING: &str = "missing value";

impl Operation {
    fn apply(&self, target: &mut Value, limits: &mut Limits) -> Outcome<()> {
        match &self.what {
            What::Add(value) => {
                let path = self.path("add", "")?;
                let (place, key) = find(target, path).ok_or_else(|| {
                    format!("add operation does not apply: doc is missing path: \"{path}\": {MISSING}")
                })?;
                limits.put(path, value)?;
                add(place, &key, value.clone()).map_err(|why| format!("error in add for path: '{path}': {why}"))
            }
            What::Remove => {
                let path = self.path("remove", "")?;
                let (place, key) = find(target, path).ok_or_else(|| {
                    format!("remove operation does not apply: doc is missing path: \"{path}\": {MISSING}")
                })?;
                let removed = remove(place, &key);
                removed
                    .map(drop)
                    .map_err(|why| format!("error in remove for path: '{path}': {why}"))
            }
            What::Replace(value) => self.replace(target, value, limits),
            What::Move(from) => {
                let from = source("move", from.as_deref())?;
                let (place, key) = find(target, from).ok_or_else(|| {
                    format!("move operation does not apply: doc is missing from path: {from}: {MISSING}")
                })?;
                let value = remove(place, &key).map_err(|why| format!("error in move for path: '{key}': {why}"))?;
                let path = self.path("move", "operation missing path field: ")?;
                limits.moved(from, path, &value, target)?;
                let (place, key) = self.destination("move", target)?;
                add(place, &key, value).map_err(|why| format!("error in move for path: '{path}': {why}"))
            }
            What::Copy(from) => {
                let from = source("copy", from.as_deref())?;
                let (place, key) = find(target, from).ok_or_else(|| {
                    format!("copy operation does not apply: doc is missing from path: {from}: {MISSING}")
                })?;
                let value = get(place, &key).map_err(|why| format!("error in copy for from: '{from}': {why}"))?;
                let value = value.cloned().unwrap_or_default();
                let path = self.path("copy", "")?;
                let (place, key) = self.destination("copy", target)?;
                limits.copy(&value)?;
                limits.put(path, &value)?;
                add(place, &key, value).map_err(|why| format!("error while adding value during copy: {why}"))
            }
            What::Test(value) => self.test(target, value),
            What::Unknown(kind) => Err(format!("Unexpected kind: {kind}")),
        }
    }

    fn path(&self, operation: &str, why: &str) -> Outcome<&str> {
        let path = self.path.as_deref();
        path.ok_or_else(|| format!("{operation} operation failed to decode path: {why}{MISSING}"))
    }

    /// Where a move or a copy leads.
    fn destination<'a>(&self, operation: &str, target: &'a mut Value) -> Outcome<(&'a mut Value, String)> {
        let path = self.path.as_deref().unwrap_or_default();
        find(target, path).ok_or_else(|| {
            format!("{operation} operation does not apply: doc is missing destination path: {path}: {MISSING}")
        })
    }

    fn replace(&self, target: &mut Value, value: &Value, limits: &mut Limits) -> Outcome<()> {
        let path = self.path("replace", "operation missing path field: ")?;
        if path.is_empty() {
            if !value.is_object() && !value.is_array() {
                return Err("replace operation value must be object or array".to_owned());
            }
            *target = value.clone();
            return Ok(());
        }
        let missing =
            |what: &str| format!("replace operation does not apply: doc is missing {what}: {path}: {MISSING}");
        let (place, key) = find(target, path).ok_or_else(|| missing("path"))?;
        limits.put(path, value)?;
        match place {
            Value::Array(list) => {
                let at = position(&key, list.len()).map_err(|_| missing("key"))?;
                list[at] = value.clone();
            }
            Value::Object(map) => drop(map.insert(key, value.clone())),
            _ => return Err(missing("path")),
        }
        Ok(())
    }

    fn test(&self, target: &mut Value, value: &Value) -> Outcome<()> {
        let path = self.path("test", "operation missing path field: ")?;
        let found = if path.is_empty() {
            &*target
        } else {
            let (place, key) = find(target, path)
                .ok_or_else(|| format!("test operation does not apply: is missing path: {path}: {MISSING}"))?;
            let found = get(place, &key).map_err(|why| format!("error in test for path: '{path}': {why}"))?;
            found.unwrap_or(&Value::Null)
        };
        if found == value {
            return Ok(());
        }
        Err(format!("testing value {path} failed: test failed"))
    }
}

fn source<'a>(operation: &str, from: Option<&'a str>) -> Outcome<&'a str> {
    from.ok_or_else(|| format!("{operation} operation failed to decode from: operation, missing from field: {MISSING}"))
}

/// The unescaped steps of a JSON pointer, the last one apart. What stands before the first slash is not looked at.
fn split(path: &str) -> Option<(Vec<String>, String)> {
    let (_, rest) = path.split_once('/')?;
    let mut steps: Vec<String> = rest
        .split('/')
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .collect();
    let last = steps.pop()?;
    Some((steps, last))
}

/// The map or list a pointer's last step is about, and that step.
fn find<'a>(target: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (parents, last) = split(path)?;
    let mut at = target;
    for step in &parents {
        at = match at {
            Value::Object(map) => map.get_mut(step)?,
            Value::Array(list) => {
                let at = position(step, list.len()).ok()?;
                list.get_mut(at)?
            }
            _ => return None,
        };
    }
    (at.is_object() || at.is_array()).then_some((at, last))
}

fn get<'a>(place: &'a Value, key: &str) -> Outcome<Option<&'a Value>> {
    match place {
        Value::Array(list) => Ok(list.get(position(key, list.len())?)),
        other => Ok(other.get(key)),
    }
}

fn number(step: &str) -> Outcome<i64> {
    step.parse()
        .map_err(|_| format!("strconv.Atoi: parsing {}: invalid syntax", quote(step)))
}

/// The index below `end` a step stands for; negative ones count from there.
fn index(number: i64, end: usize) -> Outcome<usize> {
    let size = i64::try_from(end).unwrap_or(i64::MAX);
    let at = if number < 0 {
        number.saturating_add(size)
    } else {
        number
    };
    let fits = usize::try_from(at).ok().filter(|at| *at < end);
    fits.ok_or_else(|| format!("Unable to access invalid index: {number}: invalid index referenced"))
}

fn position(step: &str, len: usize) -> Outcome<usize> {
    index(number(step)?, len)
}

fn add(place: &mut Value, key: &str, value: Value) -> Outcome<()> {
    match place {
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => {
            let number = number(key).map_err(|why| format!("value was not a proper array index: '{key}': {why}"))?;
            // The list as it will be.
            list.insert(index(number, list.len() + 1)?, value);
        }
        Value::Object(map) => drop(map.insert(key.to_owned(), value)),
        _ => return Err(MISSING.to_owned()),
    }
    Ok(())
}

fn remove(place: &mut Value, key: &str) -> Outcome<Value> {
    match place {
        Value::Array(list) => {
            let at = position(key, list.len())?;
            Ok(list.remove(at))
        }
        Value::Object(map) => map
            .remove(key)
            .ok_or_else(|| format!("Unable to remove nonexistent key: {key}: {MISSING}")),
        _ => Err(MISSING.to_owned()),
    }
}
