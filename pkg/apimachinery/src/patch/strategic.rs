//! Strategic merge patch, driven by the schema table (upstream: apimachinery `util/strategicpatch/patch.go`).
//!
//! Maps merge field by field and null deletes. Lists merge when the table says `patch=merge`: structs by their merge
//! key, scalars as sets; other lists are replaced. Directives inside the patch steer this:
//!
//! - `$patch: replace | delete | merge` in a map, or in an element of a list merged by key;
//! - `$retainKeys: [..]`: fields not named are dropped before merging;
//! - `$deleteFromPrimitiveList/<field>: [..]`: scalars to remove;
//! - `$setElementOrder/<field>: [..]`: the order of the merged list.

use serde_json::{Map, Value};

use super::Error;
use crate::schema::{Field, Kind, Schema, Shape, TypeId};

mod order;
#[cfg(test)]
mod tests;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

type Result<T> = std::result::Result<T, Error>;
type Fields = Map<String, Value>;

/// Applies `patch` to an object of a known type. On an error the target is half changed: apply to a copy.
///
/// # Errors
/// When the patch is no map, a directive is malformed, or an element lacks its merge key.
pub fn apply(schema: &Schema, ty: TypeId, target: &mut Value, patch: &Value) -> Result<()> {
    let Value::Object(patch) = patch else {
        return Err(Error::Malformed("Invalid JSON document".to_owned()));
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return Ok(()) };
    Merger { schema }.map(Place::Struct(ty), map, patch.clone())
}

/// What the table knows about the map at hand.
#[derive(Clone, Copy)]
enum Place {
    /// A struct of the table.
    Struct(TypeId),
    /// A map whose entries are of this kind.
    Entries(Kind),
    /// Nothing: every list is replaced.
    Free,
}

/// How one field is treated.
struct Treatment<'a> {
    place: Place,
    merge: bool,
    replace: bool,
    key: Option<&'a str>,
}

struct Merger<'a> {
    schema: &'a Schema,
}

