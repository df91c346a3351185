//! `metadata.managedFields`: who owns which fields (apimachinery `util/managedfields/internal/managedfields.go`).

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::set::Set;

/// How an owner came to own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// By applying.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// What tells owners apart. The version is part of it for updates only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The field manager's name.
    pub(crate) manager: String,
    /// How it owns.
    pub(crate) operation: Operation,
    /// Version of an update; empty for an apply.
    pub(crate) api_version: String,
    /// The subresource it writes to, empty for the object itself.
    pub(crate) subresource: String,
}

impl Owner {
    /// The identity of a write. A manager without a name is `unknown`.
    pub(crate) fn new(manager: &str, operation: Operation, api_version: &str, subresource: &str) -> Self {
        let manager = if manager.is_empty() { "unknown" } else { manager };
        Self {
            manager: manager.to_owned(),
            operation,
            api_version: match operation {
                Operation::Apply => String::new(),
                Operation::Update => api_version.to_owned(),
            },
            subresource: subresource.to_owned(),
        }
    }

    /// The text upstream identifies an owner by; lists of owners are in its order.
    pub(super) fn identifier(&self) -> String {
        let mut out = String::from("{");
        let fields = [
            ("manager", self.manager.as_str()),
            ("operation", self.operation.name()),
            ("apiVersion", &self.api_version),
            ("subresource", &self.subresource),
        ];
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            let comma = if out.len() > 1 { "," } else { "" };
            out.push_str(&format!("{comma}\"{name}\":{}", Value::from(*value)));
        }
        out.push('}');
        out
    }
}

/// The fields of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Who.
    pub(crate) owner: Owner,
    /// The version the paths are in.
    pub(crate) api_version: String,
    /// When the owner last changed something, RFC 3339.
    pub(crate) time: Option<String>,
    /// The paths.
    pub(crate) fields: Fields,
}

/// The paths of one owner.
#[derive(Clone, Debug)]
pub(crate) enum Fields {
    /// Read, or made here.
    Known(Set),
    /// `fieldsV1` as a server stored it. Most writes touch few owners: the others are passed on unread.
    Stored(Value),
}

/// All owners of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Managed {
    /// One entry per owner.
    pub(crate) entries: Vec<Entry>,
}

impl Managed {
    /// Reads `metadata.managedFields`; an absent or empty list has no owners.
    ///
    /// # Errors
    /// When an entry is malformed.
    pub(crate) fn decode(list: Option<&Value>) -> Result<Self, String> {
        let mut out = Self::default();
        for (at, entry) in list.and_then(Value::as_array).into_iter().flatten().enumerate() {
            let fields = entry.get("fieldsV1").map(Set::from_fields_v1).transpose()?;
            out.put(Entry::read(at, entry, fields.map(Fields::Known))?);
        }
        Ok(out)
    }

    /// As [`Self::decode`] of a list a server has stored.
    ///
    /// # Errors
    /// When an entry is malformed; paths are not looked at.
    pub(super) fn stored(list: Value) -> Result<Self, String> {
        let mut out = Self::default();
        let Value::Array(list) = list else { return Ok(out) };
        for (at, mut entry) in list.into_iter().enumerate() {
            let fields = entry.as_object_mut().and_then(|map| map.remove("fieldsV1"));
            out.put(Entry::read(at, &entry, fields.map(Fields::Stored))?);
        }
        Ok(out)
    }

    /// Writes `metadata.managedFields`, in upstream's order; None when there are no owners.
    pub(crate) fn encode(self) -> Option<Value> {
        if self.entries.is_empty() {
            return None;
        }
        let mut sorted = self.entries;
        sorted.sort_by_cached_key(|entry| {
            (
                entry.owner.operation,
                seconds(entry),
                entry.owner.manager.clone(),
                entry.api_version.clone(),
                entry.owner.subresource.clone(),
            )
        });
        Some(Value::Array(sorted.into_iter().map(encode).collect()))
    }

