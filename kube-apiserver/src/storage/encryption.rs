//! Encryption at rest: a [`Storage`] whose values are plain above and kept as configured below.
//!
//! Entry points: [`Encryption`], what the file of `--encryption-provider-config` says now (`live`, `config`, `rules`),
//! and [`Encrypted`], the wrapper. A value goes through the [`chain`] of its key's resource, whose providers are
//! `keys` (with `aes` and `secretbox`) and `kms`. Formats are upstream's, so that both can read each other's stores:
//! `apiserver/pkg/storage/value` and `etcd3/store.go`, where the authenticated data are the whole key.
//!
//! Below is one store for all resources and above is one copy of it, so one value that cannot be read must not end the
//! whole list or watch, as it does upstream for its resource: it goes up as bytes that say why ([`unreadable`]), and
//! whoever wants that object gets the error. When it can be read after all (a plugin came up, a key was added), the
//! copy is made anew.

mod aes;
mod chain;
mod config;
mod keys;
mod kms;
mod live;
mod mend;
mod metrics;
mod rules;
mod secretbox;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::{
    CompactTurn, Event, KeyValue, ListPage, ListRequest, Memo, Storage, StorageError, WatchItem, WatchStream, Write,
};
use chain::{ENCRYPTED, NOT_PLAIN, Opened, TransformError};
use mend::Unreadable;

pub(crate) use live::{Encryption, Options};

/// With this begins what goes up in place of a value that cannot be read; the reason follows. Nothing is stored so.
const UNREADABLE: &[u8] = b"k8s:enc:unreadable:";
/// Values are read in such portions before others get their turn.
const PORTION: usize = 256;

/// Why a value cannot be read, in upstream's words, when `bytes` are not it: those of [`Encrypted`], or what somebody
/// stored encrypted when this server has no configuration.
pub(crate) fn unreadable(bytes: &[u8]) -> Option<String> {
    if let Some(why) = bytes.strip_prefix(UNREADABLE) {
        return Some(String::from_utf8_lossy(why).into_owned());
    }
    bytes.starts_with(ENCRYPTED).then(|| NOT_PLAIN.to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// How an id is shown, of a key or a server; empty if it is (upstream `GetHashIfNotEmpty`, `getHash`).
fn id_hash(id: &str) -> String {
    if id.is_empty() {
        return String::new();
    }
    format!("sha256:{}", hex(digest(&SHA256, id.as_bytes()).as_ref()))
}

/// How values are read and written.
struct Values {
    encryption: Arc<Encryption>,
    /// The `--etcd-prefix`, with a slash behind it.
    root: String,
    unreadable: Unreadable,
}

impl Values {
    /// A key below the prefix.
    fn path<'a>(&self, key: &'a str) -> &'a str {
        key.strip_prefix(&self.root).unwrap_or_default()
    }

    async fn open(&self, key: &str, stored: &Bytes) -> Result<Opened, TransformError> {
        let path = self.path(key);
        self.encryption.chain(path).open(path, stored, key.as_bytes()).await
    }

    fn seal(&self, key: &str, plain: &Bytes) -> Result<Bytes, StorageError> {
        let path = self.path(key);
        let sealed = self.encryption.chain(path).seal(path, plain, key.as_bytes());
        sealed.map_err(|error| {
            tracing::error!(key, %error, "failed to encrypt data");
            StorageError::Transform(error.to_string())
        })
    }

    /// The plain bytes, or those that say why not.
    async fn plain(&self, key: &str, stored: &Bytes) -> Result<Bytes, Bytes> {
        match self.open(key, stored).await {
            Ok(opened) => Ok(opened.bytes),
            Err(error) => {
                tracing::debug!(key, %error, "failed to decrypt data");
                Err([UNREADABLE, error.to_string().as_bytes()].concat().into())
            }
        }
    }

    /// A pair with its plain bytes, and whether they could be read.
    async fn pair(&self, kv: Arc<KeyValue>) -> (Arc<KeyValue>, bool) {
        let (value, readable) = match self.plain(&kv.key, &kv.value).await {
            // Nothing was done to it.
            Ok(plain) if plain.as_ptr() == kv.value.as_ptr() => return (kv, true),
            Ok(plain) => (plain, true),
            Err(why) => (why, false),
        };
        let plain = KeyValue {
            key: kv.key.clone(),
            value,
            mod_rev: kv.mod_rev,
            create_rev: kv.create_rev,
            memo: Memo::default(),
        };
        (Arc::new(plain), readable)
    }

    async fn maybe(&self, kv: Option<Arc<KeyValue>>) -> Option<Arc<KeyValue>> {
        Some(self.pair(kv?).await.0)
    }

    async fn written(&self, write: Write) -> Write {
        match write {
            Write::Conflict(kv) => Write::Conflict(self.maybe(kv).await),
            done => done,
        }
    }

    /// An event with plain bytes. `noted`: it is the copy's.
    async fn event(&self, e: Event, noted: bool) -> Event {
        let value = match &e.value {
            None => None,
            Some(stored) => Some(self.plain(&e.key, stored).await),
        };
        if noted {
            self.unreadable.note(&e.key, matches!(value, Some(Err(_))));
        }
        let prev = match &e.prev {
            None => None,
            Some((stored, rev)) => Some((self.plain(&e.key, stored).await.unwrap_or_else(|why| why), *rev)),
        };
        Event {
            value: value.map(|plain| plain.unwrap_or_else(|why| why)),
            prev,
            ..e
        }
    }
}

