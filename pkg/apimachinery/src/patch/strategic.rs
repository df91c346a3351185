//! Strategic merge patch, driven by the schema table (upstream: apimachinery `util/strategicpatch/patch.go`).
//!
//! Maps merge field by field and null deletes. Lists merge when the table says `patch=merge`: structs by their merge
//! key, scalars as sets; other lists are replaced. Directives inside the patch steer this:
//!
//! - `$patch: replace | delete` in a map, or in an element of a list merged by key;
//! - `$retainKeys: [..]`: fields not named are dropped before merging;
//! - `$deleteFromPrimitiveList/<field>: [..]`: scalars to remove;
//! - `$setElementOrder/<field>: [..]`: the order of the merged list.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{Error, go};
use crate::field::quote;
use crate::schema::{Field, Kind, Schema, Shape, TypeId};

mod order;
#[cfg(test)]
mod tests;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

/// Go's types, as errors name them.
const MAP: &str = "map[string]interface {}";
const LIST: &str = "[]interface {}";

type Result<T> = std::result::Result<T, Error>;
type Fields = Map<String, Value>;

/// Applies `patch` to an object of a known type. On an error the target is half changed: apply to a copy.
///
/// # Errors
/// When the patch is no map, a directive is malformed, or an element lacks its merge key.
pub fn apply(schema: &Schema, ty: TypeId, target: &mut Value, patch: &Value) -> Result<()> {
    let patch = match patch {
        Value::Object(patch) => patch,
        // To Go a map without entries.
        Value::Null => return Ok(()),
        other => return Err(Error::Malformed(super::cannot_unmarshal(other, MAP))),
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
        if let Some(directive) = patch.get(PATCH) {
            match directive.as_str() {
                Some("replace") => {
                    patch.remove(PATCH);
                    *target = patch;
                }
                Some("delete") => target.clear(),
                _ => return Err(unknown_directive(directive, &patch)),
            }
            return Ok(());
        }
        if let Some(keys) = patch.remove(RETAIN_KEYS) {
            retain(target, &patch, &keys)?;
        }
        self.ordered(place, target, &mut patch)?;
        for (key, change) in patch {
            match directive_field(&key, DELETE_FROM)? {
                Some(name) => delete_from(target, name, change)?,
                None => self.field(place, target, key, change)?,
            }
        }
        Ok(())
    }

    fn field(&self, place: Place, target: &mut Fields, key: String, change: Value) -> Result<()> {
        let treatment = self.treatment(place, &key);
        match (target.get_mut(&key), change) {
            (_, Value::Null) => drop(target.remove(&key)),
            (Some(Value::Object(inner)), Value::Object(change)) => {
                if treatment.replace {
                    *inner = change;
                } else {
                    self.map(treatment.place, inner, change)?;
                }
            }
            (Some(Value::Array(list)), Value::Array(change)) => {
                *list = self.list(&treatment, std::mem::take(list), change)?;
            }
            // New, or of another type: taken as it is, without nulls and what is to go.
            (_, change) => match plain(change) {
                Some(value) => drop(target.insert(key, value)),
                None => drop(target.remove(&key)),
            },
        }
        Ok(())
    }

    /// Merges two lists, if the table says so, by key or as sets; elements of the patch keep their order among
    /// themselves.
    fn list(&self, treatment: &Treatment<'_>, original: Vec<Value>, patch: Vec<Value>) -> Result<Vec<Value>> {
        if !treatment.merge {
            return Ok(patch);
        }
        if original.is_empty() && patch.is_empty() {
            return Ok(original);
        }
        if !are_maps(&original, &patch)? {
            let both = original.iter().chain(&patch).cloned().collect();
            return Ok(order::arrange(order::unique(both), &patch, &original, None));
        }
        let key = treatment
            .key
            .ok_or_else(|| Error::Failed("cannot merge lists without merge key for struct".to_owned()))?;
        let (original, patch) = special(original, patch, key)?;
        let merged = self.elements(treatment.place, original.clone(), &patch, key)?;
        for one in &merged {
            order::key_of(one, key)?;
        }
        Ok(order::arrange(merged, &patch, &original, Some(key)))
    }

    /// Merges each element of a patch into the first one of its key; new ones are appended as they are.
    fn elements(&self, place: Place, mut list: Vec<Value>, patch: &[Value], key: &str) -> Result<Vec<Value>> {
        let mut places: HashMap<Value, usize> = HashMap::new();
        for (at, one) in list.iter().enumerate() {
            if let Some(value) = one.get(key) {
                places.entry(value.clone()).or_insert(at);
            }
        }
        for change in patch {
            let value = order::key_of(change, key)?;
            match places.get(value) {
                Some(at) => {
                    if let (Value::Object(map), Value::Object(change)) = (&mut list[*at], change) {
                        self.map(place, map, change.clone())?;
                    }
                }
                None => {
                    places.insert(value.clone(), list.len());
                    list.push(change.clone());
                }
            }
        }
        Ok(list)
    }

    /// Handles `$setElementOrder/<field>` together with the list it orders; both leave the patch.
    fn ordered(&self, place: Place, target: &mut Fields, patch: &mut Fields) -> Result<()> {
        let directives: Vec<String> = patch.keys().filter(|key| key.starts_with(SET_ORDER)).cloned().collect();
        for directive in directives {
            let wanted = a_list(patch.remove(&directive))?.unwrap_or_default();
            let Some(name) = directive_field(&directive, SET_ORDER)? else {
                continue;
            };
            let original = a_list(target.get(name).cloned())?;
            let change = a_list(patch.remove(name))?;
            self.must_know(place, name)?;
            let treatment = self.treatment(place, name);
            let elements = change.as_deref().unwrap_or_default();
            order::check(elements, &wanted, treatment.key)?;
            let server = original.clone().unwrap_or_default();
            let maps = || are_maps(&server, elements);
            let (merged, maps) = match (original, change.clone()) {
                (None, None) => continue,
                (Some(original), Some(change)) => (self.list(&treatment, original, change)?, maps()?),
                (Some(original), None) => (original, maps()?),
                (None, Some(change)) => (without_directives(change), maps()?),
            };
            if let Some(key) = treatment.key.filter(|_| maps) {
                for one in merged.iter().chain(&wanted) {
                    order::key_of(one, key)?;
                }
            }
            let arranged = order::arrange(merged, &wanted, &server, treatment.key);
            target.insert(name.to_owned(), Value::Array(arranged));
        }
        Ok(())
    }

    /// A struct's fields are those it has (upstream: `LookupPatchMetadataForStruct`).
    fn must_know(&self, place: Place, name: &str) -> Result<()> {
        match place {
            Place::Struct(ty) if self.schema[ty].field(name).is_none() => {
                let (ty, name) = (self.schema[ty].struct_name(), quote(name));
                let text = format!("unable to find api field in struct {ty} for the json field {name}");
                Err(Error::Failed(text))
            }
            _ => Ok(()),
        }
    }
}

