//! One watch per resource, shared by everything in the process that reads it.
//!
//! [`Factory::informer`] gives the shared informer of a kind; [`SharedInformer::reader`] its store,
//! [`SharedInformer::add_handler`] its changes. A handler runs in a task of its own behind an unbounded queue, so
//! it never holds up the reflector; it should only turn changes into keys of a work queue.
//! Upstream: client-go `informers.SharedInformerFactory`, `tools/cache/shared_informer.go`.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::object::Object;
use crate::reflector::{self, Source};
use crate::store::{Writer, store};

pub use crate::store::{Change as Event, Reader};

/// What a listener's queue carries.
enum Message<K> {
    Change(Event<K>),
    /// Everything of the initial state was sent before this.
    Synced,
}

struct Listener<K> {
    queue: mpsc::UnboundedSender<Message<K>>,
    told_synced: bool,
}

struct Inner<K> {
    source: Source,
    reader: Reader<K>,
    state: Mutex<State<K>>,
}

struct State<K> {
    /// Present until the informer is started.
    writer: Option<Writer<K>>,
    listeners: Vec<Listener<K>>,
}

/// A store kept equal to a collection, and handlers of its changes. Clones are the same informer.
pub struct SharedInformer<K> {
    inner: Arc<Inner<K>>,
}

impl<K> Clone for SharedInformer<K> {
    fn clone(&self) -> Self {
        SharedInformer {
            inner: self.inner.clone(),
        }
    }
}

/// Tells when a handler was given the whole initial state.
#[derive(Clone, Debug)]
pub struct Registration {
    synced: watch::Receiver<bool>,
}

impl Registration {
    /// The handler has seen every object of the initial state.
    pub fn has_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Waits until it has.
    pub async fn wait_synced(&mut self) {
        // An error means the handler's task ended with the process.
        let _ = self.synced.wait_for(|s| *s).await;
    }
}

impl<K: Object> SharedInformer<K> {
    /// An informer of its own, not shared through a factory. Nothing happens until [`SharedInformer::start`].
    pub fn new(source: Source) -> Self {
        let (writer, reader) = store();
        let state = State {
            writer: Some(writer),
            listeners: Vec::new(),
        };
        SharedInformer {
            inner: Arc::new(Inner {
                source,
                reader,
                state: Mutex::new(state),
            }),
        }
    }

    /// The store.
    pub fn reader(&self) -> Reader<K> {
        self.inner.reader.clone()
    }

    /// Adds a named index to the store; see [`Reader::add_index`].
    pub fn add_index(&self, name: &'static str, values: impl Fn(&K) -> Vec<String> + Send + Sync + 'static) {
        self.inner.reader.add_index(name, values);
    }

    /// Calls `handler` with every change, in order, starting with an `Added` for each object already there.
    pub fn add_handler(&self, handler: impl Fn(Event<K>) + Send + Sync + 'static) -> Registration {
        let mut queue = self.listen();
        let (sender, synced) = watch::channel(false);
        tokio::spawn(async move {
            while let Some(message) = queue.recv().await {
                match message {
                    Message::Change(change) => {
                        let call = std::panic::AssertUnwindSafe(|| handler(change));
                        if std::panic::catch_unwind(call).is_err() {
                            tracing::error!("an event handler panicked; the event is lost to it");
                        }
                    }
                    Message::Synced => {
                        sender.send_replace(true);
                    }
                }
            }
        });
        Registration { synced }
    }

    /// The changes as a queue, for a task that has its own loop. Starts with an `Added` for each object there.
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Event<K>> {
        let mut queue = self.listen();
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(message) = queue.recv().await {
                if let Message::Change(change) = message
                    && sender.send(change).is_err()
                {
                    return;
                }
            }
        });
        receiver
    }

    fn listen(&self) -> mpsc::UnboundedReceiver<Message<K>> {
        let (queue, receiver) = mpsc::unbounded_channel();
        // Under the lock that changes are made under, so that no change is missed or told twice.
        let mut state = self.inner.state.lock();
        for object in self.inner.reader.list() {
            let _ = queue.send(Message::Change(Event::Added(object)));
        }
        let told_synced = self.inner.reader.has_synced();
        if told_synced {
            let _ = queue.send(Message::Synced);
        }
        state.listeners.push(Listener { queue, told_synced });
        receiver
    }

    /// Starts listing and watching until `shutdown`. A second call does nothing.
    pub fn start(&self, shutdown: &CancellationToken) {
        let Some(writer) = self.inner.state.lock().writer.take() else {
            return;
        };
        let inner = self.inner.clone();
        let source = inner.source.clone();
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            reflector::run(
                source,
                Sink {
                    inner: inner.clone(),
                    writer,
                },
                shutdown,
            )
            .await;
            // Listeners end with the informer.
            inner.state.lock().listeners.clear();
        });
    }

    /// The initial list is in the store.
    pub fn has_synced(&self) -> bool {
        self.inner.reader.has_synced()
    }

    /// Waits for the initial list.
    pub async fn wait_synced(&self) {
        self.inner.reader.wait_synced().await;
    }
}