impl<'a> Merger<'a> {
    fn treatment(&self, place: Place, name: &str) -> Treatment<'a> {
        let free = Treatment {
            place: Place::Free,
            merge: false,
            replace: false,
            key: None,
        };
        match place {
            Place::Struct(ty) => match self.schema[ty].field(name) {
                Some(field) => Treatment {
                    place: inside(field),
                    merge: field.patch.merge,
                    replace: field.patch.replace,
                    key: field.patch.key.as_deref(),
                },
                None => free,
            },
            Place::Entries(Kind::Struct(ty)) => Treatment {
                place: Place::Struct(ty),
                ..free
            },
            Place::Entries(_) | Place::Free => free,
        }
    }

    /// Merges `patch` into `target`.
    fn map(&self, place: Place, target: &mut Fields, mut patch: Fields) -> Result<()> {
        if let Some(directive) = patch.remove(PATCH) {
            match directive.as_str() {
                Some("replace") => {
                    *target = patch;
                    return Ok(());
                }
                Some("delete") => {
                    target.clear();
                    return Ok(());
                }
                Some("merge") => {}
                _ => return Err(unknown_directive(&directive, &patch)),
            }
        }
        if let Some(keys) = patch.remove(RETAIN_KEYS) {
            retain(target, &patch, &keys)?;
        }
        self.ordered(place, target, &mut patch)?;
        for (key, change) in patch {
            if let Some(name) = directive_field(&key, DELETE_FROM)? {
                if let (Some(Value::Array(list)), Value::Array(gone)) = (target.get_mut(name), &change) {
                    list.retain(|one| !gone.contains(one));
                } else if !change.is_array() {
                    return Err(Error::Malformed("invalid patch format of primitive list".to_owned()));
                }
                continue;
            }
            self.field(place, target, key, change)?;
        }
        Ok(())
    }

    fn field(&self, place: Place, target: &mut Fields, key: String, change: Value) -> Result<()> {
        let treatment = self.treatment(place, &key);
        match (target.get_mut(&key), change) {
            (_, Value::Null) => drop(target.remove(&key)),
            (Some(Value::Object(inner)), Value::Object(change)) if !treatment.replace => {
                self.map(treatment.place, inner, change)?;
            }
            (Some(Value::Array(list)), Value::Array(change)) if treatment.merge => {
                let merged = self.list(&treatment, std::mem::take(list), change)?;
                target.insert(key, Value::Array(merged));
            }
            (Some(Value::Array(list)), Value::Array(change)) => *list = without_directives(change),
            (Some(Value::Object(_)), Value::Object(change)) => {
                target.insert(key, Value::Object(change));
            }
            // New, or of another type: taken as it is, without nulls and directives.
            (_, change) => match plain(change) {
                Some(value) => drop(target.insert(key, value)),
                None => drop(target.remove(&key)),
            },
        }
        Ok(())
    }

    /// Merges two lists by key or as sets; elements of the patch keep their order among themselves.
    fn list(&self, treatment: &Treatment<'_>, original: Vec<Value>, patch: Vec<Value>) -> Result<Vec<Value>> {
        if original.is_empty() && patch.is_empty() {
            return Ok(original);
        }
        let maps = original.iter().chain(&patch).any(Value::is_object);
        if !maps {
            let order = patch.clone();
            let mut both = original.clone();
            for one in patch {
                if !both.contains(&one) {
                    both.push(one);
                }
            }
            let both = order::unique(both);
            return Ok(order::arrange(both, &order, &original, None));
        }
        let key = treatment
            .key
            .ok_or_else(|| Error::Inapplicable("cannot merge lists without merge key".to_owned()))?;
        let (mut merged, patch) = special(original, patch, key)?;
        let server_order: Vec<Value> = merged.clone();
        for change in &patch {
            let value = order::key_of(change, key)?;
            let found = merged.iter_mut().find(|one| one.get(key) == Some(value));
            match (found, change) {
                (Some(Value::Object(map)), Value::Object(change)) => {
                    self.map(treatment.place, map, change.clone())?;
                }
                _ => merged.extend(plain(change.clone())),
            }
        }
        for one in &merged {
            order::key_of(one, key)?;
        }
        Ok(order::arrange(merged, &patch, &server_order, Some(key)))
    }

    /// Handles `$setElementOrder/<field>` together with the list it orders; both leave the patch.
    fn ordered(&self, place: Place, target: &mut Fields, patch: &mut Fields) -> Result<()> {
        let directives: Vec<String> = patch.keys().filter(|key| key.starts_with(SET_ORDER)).cloned().collect();
        for directive in directives {
            let bad = || Error::Malformed("invalid patch format of setElementOrder list".to_owned());
            let name = directive_field(&directive, SET_ORDER)?.ok_or_else(bad)?.to_owned();
            let Some(Value::Array(wanted)) = patch.remove(&directive) else {
                return Err(bad());
            };
            let treatment = self.treatment(place, &name);
            let change = match patch.remove(&name) {
                Some(Value::Array(list)) => Some(list),
                None => None,
                // A null or another type is no list to order.
                Some(other) => {
                    patch.insert(name, other);
                    continue;
                }
            };
            let original = match target.get(&name) {
                Some(Value::Array(list)) => Some(list.clone()),
                _ => None,
            };
            let key = treatment.key;
            let merged = match (original.clone(), change) {
                (Some(original), Some(change)) => {
                    let change = order::check(change, &wanted, key)?;
                    if treatment.merge {
                        self.list(&treatment, original, change)?
                    } else {
                        without_directives(change)
                    }
                }
                (Some(original), None) => original,
                (None, Some(change)) => without_directives(change),
                (None, None) => continue,
            };
            if let Some(key) = key {
                for one in merged.iter().chain(&wanted) {
                    order::key_of(one, key)?;
                }
            }
            // Scalars of `$deleteFromPrimitiveList` go before the order is set.
            let merged = match patch.remove(&format!("{DELETE_FROM}/{name}")) {
                Some(Value::Array(gone)) => merged.into_iter().filter(|one| !gone.contains(one)).collect(),
                _ => merged,
            };
            let arranged = order::arrange(merged, &wanted, &original.unwrap_or_default(), key);
            target.insert(name, Value::Array(arranged));
        }
        Ok(())
    }
}

