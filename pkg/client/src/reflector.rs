//! Keeps a [`Sink`] equal to a collection on the apiserver: list, then watch from there, for ever.
//!
//! Upstream: client-go `tools/cache/reflector.go` (`Reflector.ListAndWatchWithContext`).

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use rand::Rng as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, build};
use crate::codec;
use crate::error::{Error, Result};
use crate::object::{Object, ObjectList, Resource};
use crate::params::ListParams;
use crate::watch::{self, WatchEvent};

/// Back-off between failed attempts. Upstream: `NewReflectorWithOptions`, 800ms to 30s, reset after 2 min.
const BACKOFF_MIN: Duration = Duration::from_millis(800);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
const BACKOFF_RESET: Duration = Duration::from_secs(120);
/// A server that does not end the initial events in this time does not know them: LIST is used instead.
const INITIAL_EVENTS_LIMIT: Duration = Duration::from_secs(30);
/// Objects per page of a LIST. Upstream: `defaultPageSize` of client-go's pager.
const PAGE: u32 = 500;

/// What to reflect: a resource, where, and which objects of it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where requests go.
    pub client: Client,
    /// The resource.
    pub resource: Resource,
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// Label selector, empty for all.
    pub label_selector: String,
    /// Field selector, empty for all.
    pub field_selector: String,
    /// Ask for metadata only (decode as [`crate::PartialObjectMetadata`]).
    pub metadata_only: bool,
}

impl Source {
    /// All objects of a typed kind.
    pub fn of<K: k8s_openapi::Resource>(client: Client) -> Self
    where
        K::Scope: 'static,
    {
        Source::new(client, Resource::of::<K>())
    }

    /// All objects of a resource.
    pub fn new(client: Client, resource: Resource) -> Self {
        Source {
            client,
            resource,
            namespace: None,
            label_selector: String::new(),
            field_selector: String::new(),
            metadata_only: false,
        }
    }

    /// Only objects of a namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Only objects the label selector selects.
    #[must_use]
    pub fn labels(mut self, selector: &str) -> Self {
        self.label_selector = selector.to_owned();
        self
    }

    /// Only objects the field selector selects.
    #[must_use]
    pub fn fields(mut self, selector: &str) -> Self {
        self.field_selector = selector.to_owned();
        self
    }

    /// Only the metadata of objects.
    #[must_use]
    pub fn metadata_only(mut self) -> Self {
        self.metadata_only = true;
        self
    }

    fn collection(&self) -> String {
        self.resource.path(self.namespace.as_deref())
    }

    fn params(&self) -> ListParams {
        ListParams::default()
            .labels(self.label_selector.clone())
            .fields(self.field_selector.clone())
    }

    async fn watch<K: Object>(&self, params: &ListParams) -> Result<BoxStream<'static, Result<WatchEvent<K>>>> {
        let accept = if self.metadata_only {
            codec::ACCEPT_METADATA
        } else {
            codec::ACCEPT
        };
        watch::watch(&self.client, &self.collection(), params, accept).await
    }

    async fn list<K: Object>(&self, params: &ListParams) -> Result<ObjectList<K>> {
        let accept = if self.metadata_only {
            codec::ACCEPT_METADATA_LIST
        } else {
            codec::ACCEPT
        };
        let path = format!("{}{}", self.collection(), params.query(false).as_str());
        let request = build(http::Method::GET, &path, accept, None, bytes::Bytes::new())?;
        codec::decode(&self.client.send(request).await?)
    }
}

/// Where the reflection goes. Calls come in order and must not block.
pub trait Sink<K>: Send {
    /// The collection is exactly these objects.
    fn replace(&mut self, objects: Vec<K>);
    /// An object is new or changed.
    fn upsert(&mut self, object: K);
    /// An object is gone; this is its last state.
    fn remove(&mut self, object: K);
}

/// Runs until `shutdown`.
pub async fn run<K: Object>(source: Source, sink: impl Sink<K>, shutdown: CancellationToken) {
    let mut reflector = Reflector {
        source,
        sink,
        kind: std::marker::PhantomData,
        position: None,
        expired: false,
        no_watch_list: false,
        backoff: Backoff::default(),
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = reflector.list_and_watch() => {}
    }
}

