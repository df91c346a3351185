//! One metadata watch for each resource that can be deleted. Which there are is asked now and then:
//! custom resources come and go.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use client::{
    Client, PartialObjectMetadata, Resource,
    discovery::{Discovery, discover},
    informer::{Event, SharedInformer},
    reflector::Source,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Controller;

/// Upstream: `garbageCollector.Sync` period.
const DISCOVERY_PERIOD: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(1);
/// Their events are not worth a node (`DefaultIgnoredResources`).
const IGNORED: &[(&str, &str)] = &[("", "events"), ("events.k8s.io", "events")];

pub(super) struct Monitors {
    client: Client,
    discovery: Mutex<Discovery>,
    running: Mutex<BTreeMap<Resource, Monitor>>,
    synced: watch::Sender<bool>,
}

struct Monitor {
    informer: SharedInformer<PartialObjectMetadata>,
    stop: CancellationToken,
}

impl Monitors {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            discovery: Mutex::default(),
            running: Mutex::default(),
            synced: watch::Sender::new(false),
        }
    }

    /// Where objects of a kind live; the version may be any that is served.
    pub(super) fn resource_of(&self, api_version: &str, kind: &str) -> Option<Resource> {
        self.discovery
            .lock()
            .by_kind(api_version, kind)
            .map(|found| found.resource.clone())
    }

    /// Waits until the first set of watches has its initial lists.
    pub(super) async fn wait_synced(&self) {
        // The sender lives as long as `self`.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Starts and stops watches so that they are those of `discovery`.
    fn update(&self, controller: &Arc<Controller>, discovery: Discovery, shutdown: &CancellationToken) {
        let wanted: Vec<Resource> = discovery
            .preferred()
            .filter(|found| found.supports(&["delete", "list", "watch"]))
            .map(|found| found.resource.clone())
            .filter(|resource| !IGNORED.contains(&(&resource.group, &resource.plural)))
            .collect();
        let complete = discovery.failed.is_empty();
        *self.discovery.lock() = discovery;
        let mut running = self.running.lock();
        // A group that could not be asked keeps its watches.
        if complete {
            running.retain(|resource, monitor| {
                let keep = wanted.contains(resource);
                if !keep {
                    monitor.stop.cancel();
                }
                keep
            });
        }
        for resource in wanted {
            running
                .entry(resource)
                .or_insert_with_key(|resource| self.start(controller, resource, shutdown));
        }
    }

    fn start(&self, controller: &Arc<Controller>, resource: &Resource, shutdown: &CancellationToken) -> Monitor {
        let source = Source::new(self.client.clone(), resource.clone()).metadata_only();
        let informer = SharedInformer::<PartialObjectMetadata>::new(source);
        let (api_version, kind) = (resource.api_version(), resource.kind.to_string());
        let controller = Arc::downgrade(controller);
        informer.add_handler(move |event| {
            let Some(controller) = controller.upgrade() else { return };
            let todos = match event {
                Event::Added(object) | Event::Updated { new: object, .. } => {
                    controller.graph.lock().observe(&api_version, &kind, &object)
                }
                Event::Deleted(object) => controller
                    .graph
                    .lock()
                    .remove(object.metadata.uid.as_deref().unwrap_or_default()),
            };
            controller.enqueue(todos);
        });
        let stop = shutdown.child_token();
        informer.start(&stop);
        Monitor { informer, stop }
    }
}

/// Keeps the set of watches up to date until `shutdown`.
pub(super) async fn run(controller: Arc<Controller>, shutdown: CancellationToken) {
    let monitors = &controller.monitors;
    loop {
        let pause = match discover(&monitors.client).await {
            Ok(discovery) => {
                for (group, error) in &discovery.failed {
                    tracing::warn!(group, error, "a group could not be discovered");
                }
                monitors.update(&controller, discovery, &shutdown);
                DISCOVERY_PERIOD
            }
            Err(error) => {
                tracing::warn!(error = %error.chain(), "discovery failed");
                RETRY
            }
        };
        if pause == DISCOVERY_PERIOD && !*monitors.synced.borrow() {
            let informers: Vec<_> = monitors
                .running
                .lock()
                .values()
                .map(|monitor| monitor.informer.clone())
                .collect();
            for informer in informers {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = informer.wait_synced() => {}
                }
            }
            monitors.synced.send_replace(true);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