/// What the table says about the inside of a field's value or elements.
fn inside(field: &Field) -> Place {
    match (field.shape, field.kind) {
        (Shape::Map, kind) => Place::Entries(kind),
        (_, Kind::Struct(ty)) => Place::Struct(ty),
        _ => Place::Free,
    }
}

/// The field a `$directive/field` key speaks of.
fn directive_field<'k>(key: &'k str, directive: &str) -> Result<Option<&'k str>> {
    let Some(rest) = key.strip_prefix(directive) else {
        return Ok(None);
    };
    match rest.strip_prefix('/') {
        Some(name) if !name.is_empty() => Ok(Some(name)),
        _ => Err(Error::Malformed(format!("{directive} needs a field name: {key}"))),
    }
}

/// `$retainKeys`: drops the target's fields that are not named; every field of the patch must be named.
fn retain(target: &mut Fields, patch: &Fields, keys: &Value) -> Result<()> {
    let bad = || Error::Malformed("invalid patch format of retainKeys".to_owned());
    let Value::Array(keys) = keys else { return Err(bad()) };
    let named = |name: &str| keys.iter().any(|key| key.as_str() == Some(name));
    for key in patch.keys() {
        let name = key
            .split_once('/')
            .filter(|_| key.starts_with('$'))
            .map_or(key.as_str(), |(_, name)| name);
        if !named(name) {
            return Err(bad());
        }
    }
    target.retain(|name, _| named(name));
    Ok(())
}

/// Carries out the `$patch` elements of a list merged by key: the original after deletions, and the rest of the patch.
fn special(mut original: Vec<Value>, patch: Vec<Value>, key: &str) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut rest = Vec::with_capacity(patch.len());
    let mut replace = false;
    for one in patch {
        let Some(directive) = one.get(PATCH) else {
            rest.push(one);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let value = order::key_of(&one, key)?.clone();
                original.retain(|element| element.get(key) != Some(&value));
            }
            Some("replace") => replace = true,
            Some("merge") => {
                return Err(Error::Inapplicable(
                    "merging lists cannot yet be specified in the patch".to_owned(),
                ));
            }
            _ => return Err(unknown_directive(directive, one.as_object().unwrap_or(&Map::new()))),
        }
    }
    Ok(if replace { (rest, Vec::new()) } else { (original, rest) })
}

fn unknown_directive(directive: &Value, map: &Fields) -> Error {
    let directive = directive.as_str().map_or_else(|| directive.to_string(), str::to_owned);
    Error::Inapplicable(format!(
        "unknown patch type: {directive} in map: {}",
        Value::Object(map.clone())
    ))
}

/// A value without nulls and directives; None when it is itself a directive.
fn plain(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) => {
            if map.contains_key(PATCH) {
                return None;
            }
            let kept = map
                .into_iter()
                .filter(|(key, value)| !value.is_null() && !is_directive(key));
            Some(Value::Object(
                kept.filter_map(|(key, value)| Some((key, plain(value)?))).collect(),
            ))
        }
        Value::Array(list) => Some(Value::Array(without_directives(list))),
        other => Some(other),
    }
}

fn without_directives(list: Vec<Value>) -> Vec<Value> {
    list.into_iter().filter_map(plain).collect()
}

fn is_directive(key: &str) -> bool {
    key == RETAIN_KEYS || key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER)
}
