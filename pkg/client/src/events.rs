//! Events about objects: what `kubectl describe` shows at the end. Never blocks and never fails the caller.
//!
//! Upstream: client-go `tools/record` (`EventCorrelator`: aggregation of similar events, count of equal ones, a
//! spam filter per object).

mod correlate;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::client::Client;
use crate::error::Error;
use crate::object::Object;
use crate::params::Patch;
use correlate::{Correlated, Correlator};

/// Events waiting to be sent; more are dropped. Upstream: `maxQueuedEvents` 1000.
const QUEUE: usize = 1000;
/// Tries per event. Upstream: `maxTriesPerEvent` 12.
const TRIES: u32 = 12;

/// `type` of an event about something that went as it should.
pub const NORMAL: &str = "Normal";
/// `type` of an event about something that needs attention.
pub const WARNING: &str = "Warning";

/// Records events of one component. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Event>,
    source: EventSource,
}

impl Recorder {
    /// A recorder for a component (`deployment-controller`), optionally with the host it runs on. Sending ends
    /// at `shutdown`. Must be called in a tokio runtime.
    pub fn new(client: Client, component: &str, host: Option<&str>, shutdown: CancellationToken) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = send_all(client, receiver) => {}
            }
        });
        let source = EventSource {
            component: Some(component.to_owned()),
            host: host.map(str::to_owned),
        };
        Recorder { queue, source }
    }

    /// A recorder that drops everything, for tests.
    pub fn discard() -> Self {
        let (queue, _) = mpsc::channel(1);
        Recorder {
            queue,
            source: EventSource::default(),
        }
    }

    /// The same recorder in the name of another component; the queue is shared.
    #[must_use]
    pub fn for_component(&self, component: &str) -> Self {
        let source = EventSource {
            component: Some(component.to_owned()),
            host: self.source.host.clone(),
        };
        Recorder {
            queue: self.queue.clone(),
            source,
        }
    }

    /// Records a normal event.
    pub fn normal(&self, about: &ObjectReference, reason: &str, message: impl Into<String>) {
        self.event(about, NORMAL, reason, message);
    }

    /// Records a warning.
    pub fn warning(&self, about: &ObjectReference, reason: &str, message: impl Into<String>) {
        self.event(about, WARNING, reason, message);
    }

    /// Records an event of a type ([`NORMAL`] or [`WARNING`]).
    pub fn event(&self, about: &ObjectReference, kind: &str, reason: &str, message: impl Into<String>) {
        self.event_with(about, kind, reason, message, None);
    }

    /// [`Recorder::event`] with annotations on the Event.
    pub fn event_with(
        &self,
        about: &ObjectReference,
        kind: &str,
        reason: &str,
        message: impl Into<String>,
        annotations: Option<std::collections::BTreeMap<String, String>>,
    ) {
        let now = Timestamp::now();
        let namespace = about
            .namespace
            .clone()
            .filter(|n| !n.is_empty())
            .unwrap_or_else(|| "default".to_owned());
        let name = format!(
            "{}.{:x}",
            about.name.as_deref().unwrap_or_default(),
            now.as_nanosecond()
        );
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(namespace),
                annotations,
                ..ObjectMeta::default()
            },
            involved_object: about.clone(),
            reason: Some(reason.to_owned()),
            message: Some(message.into()),
            type_: Some(kind.to_owned()),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            count: Some(1),
            source: Some(self.source.clone()),
            reporting_component: self.source.component.clone(),
            reporting_instance: self.source.host.clone(),
            ..Event::default()
        };
        if self.queue.try_send(event).is_err() {
            tracing::debug!(reason, "event dropped, the queue is full or closed");
        }
    }
}

/// A reference to a typed object, as events need it.
pub fn reference<K: Object>(object: &K) -> ObjectReference {
    let meta = object.metadata();
    ObjectReference {
        api_version: Some(K::API_VERSION.to_owned()),
        kind: Some(K::KIND.to_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

async fn send_all(client: Client, mut queue: mpsc::Receiver<Event>) {
    let mut correlator = Correlator::default();
    while let Some(event) = queue.recv().await {
        let Some(correlated) = correlator.correlate(event) else {
            continue;
        };
        deliver(&client, &mut correlator, correlated).await;
    }
}

async fn deliver(client: &Client, correlator: &mut Correlator, correlated: Correlated) {
    for attempt in 1..=TRIES {
        match send(client, &correlated).await {
            Ok(stored) => {
                correlator.stored(&correlated, stored);
                return;
            }
            // Upstream: `recordEvent` gives up on answers and goes on trying on anything else.
            Err(Error::Api(status)) => {
                tracing::debug!(reason = ?status.reason, message = ?status.message, "server rejected event (will not retry!)");
                return;
            }
            Err(error) => {
                tracing::debug!(attempt, error = %error.chain(), "unable to write event (may retry after sleeping)");
                tokio::time::sleep(std::time::Duration::from_secs(if attempt == 1 { 2 } else { 10 })).await;
            }
        }
    }
}

async fn send(client: &Client, correlated: &Correlated) -> Result<Event, Error> {
    let event = &correlated.event;
    let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    if let Some(name) = &correlated.update {
        let patch = Patch::Strategic(json!({
            "count": event.count,
            "lastTimestamp": event.last_timestamp,
            "message": event.message,
        }));
        match api.patch(name, &patch, None).await {
            // It was deleted or expired: a new one then.
            Err(error) if error.is_not_found() => {}
            other => return other,
        }
    }
    api.create(event).await
}
