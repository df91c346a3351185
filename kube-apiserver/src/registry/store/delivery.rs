//! One storage event on its way to all watchers: decoded once, and encoded once for each way to see it.

use std::sync::{Arc, OnceLock};

use apimachinery::status::Result;
use bytes::Bytes;

use super::watch::{Change, ChangeKind};
use super::{Entry, Store, meta};
use crate::registry::selection::{self, Selection};
use crate::storage::{Event, Term, Wanted};

/// What the watchers of an event share.
pub(crate) struct Delivery {
    now: Option<Arc<Entry>>,
    old: OnceLock<Arc<Entry>>,
    gone: OnceLock<Arc<Entry>>,
    /// By kind and form of the change.
    frames: [[OnceLock<Bytes>; Frame::FORMS]; ChangeKind::COUNT],
}

/// A form that all who ask for it share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The whole object in the hub's version, as JSON.
    Json,
    /// The same in protobuf.
    Protobuf,
}

impl Frame {
    const FORMS: usize = 2;
}

impl Delivery {
    /// The frame of a change, made by the first who asks: a kind of change is of the same object for all.
    pub(crate) fn frame(&self, kind: ChangeKind, form: Frame, make: impl FnOnce() -> Option<Bytes>) -> Option<Bytes> {
        let place = &self.frames[kind as usize][form as usize];
        if let Some(made) = place.get() {
            return Some(made.clone());
        }
        let made = make()?;
        Some(place.get_or_init(|| made).clone())
    }
}

/// A watch of what is selected, as the storage below knows it.
pub(super) struct Selected {
    pub(super) store: Arc<Store>,
    pub(super) selection: Selection,
}

/// All who watch objects of one kind have the same store, and so the same values.
impl Wanted for Selected {
    fn wants(&self, e: &Event) -> bool {
        let delivery = self.store.delivery(e);
        let selected = delivery.and_then(|d| self.store.selected(&d, &self.selection, e));
        // What cannot be decoded is the watcher's to report.
        !matches!(selected, Ok((false, false)))
    }

    fn terms(&self) -> Vec<Term> {
        self.selection.terms()
    }

    fn values(&self, e: &Event, path: &str) -> Option<Vec<String>> {
        let delivery = self.store.delivery(e).ok()?;
        let old = self.store.old(&delivery, e).ok()?;
        let both = old.iter().chain(&delivery.now);
        let mut values: Vec<&str> = both.filter_map(|entry| selection::value(&entry.index, path)).collect();
        values.dedup();
        Some(values.into_iter().map(str::to_owned).collect())
    }
}

impl Store {
    /// What all watchers share of an event.
    pub(super) fn delivery(&self, e: &Event) -> Result<Arc<Delivery>> {
        e.memo.get_or_try(|| {
            Ok(Arc::new(Delivery {
                now: e.value.as_ref().map(|v| self.version(&e.key, v, e.rev)).transpose()?,
                old: OnceLock::new(),
                gone: OnceLock::new(),
                frames: Default::default(),
            }))
        })
    }

    /// The object before the event.
    fn old(&self, delivery: &Delivery, e: &Event) -> Result<Option<Arc<Entry>>> {
        let Some((bytes, rev)) = &e.prev else { return Ok(None) };
        if let Some(old) = delivery.old.get() {
            return Ok(Some(old.clone()));
        }
        let known = e.prev_memo.get::<Entry>().filter(|old| old.rev == *rev);
        let old = known.map_or_else(|| self.version(&e.key, bytes, *rev), Ok)?;
        Ok(Some(delivery.old.get_or_init(|| old).clone()))
    }

    /// Whether an event's object was selected before, and is now. An old object that is not selected any more is decoded
    /// only when it may decide or be shown.
    pub(super) fn selected(&self, delivery: &Delivery, selection: &Selection, e: &Event) -> Result<(bool, bool)> {
        let now = delivery.now.as_ref().is_some_and(|v| selection.matches(&v.index));
        let before = if selection.is_everything() {
            e.prev.is_some()
        } else {
            self.old(delivery, e)?.is_some_and(|old| selection.matches(&old.index))
        };
        Ok((before, now))
    }

    /// One storage event as this watcher sees it.
    pub(super) fn change(&self, selection: &Selection, e: &Event) -> Result<Option<Change>> {
        let delivery = self.delivery(e)?;
        let selected = self.selected(&delivery, selection, e)?;
        if e.value.is_none() {
            self.entries.deleted(&e.key, e.rev);
        }
        let (kind, entry) = match selected {
            (false, true) => (ChangeKind::Added, delivery.now.clone()),
            (true, true) => (ChangeKind::Modified, delivery.now.clone()),
            (true, false) => {
                let old = self.old(&delivery, e)?;
                let gone = |old: Arc<Entry>| delivery.gone.get_or_init(|| self.gone(&old, e.rev)).clone();
                (ChangeKind::Deleted, old.map(gone))
            }
            (false, false) => return Ok(None),
        };
        Ok(entry.map(|entry| Change {
            kind,
            entry,
            delivery: Some(delivery),
        }))
    }

    /// The last state of an object, with the revision at which it went.
    fn gone(&self, old: &Entry, rev: i64) -> Arc<Entry> {
        let mut value = Arc::unwrap_or_clone(old.value());
        meta::set_revision(&mut value, rev);
        self.wrap(rev, value)
    }
}

#[cfg(test)]
mod tests;
