//! `metadata.managedFields`: who owns which fields (apimachinery `util/managedfields/internal/managedfields.go`).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::set::Set;

/// How an owner came to own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
        let list = list.and_then(Value::as_array).into_iter().flatten().enumerate();
        let entries = list.map(|(at, entry)| {
            let fields = entry.get("fieldsV1").map(Set::from_fields_v1).transpose()?;
            Entry::read(at, entry, fields.map(Fields::Known))
        });
        entries.collect::<Result<_, _>>().map(Self::of)
    }

    /// As [`Self::decode`] of a list a server has stored.
    ///
    /// # Errors
    /// When an entry is malformed; paths are not looked at.
    pub(super) fn stored(list: Value) -> Result<Self, String> {
        let Value::Array(list) = list else {
            return Ok(Self::default());
        };
        let entries = list.into_iter().enumerate().map(|(at, mut entry)| {
            let fields = entry.as_object_mut().and_then(|map| map.remove("fieldsV1"));
            Entry::read(at, &entry, fields.map(Fields::Stored))
        });
        entries.collect::<Result<_, _>>().map(Self::of)
    }

    /// One entry per owner: of several the last one counts.
    fn of(mut entries: Vec<Entry>) -> Self {
        let mut seen = HashSet::with_capacity(entries.len());
        let last: Vec<bool> = entries.iter().rev().map(|entry| seen.insert(&entry.owner)).collect();
        let mut last = last.into_iter().rev();
        entries.retain(|_| last.next().unwrap_or(true));
        Self { entries }
    }

    /// Writes `metadata.managedFields`, in upstream's order; None when there are no owners.
    pub(crate) fn encode(self) -> Option<Value> {
        if self.entries.is_empty() {
            return None;
        }
        let mut sorted: Vec<(i64, Entry)> = self.entries.into_iter().map(|entry| (seconds(&entry), entry)).collect();
        sorted.sort_by(|(at, a), (when, b)| {
            let order = a.owner.operation.cmp(&b.owner.operation).then(at.cmp(when));
            let order = order.then_with(|| a.owner.manager.cmp(&b.owner.manager));
            let order = order.then_with(|| a.api_version.cmp(&b.api_version));
            order.then_with(|| a.owner.subresource.cmp(&b.owner.subresource))
        });
        Some(Value::Array(
            sorted.into_iter().map(|(_, entry)| encode(entry)).collect(),
        ))
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
        let is_update = |entry: &Entry| entry.owner.operation == Operation::Update;
        let count = self.entries.iter().filter(|entry| is_update(entry)).count();
        if count <= max {
            return;
        }
        let mut entries: Vec<Option<Entry>> = std::mem::take(&mut self.entries).into_iter().map(Some).collect();
        let updates = entries.iter().enumerate().filter_map(|(at, entry)| {
            let entry = entry.as_ref().filter(|entry| is_update(entry))?;
            Some((seconds(entry), entry.owner.identifier(), at))
        });
        let mut updates: Vec<(i64, String, usize)> = updates.collect();
        updates.sort_unstable();
        let mut buckets: HashMap<String, Bucket> = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            if let Some(entry) = entry
                && entry.owner == Owner::new(ANCIENT, Operation::Update, &entry.owner.api_version, "")
            {
                buckets.entry(entry.owner.api_version.clone()).or_default().at = Some(at);
            }
        }
        let mut left = count;
        for (_, _, at) in updates {
            if left <= max {
                break;
            }
            let Some(version) = entries[at].as_ref().map(|entry| entry.owner.api_version.clone()) else {
                continue;
            };
            let bucket = buckets.entry(version).or_default();
            // The oldest owner of a version stays as it is until there is a second one.
            let Some(first) = bucket.first else {
                bucket.first = Some(at);
                continue;
            };
            if *bucket.at.get_or_insert(first) == at {
                continue;
            }
            if let Some(old) = entries[at].take() {
                bucket.merged.push(old.fields.into_set());
                bucket.time = old.time;
                left -= 1;
            }
        }
        for (version, bucket) in buckets {
            if let Some(entry) = bucket.at.and_then(|at| entries[at].as_mut())
                && !bucket.merged.is_empty()
            {
                let own = std::mem::take(&mut entry.fields).into_set();
                entry.fields = union(bucket.merged, own).into();
                entry.owner = Owner::new(ANCIENT, Operation::Update, &version, "");
                entry.time = bucket.time;
            }
        }
        self.entries = entries.into_iter().flatten().collect();
    }
}

/// Updates of one version that become one owner.
#[derive(Default)]
struct Bucket {
    /// The oldest update.
    first: Option<usize>,
    /// The entry the others are merged into.
    at: Option<usize>,
    merged: Vec<Set>,
    /// Of the last one merged.
    time: Option<String>,
}

/// The union of many sets, by halves: none is walked once for every other.
fn union(mut sets: Vec<Set>, last: Set) -> Set {
    sets.push(last);
    while sets.len() > 1 {
        let mut pairs = sets.into_iter();
        let mut halves = Vec::with_capacity(pairs.len().div_ceil(2));
        while let Some(one) = pairs.next() {
            halves.push(match pairs.next() {
                Some(other) => one.union(other),
                None => one,
            });
        }
        sets = halves;
    }
    sets.pop().unwrap_or_default()
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
    let owner = entry.owner;
    let texts = [
        ("manager", owner.manager),
        ("operation", owner.operation.name().to_owned()),
        ("apiVersion", entry.api_version),
        ("subresource", owner.subresource),
        ("time", entry.time.unwrap_or_default()),
        ("fieldsType", "FieldsV1".to_owned()),
    ];
    for (name, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
        out.insert(name.to_owned(), Value::String(value));
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
