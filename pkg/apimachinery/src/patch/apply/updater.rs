//! Ownership under writes, and the merge of an apply (structured-merge-diff `merge/update.go`).

use serde_json::Value;

use super::compare::{self, Comparison};
use super::conflict::{self, Conflict};
use super::managed::{Entry, Fields, Managed, Owner};
use super::place::Atom;
use super::set::{Filter, Set};
use super::{field_set, merge, reconcile, remove};
use crate::schema::{Schema, TypeId};

/// Versions of one kind: field sets are in the version of the write that made them.
pub trait Versions: Sync {
    /// The type of the kind in a version, None when the version is not served (any more).
    fn type_of(&self, api_version: &str) -> Option<TypeId>;
    /// An object of one version in another one that is served.
    fn convert(&self, object: &Value, from: &str, to: &str) -> Value;
    /// Fields of a version that writes to this path do not change.
    fn reset_fields(&self, api_version: &str) -> Option<&Filter>;
}

/// Why an apply did not work.
#[derive(Debug)]
pub(super) enum Failure {
    /// Others own fields.
    Conflicts(Vec<Conflict>),
    /// Anything else.
    Other(String),
}

pub(super) struct Updater<'a> {
    pub(super) schema: &'a Schema,
    pub(super) versions: &'a dyn Versions,
}

/// A live and a new object of one version.
#[derive(Clone, Copy)]
struct Pair<'v> {
    version: &'v str,
    live: &'v Value,
    new: &'v Value,
}