struct Reflector<K, S> {
    source: Source,
    sink: S,
    kind: std::marker::PhantomData<fn() -> K>,
    /// Revision the sink is at.
    position: Option<String>,
    /// The position was too old: the next list must not ask for one not older than it.
    expired: bool,
    /// The server does not do WatchList.
    no_watch_list: bool,
    backoff: Backoff,
}

/// How a watch ended.
enum Ended {
    /// Go on from the position.
    Resume,
    /// The position is lost.
    Relist,
}

impl<K: Object, S: Sink<K>> Reflector<K, S> {
    async fn list_and_watch(&mut self) {
        loop {
            let stream = match self.initial_state().await {
                Ok(stream) => stream,
                Err(error) => {
                    self.report(&error, "list");
                    self.backoff.pause(error.retry_after_seconds()).await;
                    continue;
                }
            };
            self.follow(stream).await;
        }
    }

    /// Fills the store; returns the watch that goes on from there if there is one already.
    async fn initial_state(&mut self) -> Result<Option<BoxStream<'static, Result<WatchEvent<K>>>>> {
        if !self.no_watch_list {
            match tokio::time::timeout(INITIAL_EVENTS_LIMIT, self.watch_list()).await {
                Ok(Ok(stream)) => return Ok(Some(stream)),
                Ok(Err(error)) => match &error {
                    Error::Api(_) if error.is_unauthorized() || error.is_too_many_requests() => return Err(error),
                    Error::Api(_) => {
                        // "Invalid" is what a server without the feature says; others may pass.
                        self.no_watch_list = error.is_invalid() || error.code() == Some(400);
                        tracing::debug!(resource = %self.source.resource, error = %error.chain(),
                            "no streaming list, using list");
                    }
                    _ => return Err(error),
                },
                Err(_) => {
                    self.no_watch_list = true;
                    tracing::info!(resource = %self.source.resource, "no end of initial events, using list");
                }
            }
        }
        self.list().await?;
        Ok(None)
    }

    async fn watch_list(&mut self) -> Result<BoxStream<'static, Result<WatchEvent<K>>>> {
        let mut params = self.watch_params();
        params.send_initial_events = true;
        params.resource_version_match = Some("NotOlderThan".into());
        params.resource_version = if self.expired { None } else { self.position.clone() };
        let mut stream = self.source.watch::<K>(&params).await?;
        let mut objects = std::collections::HashMap::new();
        loop {
            match stream.next().await {
                Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                    objects.insert(crate::object::key_of(&object), slim(object));
                }
                Some(Ok(WatchEvent::Deleted(object))) => {
                    objects.remove(&crate::object::key_of(&object));
                }
                Some(Ok(WatchEvent::Bookmark {
                    resource_version,
                    initial_events_end,
                })) => {
                    if initial_events_end {
                        self.replace(objects.into_values().collect(), Some(resource_version));
                        return Ok(stream);
                    }
                }
                Some(Err(error)) => {
                    self.expired |= error.is_expired();
                    return Err(error);
                }
                None => return Err(Error::Transport("watch ended within the initial events".into())),
            }
        }
    }

    async fn list(&mut self) -> Result<()> {
        let mut params = self.source.params();
        // A cached state is good enough, unless it is the cache that was too old.
        params.resource_version = match (&self.position, self.expired) {
            (_, true) => None,
            (Some(position), false) => Some(position.clone()),
            (None, false) => Some("0".into()),
        };
        params.limit = self.expired.then_some(PAGE);
        let mut items: Vec<K> = Vec::new();
        let position = loop {
            let page = match self.source.list::<K>(&params).await {
                Ok(page) => page,
                Err(error) => {
                    self.expired |= error.is_expired();
                    return Err(error);
                }
            };
            items.extend(page.items.into_iter().map(slim));
            match page.metadata.continue_.filter(|c| !c.is_empty()) {
                Some(token) => {
                    params.continue_token = Some(token);
                    params.resource_version = None;
                    params.limit = Some(PAGE);
                }
                None => break page.metadata.resource_version,
            }
        };
        self.replace(items, position);
        Ok(())
    }

    fn replace(&mut self, objects: Vec<K>, position: Option<String>) {
        self.sink.replace(objects);
        self.position = position;
        self.expired = false;
    }

    /// Watches from the position until it is lost.
    async fn follow(&mut self, mut first: Option<BoxStream<'static, Result<WatchEvent<K>>>>) {
        loop {
            let started = Instant::now();
            let stream = match first.take() {
                Some(stream) => Ok(stream),
                None => {
                    let mut params = self.watch_params();
                    params.resource_version = self.position.clone();
                    self.source.watch::<K>(&params).await
                }
            };
            let ended = match stream {
                Ok(stream) => self.consume(stream, started).await,
                Err(error) => self.watch_failed(error).await,
            };
            if let Ended::Relist = ended {
                return;
            }
        }
    }

    async fn consume(&mut self, mut stream: BoxStream<'static, Result<WatchEvent<K>>>, started: Instant) -> Ended {
        let mut events = 0_u64;
        while let Some(event) = stream.next().await {
            let position = match event {
                Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                    let position = object.metadata().resource_version.clone();
                    self.sink.upsert(slim(object));
                    position
                }
                Ok(WatchEvent::Deleted(object)) => {
                    let position = object.metadata().resource_version.clone();
                    self.sink.remove(slim(object));
                    position
                }
                Ok(WatchEvent::Bookmark { resource_version, .. }) => Some(resource_version),
                Err(error) => return self.watch_failed(error).await,
            };
            events += 1;
            if position.as_deref().is_some_and(|p| !p.is_empty()) {
                self.position = position;
            }
        }
        if events == 0 && started.elapsed() < Duration::from_secs(1) {
            tracing::debug!(resource = %self.source.resource, "very short watch");
            self.backoff.pause(None).await;
        }
        Ended::Resume
    }

    async fn watch_failed(&mut self, error: Error) -> Ended {
        if error.is_expired() {
            self.expired = true;
            tracing::debug!(resource = %self.source.resource, "watch position is too old, listing again");
            return Ended::Relist;
        }
        self.report(&error, "watch");
        self.backoff.pause(error.retry_after_seconds()).await;
        match error {
            // The connection, not the position, is at fault.
            Error::Connect { .. } | Error::Transport(_) | Error::Timeout(_) => Ended::Resume,
            _ if error.is_too_many_requests() || error.is_unauthorized() => Ended::Resume,
            _ if error.code().is_some_and(|c| c >= 500) => Ended::Resume,
            _ => Ended::Relist,
        }
    }

    fn watch_params(&self) -> ListParams {
        let mut params = self.source.params();
        params.allow_watch_bookmarks = true;
        params.timeout_seconds = Some(rand::rng().random_range(300..600));
        params
    }

    fn report(&self, error: &Error, verb: &str) {
        match error {
            Error::Transport(_) => {
                tracing::debug!(resource = %self.source.resource, error = %error.chain(), "{verb} interrupted");
            }
            _ => tracing::warn!(resource = %self.source.resource, error = %error.chain(), "failed to {verb}"),
        }
    }
}

/// Drops what no component reads and what is a third of an object's size.
fn slim<K: Object>(mut object: K) -> K {
    object.metadata_mut().managed_fields = None;
    object
}

/// Exponential back-off with jitter that forgets after two quiet minutes.
#[derive(Debug, Default)]
struct Backoff {
    step: u32,
    last: Option<Instant>,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) > BACKOFF_RESET) {
            self.step = 0;
        }
        self.last = Some(now);
        let base = BACKOFF_MIN.saturating_mul(1 << self.step.min(6)).min(BACKOFF_MAX);
        self.step += 1;
        base.mul_f64(1.0 + rand::rng().random::<f64>()).min(BACKOFF_MAX)
    }

    async fn pause(&mut self, asked: Option<u64>) {
        let wait = self
            .next()
            .max(Duration::from_secs(asked.unwrap_or(0)).min(BACKOFF_MAX));
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