/// What must be a list if it is there at all.
fn a_list(value: Option<Value>) -> Result<Option<Vec<Value>>> {
    match value {
        None => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(other) => Err(bad_type(LIST, &other)),
    }
}

fn bad_type(expected: &str, value: &Value) -> Error {
    let actual = match value {
        Value::Null => go::text(value),
        other => go::type_name(other).to_owned(),
    };
    Error::Failed(format!("expected a {expected}, but received a {actual}"))
}

/// Whether the elements of two lists are maps; all must be of one type (upstream: `sliceElementType`).
fn are_maps(original: &[Value], patch: &[Value]) -> Result<bool> {
    let mut types = original.iter().chain(patch).map(go::type_name);
    let Some(first) = types.next() else {
        return Err(Error::Failed("no elements in any of the given slices".to_owned()));
    };
    if first == LIST {
        return Err(Error::Inapplicable("lists of lists are not supported".to_owned()));
    }
    if types.any(|other| other != first) {
        let lists = format!("[{} {}]", go::plain_list(original), go::plain_list(patch));
        return Err(Error::Failed(format!("list element types are not identical: {lists}")));
    }
    Ok(first == MAP)
}

/// `$deleteFromPrimitiveList/<field>`: the list without these scalars; what is no list stays.
fn delete_from(target: &mut Fields, name: &str, gone: Value) -> Result<()> {
    match (target.get_mut(name), gone) {
        (_, Value::Null) => drop(target.remove(name)),
        (Some(Value::Array(list)), Value::Array(gone)) if !(list.is_empty() && gone.is_empty()) => {
            are_maps(list, &gone)?;
            let gone: HashSet<Value> = gone.into_iter().collect();
            list.retain(|one| !gone.contains(one));
        }
        _ => {}
    }
    Ok(())
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
    let of = if directive == DELETE_FROM {
        "primitive"
    } else {
        "setElementOrder"
    };
    let bad = || Error::Malformed(format!("invalid patch format of {of} list"));
    rest.strip_prefix('/').map(Some).ok_or_else(bad)
}

/// `$retainKeys`: drops the target's fields that are not named; every field the patch sets must be named.
fn retain(target: &mut Fields, patch: &Fields, keys: &Value) -> Result<()> {
    let bad = || Error::Malformed("invalid patch format of retainKeys".to_owned());
    let Value::Array(keys) = keys else { return Err(bad()) };
    let keys: HashSet<&str> = keys.iter().filter_map(Value::as_str).collect();
    // kubectl takes the others away by null, too.
    let sets = |(key, value): (&String, &Value)| {
        !value.is_null() && !key.starts_with(DELETE_FROM) && !key.starts_with(SET_ORDER) && !keys.contains(key.as_str())
    };
    if patch.iter().any(sets) {
        return Err(bad());
    }
    target.retain(|name, _| keys.contains(name.as_str()));
    Ok(())
}

/// Carries out the `$patch` elements of a list merged by key: the original after deletions, and the rest of the patch.
fn special(mut original: Vec<Value>, patch: Vec<Value>, key: &str) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut rest = Vec::with_capacity(patch.len());
    let mut gone = HashSet::new();
    let mut replace = false;
    for one in patch {
        let Some(directive) = one.get(PATCH) else {
            rest.push(one);
            continue;
        };
        match directive.as_str() {
            Some("delete") => drop(gone.insert(order::key_of(&one, key)?.clone())),
            Some("replace") => replace = true,
            Some("merge") => {
                let text = "merging lists cannot yet be specified in the patch";
                return Err(Error::Failed(text.to_owned()));
            }
            _ => return Err(unknown_directive(directive, one.as_object().unwrap_or(&Map::new()))),
        }
    }
    if replace {
        return Ok((rest, Vec::new()));
    }
    original.retain(|element| element.get(key).is_none_or(|value| !gone.contains(value)));
    Ok((original, rest))
}

fn unknown_directive(directive: &Value, map: &Fields) -> Error {
    let (directive, map) = (go::text(directive), go::plain(&Value::Object(map.clone())));
    Error::Failed(format!("unknown patch type: {directive} in map: {map}"))
}

/// A value without nulls and maps with `$patch`; None when it is such a map itself. Other directives mean nothing in
/// what is new, and stay for decoding to complain of (upstream: `removeDirectives`, `discardNullValuesFromPatch`).
fn plain(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(PATCH) => None,
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
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