impl Updater<'_> {
    pub(super) fn atom(&self, version: &str) -> Option<Atom<'static>> {
        self.versions.type_of(version).map(|ty| Atom::Struct(ty, false))
    }

    fn need(&self, version: &str) -> Result<Atom<'static>, String> {
        self.atom(version)
            .ok_or_else(|| format!("no corresponding type for version {version}"))
    }

    /// The new owners after a write that was not an apply. The write's own changes come back separately.
    pub(super) fn update(
        &self,
        live: &Value,
        new: &Value,
        version: &str,
        managed: &mut Managed,
    ) -> Result<Set, String> {
        self.reconcile(managed);
        let pair = Pair { version, live, new };
        let changes = match self.take_away(pair, managed, None, true) {
            Ok(changes) => changes,
            Err(Failure::Other(why)) => return Err(why),
            Err(Failure::Conflicts(_)) => return Err("conflicts in a forced update".to_owned()),
        };
        Ok(changes.modified.union(changes.added))
    }

    /// The object and its owners after an apply; no object when it stays as it is.
    pub(super) fn apply(
        &self,
        live: &Value,
        config: &Value,
        version: &str,
        managed: &mut Managed,
        owner: &Owner,
        force: bool,
    ) -> Result<Option<Value>, Failure> {
        self.reconcile(managed);
        let atom = self.need(version).map_err(Failure::Other)?;
        let merged = merge::merge(self.schema, atom, live, config)
            .map_err(|why| Failure::Other(format!("failed to merge config: {why}")))?;
        let last = managed.get(owner).cloned();
        let mut fields = field_set::field_set(self.schema, atom, config);
        if let Some(filter) = self.versions.reset_fields(version) {
            fields = fields.filter(filter);
        }
        managed.put(Entry {
            owner: owner.clone(),
            api_version: version.to_owned(),
            time: last.as_ref().and_then(|last| last.time.clone()),
            fields: fields.into(),
        });
        let new = self
            .prune(merged, version, managed, last.as_ref())
            .map_err(|why| Failure::Other(format!("failed to prune fields: {why}")))?;
        let pair = Pair {
            version,
            live,
            new: &new,
        };
        self.take_away(pair, managed, Some(owner), force)?;
        Ok((!super::element::equal(live, &new)).then_some(new))
    }

    /// Takes changed fields away from all owners but one.
    fn take_away(
        &self,
        pair: Pair<'_>,
        managed: &mut Managed,
        spare: Option<&Owner>,
        force: bool,
    ) -> Result<Comparison, Failure> {
        let other = |why: String| Failure::Other(format!("failed to compare objects: {why}"));
        let compare = |pair: Pair<'_>| -> Result<Comparison, Failure> {
            let atom = self.need(pair.version).map_err(Failure::Other)?;
            let changes = compare::compare(self.schema, atom, pair.live, pair.new).map_err(other)?;
            Ok(changes.filter(self.versions.reset_fields(pair.version)))
        };
        let own = compare(pair)?;
        let mut others: Vec<(String, Comparison)> = Vec::new();
        let mut lost: Vec<(Owner, Set)> = Vec::new();
        let mut after: Vec<Entry> = Vec::with_capacity(managed.entries.len());
        for mut entry in std::mem::take(&mut managed.entries) {
            if spare == Some(&entry.owner) {
                after.push(entry);
                continue;
            }
            let untouched = |fields: &Fields| !own.sets().iter().any(|changes| fields.may_have(changes));
            if entry.api_version == pair.version && untouched(&entry.fields) {
                after.push(entry);
                continue;
            }
            let version = entry.api_version.clone();
            let version = version.as_str();
            let changes = if version == pair.version {
                &own
            } else {
                if self.versions.type_of(version).is_none() {
                    continue;
                }
                if !others.iter().any(|(known, _)| known == version) {
                    let live = self.versions.convert(pair.live, pair.version, version);
                    let new = self.versions.convert(pair.new, pair.version, version);
                    let pair = Pair {
                        version,
                        live: &live,
                        new: &new,
                    };
                    others.push((version.to_owned(), compare(pair)?));
                }
                let found = others.iter().find(|(known, _)| known == version);
                found.map_or(&own, |(_, changes)| changes)
            };
            let mut fields = self.today(&mut entry);
            let taken = fields
                .intersection(&changes.modified)
                .union(fields.intersection(&changes.added));
            if !taken.is_empty() {
                fields = fields.difference(&taken);
                lost.push((entry.owner.clone(), taken));
            }
            if !changes.removed.is_empty() {
                fields = fields.difference(&changes.removed);
            }
            entry.fields = fields.into();
            after.push(entry);
        }
        if !force && !lost.is_empty() {
            return Err(Failure::Conflicts(conflict::conflicts(lost)));
        }
        after.retain(|entry| !entry.fields.is_empty());
        managed.entries = after;
        Ok(own)
    }

    /// Removes what the owner applied last time, not this time, and nobody else owns.
    fn prune(&self, merged: Value, version: &str, managed: &Managed, last: Option<&Entry>) -> Result<Value, String> {
        let Some(last) = last.filter(|last| !last.fields.is_empty()) else {
            return Ok(merged);
        };
        let last_version = last.api_version.as_str();
        let Some(atom) = self.atom(last_version) else {
            return Ok(merged);
        };
        let converted = self.convert(&merged, version, last_version);
        let last_fields = last.fields.set().ensure_named_fields(self.schema, atom);
        let pruned = remove::remove(self.schema, atom, &converted, &last_fields);
        let pruned = self.add_back_owned(&converted, pruned, last_version, managed);
        let pruned = self.add_back_dangling(atom, &converted, &pruned, &last_fields);
        Ok(self.convert(&pruned, last_version, version))
    }

    fn convert(&self, object: &Value, from: &str, to: &str) -> Value {
        if from == to {
            object.clone()
        } else {
            self.versions.convert(object, from, to)
        }
    }

    /// Puts back what someone owns (the applier's new configuration is an owner, too).
    fn add_back_owned(&self, merged: &Value, pruned: Value, version: &str, managed: &Managed) -> Value {
        let mut by_version: Vec<(&str, Set)> = Vec::new();
        for entry in &managed.entries {
            match by_version.iter_mut().find(|(known, _)| *known == entry.api_version) {
                Some((_, set)) => *set = std::mem::take(set).union(entry.fields.set().into_owned()),
                None => by_version.push((&entry.api_version, entry.fields.set().into_owned())),
            }
        }
        // The version of the pruned object first: a conversion may need what was pruned.
        by_version.sort_by_key(|(known, _)| *known != version);
        let mut pruned = pruned;
        for (other, owned) in by_version {
            let Some(atom) = self.atom(other) else { continue };
            let whole = self.convert(merged, version, other);
            let rest = self.convert(&pruned, version, other);
            let named = |set: &Set| set.ensure_named_fields(self.schema, atom);
            let whole_set = named(&field_set::field_set(self.schema, atom, &whole));
            let rest_set = named(&field_set::field_set(self.schema, atom, &rest));
            let gone = whole_set.difference(&rest_set.union(named(&owned)));
            let rest = remove::remove(self.schema, atom, &whole, &gone);
            pruned = self.convert(&rest, other, version);
        }
        pruned
    }

    /// Puts back what the applier did not own: what nobody owns is not its to remove.
    fn add_back_dangling(&self, atom: Atom<'_>, merged: &Value, pruned: &Value, last: &Set) -> Value {
        let named =
            |value: &Value| field_set::field_set(self.schema, atom, value).ensure_named_fields(self.schema, atom);
        let gone = named(merged).difference(&named(pruned)).intersection(last);
        remove::remove(self.schema, atom, merged, &gone)
    }

    /// Brings the field sets to today's schema; those of versions that are gone are dropped. Sets that were not read
    /// follow when they are ([`Self::today`]).
    fn reconcile(&self, managed: &mut Managed) {
        managed.entries.retain_mut(|entry| {
            let Some(atom) = self.atom(&entry.api_version) else {
                return false;
            };
            if let Fields::Known(set) = &mut entry.fields {
                reconcile::reconcile(self.schema, atom, set);
            }
            true
        });
    }

    /// Takes an owner's fields, under today's schema.
    pub(super) fn today(&self, entry: &mut Entry) -> Set {
        match std::mem::take(&mut entry.fields) {
            // Read and brought to it when the write began.
            Fields::Known(set) => set,
            stored => {
                let mut set = stored.into_set();
                if let Some(atom) = self.atom(&entry.api_version) {
                    reconcile::reconcile(self.schema, atom, &mut set);
                }
                set
            }
        }
    }
}
