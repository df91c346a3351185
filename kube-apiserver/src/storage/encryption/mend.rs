//! Values that the copy above could not read: tried again now and then.
//!
//! Upstream's cache of a resource lists again until it can read everything; here the list of everything is made again
//! once that helps.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Values;
use crate::storage::Storage;

/// First and longest pause between two tries.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// Values of one try.
const AT_ONCE: usize = 16;

/// The keys whose values could not be read.
pub(super) struct Unreadable {
    keys: Mutex<BTreeSet<Arc<str>>>,
    /// How many keys there are.
    some: watch::Sender<bool>,
    mended: watch::Sender<()>,
}

impl Default for Unreadable {
    fn default() -> Self {
        Unreadable {
            keys: Mutex::default(),
            some: watch::channel(false).0,
            mended: watch::channel(()).0,
        }
    }
}

impl Unreadable {
    /// Changes when a value can be read after all.
    pub(super) fn mended(&self) -> watch::Receiver<()> {
        self.mended.subscribe()
    }

    /// One key has another value, or none.
    pub(super) fn note(&self, key: &str, unreadable: bool) {
        let mut keys = self.keys.lock();
        if unreadable {
            keys.insert(key.into());
        } else if !keys.is_empty() {
            keys.remove(key);
        }
        self.tell(&keys);
    }

    /// These are all.
    pub(super) fn replace(&self, all: Vec<Arc<str>>) {
        let mut keys = self.keys.lock();
        *keys = all.into_iter().collect();
        self.tell(&keys);
    }

    fn tell(&self, keys: &BTreeSet<Arc<str>>) {
        let some = !keys.is_empty();
        self.some.send_if_modified(|was| std::mem::replace(was, some) != some);
    }

    /// Some keys behind `last`; from the first on when there are none.
    fn next(&self, last: Option<&Arc<str>>) -> Vec<Arc<str>> {
        let keys = self.keys.lock();
        let behind = last.map_or(Bound::Unbounded, |last| Bound::Excluded(last.clone()));
        let some: Vec<_> = keys.range((behind, Bound::Unbounded)).take(AT_ONCE).cloned().collect();
        if some.is_empty() {
            return keys.iter().take(AT_ONCE).cloned().collect();
        }
        some
    }
}

/// Tries until `shutdown`.
pub(super) async fn run(values: Arc<Values>, inner: Arc<dyn Storage>, shutdown: CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = forever(&values, &*inner) => {}
    }
}

async fn forever(values: &Values, inner: &dyn Storage) {
    let mut some = values.unreadable.some.subscribe();
    let (mut pause, mut last) = (FIRST, None);
    loop {
        if !*some.borrow_and_update() {
            pause = FIRST;
            if some.changed().await.is_err() {
                return;
            }
            continue;
        }
        tokio::time::sleep(pause).await;
        let keys = values.unreadable.next(last.as_ref());
        last = keys.last().cloned();
        if helped(values, inner, &keys).await {
            tracing::info!("values that could not be decrypted can be");
            // They stay noted until somebody has read them: a try that nobody heard of is made again.
            values.unreadable.mended.send_replace(());
            pause = FIRST;
        } else {
            pause = (pause * 2).min(LONGEST);
        }
    }
}

/// Whether one of the values can be read now.
async fn helped(values: &Values, inner: &dyn Storage, keys: &[Arc<str>]) -> bool {
    for key in keys {
        if let Ok((Some(kv), _)) = inner.get(key).await
            && values.open(key, &kv.value).await.is_ok()
        {
            return true;
        }
    }
    false
}