    /// The entry of an owner.
    pub(crate) fn get(&self, owner: &Owner) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.owner == *owner)
    }

    /// Sets the entry of an owner.
    pub(super) fn put(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|present| present.owner == entry.owner) {
            Some(present) => *present = entry,
            None => self.entries.push(entry),
        }
    }

    /// Takes an owner's entry out.
    pub(super) fn take(&mut self, owner: &Owner) -> Option<Entry> {
        let at = self.entries.iter().position(|entry| entry.owner == *owner)?;
        Some(self.entries.swap_remove(at))
    }

    /// Merges the oldest updates of more than `max` managers into one owner per version
    /// (apimachinery `capmanagers.go`).
    pub(super) fn cap_updates(&mut self, max: usize) {
        let mut updates: Vec<(i64, String, Owner)> = self
            .entries
            .iter()
            .filter(|entry| entry.owner.operation == Operation::Update)
            .map(|entry| (seconds(entry), entry.owner.identifier(), entry.owner.clone()))
            .collect();
        if updates.len() <= max {
            return;
        }
        updates.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let mut left = updates.len();
        // By version: the oldest owner, which stays as it is until there is a second one.
        let mut firsts: Vec<(String, Owner)> = Vec::new();
        for (_, _, owner) in updates {
            if left <= max {
                return;
            }
            let version = owner.api_version.clone();
            let Some((_, first)) = firsts.iter().find(|(known, _)| *known == version).cloned() else {
                firsts.push((version, owner));
                continue;
            };
            let bucket = Owner::new(ANCIENT, Operation::Update, &version, "");
            if self.get(&bucket).is_none()
                && let Some(entry) = self.take(&first)
            {
                self.put(Entry {
                    owner: bucket.clone(),
                    ..entry
                });
            }
            if owner == bucket {
                continue;
            }
            let Some(old) = self.take(&owner) else { continue };
            if let Some(entry) = self.entries.iter_mut().find(|entry| entry.owner == bucket) {
                entry.fields = old.fields.into_set().union(entry.fields.set().into_owned()).into();
                entry.time = old.time;
            }
            left -= 1;
        }
    }
}

impl Entry {
    /// Reads the entry at a place of the list, but its fields.
    fn read(at: usize, entry: &Value, fields: Option<Fields>) -> Result<Self, String> {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let operation = match text("operation") {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err("operation must be `Apply` or `Update`".to_owned()),
        };
        let api_version = text("apiVersion");
        if api_version.is_empty() {
            return Err("apiVersion must not be empty".to_owned());
        }
        match text("fieldsType") {
            "FieldsV1" => {}
            "" => return Err(format!("missing fieldsType in managed fields entry {at}")),
            other => {
                let other = crate::field::quote(other);
                return Err(format!("invalid fieldsType {other} in managed fields entry {at}"));
            }
        }
        Ok(Self {
            owner: Owner {
                manager: text("manager").to_owned(),
                operation,
                api_version: match operation {
                    Operation::Apply => String::new(),
                    Operation::Update => api_version.to_owned(),
                },
                subresource: text("subresource").to_owned(),
            },
            api_version: api_version.to_owned(),
            time: entry.get("time").and_then(Value::as_str).map(str::to_owned),
            fields: fields.unwrap_or_default(),
        })
    }
}

/// The owner of updates that were merged away.
const ANCIENT: &str = "ancient-changes";

fn seconds(entry: &Entry) -> i64 {
    let time = entry.time.as_deref().and_then(|text| crate::time::parse(text).ok());
    time.map_or(0, |at| at.as_second())
}

fn encode(entry: Entry) -> Value {
    let mut out = Map::new();
    let texts = [
        ("manager", entry.owner.manager.as_str()),
        ("operation", entry.owner.operation.name()),
        ("apiVersion", &entry.api_version),
        ("subresource", &entry.owner.subresource),
        ("time", entry.time.as_deref().unwrap_or_default()),
        ("fieldsType", "FieldsV1"),
    ];
    for (name, value) in texts.iter().filter(|(_, value)| !value.is_empty()) {
        out.insert((*name).to_owned(), json!(value));
    }
    let fields = match entry.fields {
        Fields::Known(set) => set.to_fields_v1(),
        Fields::Stored(fields) => fields,
    };
    out.insert("fieldsV1".to_owned(), fields);
    Value::Object(out)
}

// === impl Fields ===

impl Fields {
    /// The paths. Stored ones that are malformed are none.
    pub(crate) fn set(&self) -> Cow<'_, Set> {
        match self {
            Self::Known(set) => Cow::Borrowed(set),
            Self::Stored(fields) => Cow::Owned(Set::from_fields_v1(fields).unwrap_or_default()),
        }
    }

    /// The same, kept.
    pub(crate) fn into_set(self) -> Set {
        match self {
            Self::Known(set) => set,
            stored => stored.set().into_owned(),
        }
    }

    /// Whether a change of these paths can concern the owner; when not, its fields stay as they are.
    pub(super) fn may_have(&self, changes: &Set) -> bool {
        match self {
            Self::Known(_) => true,
            Self::Stored(fields) => named(fields, changes),
        }
    }

    /// Whether it has no paths.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Known(set) => set.is_empty(),
            Self::Stored(fields) => fields.as_object().is_none_or(Map::is_empty),
        }
    }
}

/// Whether one of the paths, or one that goes on from it, has a name in the JSON.
fn named(fields: &Value, paths: &Set) -> bool {
    let Some(map) = fields.as_object() else { return false };
    paths.nodes().iter().any(|node| {
        let inside = map.get(&node.element.to_name());
        inside.is_some_and(|inside| node.member || named(inside, &node.children))
    })
}

impl Default for Fields {
    fn default() -> Self {
        Self::Known(Set::default())
    }
}

impl From<Set> for Fields {
    fn from(set: Set) -> Self {
        Self::Known(set)
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.set() == other.set()
    }
}

impl Eq for Fields {}
