//! The wanted content of one table, by who wants it, and what changed since it was last applied. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::elements::{Key, Pool, Spread, Value};
use crate::model::ServiceName;

/// Wanted elements. Several Services may want the same one (two ports of one address; an endpoint of
/// two Services): it goes when the last of them does. If they want different things of one key, the
/// first by name has it.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    claims: BTreeMap<Key, BTreeMap<ServiceName, Value>>,
    owned: HashMap<ServiceName, Vec<Key>>,
    /// Keys touched since the last [`Desired::take_changes`], with the value that is applied.
    touched: BTreeMap<Key, Option<Value>>,
    chains: BTreeSet<Spread>,
    /// Endpoint maps made so far, per pool.
    slots: BTreeMap<Pool, usize>,
}

/// What to do to a table that is as it was.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Endpoint maps, with their chains, that do not exist yet.
    pub(crate) slots: Vec<(Pool, usize)>,
    /// Chains that do not exist yet.
    pub(crate) chains: Vec<Spread>,
    pub(crate) remove: Vec<Key>,
    pub(crate) add: Vec<(Key, Value)>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }
}

impl Desired {
    /// Replaces all that `owner` wants.
    pub(crate) fn set(&mut self, owner: &ServiceName, elements: Vec<(Key, Value)>) {
        let old = self.owned.remove(owner).unwrap_or_default();
        let mut unclaimed: BTreeSet<Key> = old.into_iter().collect();
        let mut keys = Vec::with_capacity(elements.len());
        for (key, value) in elements {
            unclaimed.remove(&key);
            let claims = self.claims.entry(key.clone()).or_default();
            if claims.get(owner) != Some(&value) {
                self.touched.entry(key.clone()).or_insert_with(|| effective(claims));
                claims.insert(owner.clone(), value);
            }
            keys.push(key);
        }
        for key in unclaimed {
            if let Some(claims) = self.claims.get_mut(&key) {
                self.touched.entry(key.clone()).or_insert_with(|| effective(claims));
                claims.remove(owner);
                if claims.is_empty() {
                    self.claims.remove(&key);
                }
            }
        }
        if !keys.is_empty() {
            self.owned.insert(owner.clone(), keys);
        }
    }

    /// Everybody who wants something, as `namespace/name`.
    pub(crate) fn owners(&self) -> impl Iterator<Item = String> {
        self.owned
            .keys()
            .map(|owner| format!("{}/{}", owner.namespace, owner.name))
    }

    /// Whether nobody wants anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.owned.is_empty()
    }

    /// What changed since the last call, which is from now on taken as applied.
    pub(crate) fn take_changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        for (key, applied) in std::mem::take(&mut self.touched) {
            let wanted = self.claims.get(&key).and_then(effective);
            if wanted == applied {
                continue;
            }
            if applied.is_some() {
                changes.remove.push(key.clone());
            }
            if let Some(wanted) = wanted {
                self.need(wanted, &mut changes);
                changes.add.push((key, wanted));
            }
        }
        changes
    }

    /// Everything, for a table that is empty; taken as applied from now on.
    pub(crate) fn take_all(&mut self) -> Changes {
        self.touched.clear();
        self.chains.clear();
        self.slots.clear();
        let mut changes = Changes::default();
        let all: Vec<_> = self
            .claims
            .iter()
            .filter_map(|(key, claims)| Some((key.clone(), effective(claims)?)))
            .collect();
        for (_, value) in &all {
            self.need(*value, &mut changes);
        }
        changes.add = all;
        changes
    }

    // Chains and maps are made when first needed and stay until the table is made anew.
    fn need(&mut self, value: Value, changes: &mut Changes) {
        let Value::Spread(spread) = value else { return };
        if self.chains.insert(spread) {
            changes.chains.push(spread);
            let slots = self.slots.entry(spread.pool).or_default();
            changes
                .slots
                .extend((*slots..spread.count).map(|number| (spread.pool, number)));
            *slots = (*slots).max(spread.count);
        }
    }
}

fn effective(claims: &BTreeMap<ServiceName, Value>) -> Option<Value> {
    claims.values().next().copied()
}