/// The informer's end of the reflector: changes the store and tells the listeners under one lock.
struct Sink<K> {
    inner: Arc<Inner<K>>,
    writer: Writer<K>,
}

impl<K: Object> reflector::Sink<K> for Sink<K> {
    fn replace(&mut self, objects: Vec<K>) {
        let mut state = self.inner.state.lock();
        let changes = self.writer.replace(objects);
        self.writer.set_synced();
        state.tell(&changes, true);
    }

    fn upsert(&mut self, object: K) {
        let mut state = self.inner.state.lock();
        if let Some(change) = self.writer.upsert(object) {
            state.tell(&[change], false);
        }
    }

    fn remove(&mut self, object: K) {
        let mut state = self.inner.state.lock();
        if let Some(change) = self.writer.remove(object) {
            state.tell(&[change], false);
        }
    }
}

impl<K> State<K> {
    fn tell(&mut self, changes: &[Event<K>], synced: bool) {
        self.listeners.retain_mut(|listener| {
            for change in changes {
                if listener.queue.send(Message::Change(change.clone())).is_err() {
                    return false;
                }
            }
            if synced && !listener.told_synced {
                listener.told_synced = true;
                return listener.queue.send(Message::Synced).is_ok();
            }
            true
        });
    }
}

/// Something that can be started and waited for, whatever its kind.
trait Startable: Any + Send + Sync {
    fn start(&self, shutdown: &CancellationToken);
    fn synced(&self) -> bool;
    fn wait<'a>(&'a self) -> futures::future::BoxFuture<'a, ()>;
    fn as_any(&self) -> &dyn Any;
    fn describe(&self) -> String;
}

impl<K: Object> Startable for SharedInformer<K> {
    fn start(&self, shutdown: &CancellationToken) {
        SharedInformer::start(self, shutdown);
    }
    fn synced(&self) -> bool {
        self.has_synced()
    }
    fn wait<'a>(&'a self) -> futures::future::BoxFuture<'a, ()> {
        Box::pin(self.wait_synced())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn describe(&self) -> String {
        self.inner.source.resource.to_string()
    }
}

/// The shared informers of a process, by kind. Clones are the same factory.
#[derive(Clone)]
pub struct Factory {
    client: Client,
    shutdown: CancellationToken,
    informers: Arc<Mutex<HashMap<TypeId, Arc<dyn Startable>>>>,
}

impl Factory {
    /// Informers of this factory use `client` and end at `shutdown`.
    pub fn new(client: Client, shutdown: CancellationToken) -> Self {
        Factory {
            client,
            shutdown,
            informers: Arc::default(),
        }
    }

    /// The client the informers use.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The informer of all objects of a kind; made on first use, started by [`Factory::start`].
    pub fn informer<K: Object>(&self) -> SharedInformer<K>
    where
        K::Scope: 'static,
    {
        self.informer_with(|client| Source::of::<K>(client))
    }

    /// Like [`Factory::informer`], with another source (a field selector for instance) if it is not made yet.
    /// One informer per kind: the first caller decides.
    pub fn informer_with<K: Object>(&self, source: impl FnOnce(Client) -> Source) -> SharedInformer<K> {
        let mut informers = self.informers.lock();
        let entry = informers.entry(TypeId::of::<K>()).or_insert_with(|| {
            let made: Arc<dyn Startable> = Arc::new(SharedInformer::<K>::new(source(self.client.clone())));
            made
        });
        entry
            .as_any()
            .downcast_ref::<SharedInformer<K>>()
            .expect("the map's key is the type id of the informer's kind")
            .clone()
    }

    /// Starts the informers made so far; call again after making more.
    pub fn start(&self) {
        for informer in self.informers.lock().values() {
            informer.start(&self.shutdown);
        }
    }

    /// Waits until every informer made so far has its initial list, or the shutdown. True when all have.
    pub async fn wait_synced(&self) -> bool {
        let informers: Vec<_> = self.informers.lock().values().cloned().collect();
        for informer in informers {
            tokio::select! {
                () = self.shutdown.cancelled() => return false,
                () = informer.wait() => {}
            }
        }
        true
    }

    /// The resources whose initial list is not in yet, for a log or a health check.
    pub fn unsynced(&self) -> Vec<String> {
        self.informers
            .lock()
            .values()
            .filter(|i| !i.synced())
            .map(|i| i.describe())
            .collect()
    }
}
