//! JSON patch (RFC 6902) with the habits of the library upstream uses (gopkg.in/evanphx/json-patch.v4): negative
//! indices count from the end, a `test` for null passes on an absent value.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Error;
use crate::codec::{MAX_DEPTH, json};
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
    path: String,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Add(Value),
    Remove,
    Replace(Value),
    Move(String),
    Copy(String),
    Test(Value),
    Unknown(String),
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    op: String,
    path: Option<String>,
    from: Option<String>,
    #[serde(default)]
    value: Value,
}

impl Patch {
    /// Parses the list of operations.
    ///
    /// # Errors
    /// When the text is no list of operations, or the list is too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let tree = json::parse(bytes)
            .map_err(|error| Error::Malformed(error.to_string()))?
            .object;
        Self::from_value(&tree)
    }

    /// Reads the list of operations from a tree.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_value(tree: &Value) -> Result<Self, Error> {
        let Value::Array(list) = tree else {
            let word = match tree {
                Value::Object(_) => "object",
                Value::String(_) => "string",
                Value::Number(_) => "number",
                Value::Bool(_) => "bool",
                _ => return Ok(Self::default()),
            };
            let text = format!("json: cannot unmarshal {word} into Go value of type jsonpatch.Patch");
            return Err(Error::Malformed(text));
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

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Puts in what Go writes of an object although it is empty, where an operation goes through it: upstream
    /// patches Go's JSON, where `status` is there from the start.
    pub fn write_structs(&self, schema: &Schema, ty: TypeId, target: &mut Value) {
        for operation in &self.operations {
            let source = match &operation.what {
                What::Move(from) | What::Copy(from) => Some(from),
                _ => None,
            };
            for path in [Some(&operation.path), source].into_iter().flatten() {
                if let Some((_, parents)) = steps(path).as_deref().ok().and_then(<[_]>::split_last) {
                    written::structs(schema, ty, target, parents);
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
        let mut budget = max_copied;
        for operation in &self.operations {
            operation.apply(target, &mut budget).map_err(Error::Inapplicable)?;
        }
        Ok(())
    }
}

fn operation(tree: &Value) -> Result<Operation, Error> {
    let raw = Raw::deserialize(tree).map_err(|error| Error::Malformed(error.to_string()))?;
    let from = |raw: &Raw| raw.from.clone().unwrap_or_default();
    let what = match raw.op.as_str() {
        "add" => What::Add(raw.value.clone()),
        "remove" => What::Remove,
        "replace" => What::Replace(raw.value.clone()),
        "move" => What::Move(from(&raw)),
        "copy" => What::Copy(from(&raw)),
        "test" => What::Test(raw.value.clone()),
        other => What::Unknown(other.to_owned()),
    };
    Ok(Operation {
        what,
        path: raw.path.unwrap_or_default(),
    })
}

type Outcome<T> = Result<T, String>;

impl Operation {
    fn apply(&self, target: &mut Value, budget: &mut usize) -> Outcome<()> {
        let path = self.path.as_str();
        match &self.what {
            What::Add(value) => add(target, path, value.clone()).map_err(|why| doomed("add", path, why)),
            What::Remove => remove(target, path)
                .map(drop)
                .map_err(|why| doomed("remove", path, why)),
            What::Replace(value) => {
                let place = find_mut(target, path).map_err(|why| doomed("replace", path, why))?;
                fits(path.matches('/').count(), value)?;
                *place = value.clone();
                Ok(())
            }
            What::Move(from) => {
                let value = remove(target, from).map_err(|why| doomed("move", from, why))?;
                add(target, path, value).map_err(|why| doomed("move", path, why))
            }
            What::Copy(from) => {
                let value = find(target, from)
                    .ok_or_else(|| doomed("copy", from, MISSING.to_owned()))?
                    .clone();
                let size = json::encode(&value).len();
                let left = budget.checked_sub(size);
                *budget = left.ok_or_else(|| "the accumulated size of copies is too large".to_owned())?;
                add(target, path, value).map_err(|why| doomed("copy", path, why))
            }
            What::Test(value) => match find(target, path) {
                Some(found) if found == value => Ok(()),
                None if value.is_null() => Ok(()),
                _ => Err(format!("testing value {path} failed: test failed")),
            },
            What::Unknown(kind) => Err(format!("Unexpected kind: {kind}")),
        }
    }
}

const MISSING: &str = "missing value";

fn doomed(operation: &str, path: &str, why: String) -> String {
    format!("{operation} operation does not apply: doc is missing path: \"{path}\": {why}")
}

/// The unescaped steps of a JSON pointer.
fn steps(path: &str) -> Outcome<Vec<String>> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let rest = path.strip_prefix('/').ok_or_else(|| MISSING.to_owned())?;
    Ok(rest
        .split('/')
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .collect())
}

/// The index a step stands for in a list of `len`; `-` and negative numbers count from the end.
fn index(step: &str, len: usize) -> Option<usize> {
    match step.strip_prefix('-') {
        Some(back) => len.checked_sub(back.parse::<usize>().ok()?),
        None => step.parse::<usize>().ok(),
    }
}

fn find<'a>(target: &'a Value, path: &str) -> Option<&'a Value> {
    steps(path).ok()?.iter().try_fold(target, |at, step| match at {
        Value::Object(map) => map.get(step),
        Value::Array(list) => list.get(index(step, list.len())?),
        _ => None,
    })
}

