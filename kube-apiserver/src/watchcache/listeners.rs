//! Who listens, kept so that a change finds those who could want it without asking the others. No I/O.
//!
//! A listener is kept by the prefix it watches and there, if what it wants has terms, by one of them: that under which
//! fewest are kept already, so that a term which many have in common divides nobody from nobody. A change looks for the
//! prefixes of its key, and for its values at the paths that are in use; whom it finds is asked.

use std::collections::{BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;

use tokio::sync::mpsc;

use crate::storage::{Event, StorageError, Term, Wanted, WatchItem};

/// Where a listener's items go.
pub(super) type Sender = mpsc::Sender<Result<WatchItem, StorageError>>;

/// One watch.
pub(super) struct Listener {
    prefix: String,
    after: i64,
    /// Changes it is told of; `None`: all.
    wanted: Option<Box<dyn Wanted>>,
    /// The term it is kept by.
    term: Option<Term>,
    tx: Sender,
}

impl Listener {
    /// Listens to the changes that `prefix` sees, after a revision.
    pub(super) fn new(prefix: &str, after: i64, wanted: Option<Box<dyn Wanted>>, tx: Sender) -> Self {
        Listener {
            prefix: prefix.to_owned(),
            after,
            wanted,
            term: None,
            tx,
        }
    }

    /// Takes a change, or does not want it; `false`: it is gone, or too slow.
    fn take(&self, e: &Event) -> bool {
        e.rev <= self.after || !self.wants(e) || self.tx.try_send(Ok(WatchItem::Event(e.clone()))).is_ok()
    }

    fn wants(&self, e: &Event) -> bool {
        let Some(wanted) = &self.wanted else { return true };
        // It is told of a change over which its question panics.
        guarded(e, || wanted.wants(e)).unwrap_or(true)
    }
}

/// What a watcher answers; `None` when it panics: whoever feeds the copy for all must not end with the watch of one.
fn guarded<T>(e: &Event, ask: impl FnOnce() -> T) -> Option<T> {
    let answer = std::panic::catch_unwind(AssertUnwindSafe(ask));
    if answer.is_err() {
        tracing::error!(key = &*e.key, "the selection of a watch panicked");
    }
    answer.ok()
}

/// In the order in which they came.
type Id = u64;

/// Listeners by the value of their term.
type ByValue = HashMap<String, BTreeSet<Id>>;

/// The listeners of one prefix; each is kept in one of the two.
#[derive(Default)]
struct Folder {
    /// Those of no term.
    plain: BTreeSet<Id>,
    /// The others, by their term's path.
    sorted: HashMap<String, ByValue>,
}

impl Folder {
    /// How many are kept by this term.
    fn crowd(&self, term: &Term) -> usize {
        let Some(sorted) = self.sorted.get(&term.path) else {
            return 0;
        };
        term.values
            .iter()
            .filter_map(|v| sorted.get(v))
            .map(BTreeSet::len)
            .sum()
    }

    fn add(&mut self, id: Id, term: Option<&Term>) {
        let Some(term) = term else {
            self.plain.insert(id);
            return;
        };
        let sorted = self.sorted.entry(term.path.clone()).or_default();
        for value in &term.values {
            sorted.entry(value.clone()).or_default().insert(id);
        }
    }

    fn remove(&mut self, id: Id, term: Option<&Term>) {
        let Some(term) = term else {
            self.plain.remove(&id);
            return;
        };
        let Some(sorted) = self.sorted.get_mut(&term.path) else {
            return;
        };
        for value in &term.values {
            if let Some(ids) = sorted.get_mut(value) {
                ids.remove(&id);
                if ids.is_empty() {
                    sorted.remove(value);
                }
            }
        }
        if sorted.is_empty() {
            self.sorted.remove(&term.path);
        }
    }

    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.sorted.is_empty()
    }
}

/// All listeners.
#[derive(Default)]
pub(super) struct Listeners {
    all: HashMap<Id, Listener>,
    folders: HashMap<String, Folder>,
    last: Id,
}

/// The prefixes that see a key: nothing, the folders it is in, itself.
fn prefixes(key: &str) -> impl Iterator<Item = &str> {
    let folders = key.match_indices('/').map(|(i, _)| &key[..=i]);
    std::iter::once("").chain(folders).chain(std::iter::once(key))
}

/// Whether a watch of a prefix is told of a key: one of [`prefixes`].
pub(super) fn sees(prefix: &str, key: &str) -> bool {
    key.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || prefix.is_empty() || prefix.ends_with('/'))
}

impl Listeners {
    /// One more.
    pub(super) fn add(&mut self, mut listener: Listener) {
        let terms = listener.wanted.as_ref().map(|w| w.terms()).unwrap_or_default();
        self.last += 1;
        let folder = self.folders.entry(listener.prefix.clone()).or_default();
        listener.term = terms.into_iter().min_by_key(|term| folder.crowd(term));
        folder.add(self.last, listener.term.as_ref());
        self.all.insert(self.last, listener);
    }

    fn remove(&mut self, id: Id) {
        let Some(listener) = self.all.remove(&id) else { return };
        if let Some(folder) = self.folders.get_mut(&listener.prefix) {
            folder.remove(id, listener.term.as_ref());
            if folder.is_empty() {
                self.folders.remove(&listener.prefix);
            }
        }
    }

    /// Tells those who want it of a change. Who cannot take it is cut off.
    pub(super) fn tell(&mut self, e: &Event) {
        for id in self.found(e) {
            if self.all.get(&id).is_some_and(|listener| !listener.take(e)) {
                self.remove(id);
            }
        }
    }

    /// Those who could want a change, each once.
    fn found(&self, e: &Event) -> Vec<Id> {
        let mut found = vec![];
        // What the change has at the paths that are in use.
        let mut read: HashMap<&str, Option<Vec<String>>> = HashMap::new();
        for folder in prefixes(&e.key).filter_map(|prefix| self.folders.get(prefix)) {
            found.extend(&folder.plain);
            for (path, sorted) in &folder.sorted {
                match read.entry(path).or_insert_with(|| self.values(sorted, e, path)) {
                    Some(values) => found.extend(values.iter().filter_map(|v| sorted.get(v)).flatten()),
                    None => found.extend(sorted.values().flatten()),
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// What a change has at a path, in the words of one of those who are kept by it; `None`: all of them must be asked.
    fn values(&self, sorted: &ByValue, e: &Event, path: &str) -> Option<Vec<String>> {
        let one = sorted.values().flatten().next()?;
        let wanted = self.all.get(one)?.wanted.as_ref()?;
        guarded(e, || wanted.values(e, path)).flatten()
    }

    /// Tells all how far the copy is; those that are gone are forgotten.
    pub(super) fn progress(&mut self, revision: i64) {
        let gone = self.all.iter().filter(|(_, listener)| {
            let told = listener.tx.try_send(Ok(WatchItem::Progress(revision)));
            matches!(told, Err(mpsc::error::TrySendError::Closed(_)))
        });
        for id in gone.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.remove(id);
        }
    }
}

#[cfg(test)]
mod tests;