/// A store whose values are encrypted below.
pub(crate) struct Encrypted {
    inner: Arc<dyn Storage>,
    values: Arc<Values>,
}

impl Encrypted {
    /// Wraps `inner`, whose keys begin with `root` (`/registry`). What could not be read is tried again until
    /// `shutdown`.
    pub(crate) fn start(
        inner: Arc<dyn Storage>,
        root: &str,
        encryption: Arc<Encryption>,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let values = Arc::new(Values {
            encryption,
            root: format!("{root}/"),
            unreadable: Unreadable::default(),
        });
        tokio::spawn(mend::run(values.clone(), inner.clone(), shutdown));
        Arc::new(Encrypted { inner, values })
    }

    /// Whether a list or a watch is the copy's: of everything.
    fn is_whole(&self, prefix: &str) -> bool {
        prefix.is_empty() || prefix == self.values.root
    }
}

#[async_trait]
impl Storage for Encrypted {
    async fn get(&self, key: &str) -> Result<(Option<Arc<KeyValue>>, i64), StorageError> {
        let (kv, rev) = self.inner.get(key).await?;
        Ok((self.values.maybe(kv).await, rev))
    }

    async fn get_from(&self, key: &str, at_least: i64) -> Result<(Option<Arc<KeyValue>>, i64), StorageError> {
        let (kv, rev) = self.inner.get_from(key, at_least).await?;
        Ok((self.values.maybe(kv).await, rev))
    }

    async fn stale(&self, key: &str) -> Result<bool, StorageError> {
        let (Some(kv), _) = self.inner.get(key).await? else {
            return Ok(false);
        };
        let opened = self.values.open(key, &kv.value).await;
        opened
            .map(|opened| opened.stale)
            .map_err(|error| StorageError::Transform(error.to_string()))
    }

    async fn list(&self, req: &ListRequest) -> Result<ListPage, StorageError> {
        let mut page = self.inner.list(req).await?;
        let mut bad = vec![];
        for (i, kv) in page.items.iter_mut().enumerate() {
            let (plain, readable) = self.values.pair(kv.clone()).await;
            if !readable {
                bad.push(kv.key.clone());
            }
            *kv = plain;
            if i % PORTION == PORTION - 1 {
                tokio::task::yield_now().await;
            }
        }
        if let Some(key) = bad.first() {
            tracing::error!(values = bad.len(), key = &**key, "failed to decrypt data");
        }
        if self.is_whole(&req.prefix) && req.limit == 0 {
            self.values.unreadable.replace(bad);
        }
        Ok(page)
    }

    async fn count(&self, prefix: &str) -> Result<i64, StorageError> {
        self.inner.count(prefix).await
    }

    async fn current_revision(&self) -> Result<i64, StorageError> {
        self.inner.current_revision().await
    }

    async fn create(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Write, StorageError> {
        let sealed = self.values.seal(key, &value)?;
        let write = self.inner.create(key, sealed, ttl).await?;
        Ok(self.values.written(write).await)
    }

    async fn update(
        &self,
        key: &str,
        value: Bytes,
        expected: i64,
        ttl: Option<Duration>,
    ) -> Result<Write, StorageError> {
        let sealed = self.values.seal(key, &value)?;
        let write = self.inner.update(key, sealed, expected, ttl).await?;
        Ok(self.values.written(write).await)
    }

    async fn delete(&self, key: &str, expected: i64) -> Result<Write, StorageError> {
        let write = self.inner.delete(key, expected).await?;
        Ok(self.values.written(write).await)
    }

    async fn watch(&self, prefix: &str, after: i64) -> Result<WatchStream, StorageError> {
        let whole = self.is_whole(prefix);
        let mended = self.values.unreadable.mended();
        let raw = self.inner.watch(prefix, after).await?;
        let start = Some((raw, mended, self.values.clone()));
        let stream = futures::stream::unfold(start, move |state| async move {
            let (mut raw, mut mended, values) = state?;
            let item = tokio::select! {
                item = raw.next() => item?,
                // Whoever has a copy must make it anew.
                Ok(()) = mended.changed(), if whole => return Some((Err(StorageError::Compacted(0)), None)),
            };
            let item = match item {
                Ok(WatchItem::Event(e)) => Ok(WatchItem::Event(values.event(e, whole).await)),
                other => other,
            };
            Some((item, Some((raw, mended, values))))
        });
        Ok(Box::pin(stream))
    }

    async fn compact(&self, rev: i64) -> Result<(), StorageError> {
        self.inner.compact(rev).await
    }

    async fn compact_turn(&self, version: i64, rev: i64) -> Result<CompactTurn, StorageError> {
        self.inner.compact_turn(version, rev).await
    }

    async fn health(&self) -> Result<(), StorageError> {
        self.inner.health().await
    }
}