fn find_mut<'a>(target: &'a mut Value, path: &str) -> Outcome<&'a mut Value> {
    descend(target, &steps(path)?)
}

fn descend<'a>(target: &'a mut Value, steps: &[String]) -> Outcome<&'a mut Value> {
    let mut at = target;
    for step in steps {
        let next = match at {
            Value::Object(map) => map.get_mut(step),
            Value::Array(list) => index(step, list.len()).and_then(|index| list.get_mut(index)),
            _ => None,
        };
        at = next.ok_or_else(|| MISSING.to_owned())?;
    }
    Ok(at)
}

/// Whether a value may stand below so many containers. Copies could otherwise double the depth with every operation,
/// and whatever walks the object afterwards would exhaust its stack.
fn fits(above: usize, value: &Value) -> Outcome<()> {
    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
            Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }
    // A document that was read is not deeper than that, and by this rule it never becomes so: `depth` ends.
    if above + depth(value) > MAX_DEPTH {
        return Err("exceeded max depth".to_owned());
    }
    Ok(())
}

fn add(target: &mut Value, path: &str, value: Value) -> Outcome<()> {
    let steps = steps(path)?;
    fits(steps.len(), &value)?;
    let Some((last, parents)) = steps.split_last() else {
        *target = value;
        return Ok(());
    };
    match descend(target, parents)? {
        Value::Object(map) => {
            map.insert(last.clone(), value);
            Ok(())
        }
        Value::Array(list) if last == "-" => {
            list.push(value);
            Ok(())
        }
        Value::Array(list) => {
            // A negative index of an insertion counts in the list as it will be.
            let len = list.len();
            let at = index(last, if last.starts_with('-') { len + 1 } else { len });
            let at = at.filter(|at| *at <= len);
            let at = at.ok_or_else(|| format!("Unable to access invalid index: {last}: invalid index referenced"))?;
            list.insert(at, value);
            Ok(())
        }
        _ => Err(MISSING.to_owned()),
    }
}

fn remove(target: &mut Value, path: &str) -> Outcome<Value> {
    let steps = steps(path)?;
    let Some((last, parents)) = steps.split_last() else {
        return Ok(std::mem::replace(target, Value::Object(Map::new())));
    };
    match descend(target, parents)? {
        Value::Object(map) => map
            .remove(last)
            .ok_or_else(|| format!("Unable to remove nonexistent key: {last}: {MISSING}")),
        Value::Array(list) => {
            let at = index(last, list.len()).filter(|at| *at < list.len());
            let at = at.ok_or_else(|| format!("Unable to access invalid index: {last}: invalid index referenced"))?;
            Ok(list.remove(at))
        }
        _ => Err(MISSING.to_owned()),
    }
}
