//! Counts of what this process does not watch otherwise: a metadata watch for each resource that a quota names, from
//! the first quota on that does.
//!
//! Upstream's `QuotaMonitor` watches every resource that discovery tells of, whether a quota asks for it or not.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use client::discovery::discover;
use client::informer::SharedInformer;
use client::reflector::Source;
use client::{Client, PartialObjectMetadata};
use parking_lot::Mutex;
use rules::quota::{count_name, is_ignored};
use tokio_util::sync::CancellationToken;

use super::Waker;

/// How long the first list of a resource may take before the quota is tried again.
const FIRST_LIST: Duration = Duration::from_secs(10);

pub(super) struct Monitors {
    client: Client,
    waker: Waker,
    shutdown: CancellationToken,
    /// By the name that quotas have for their number.
    running: Mutex<HashMap<String, SharedInformer<PartialObjectMetadata>>>,
    /// Only one asks at a time what there is.
    asking: tokio::sync::Mutex<()>,
}

impl Monitors {
    pub(super) fn new(client: Client, waker: Waker, shutdown: CancellationToken) -> Self {
        Monitors {
            client,
            waker,
            shutdown,
            running: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The number of objects in a namespace of the resource with this name; `None` as long as there is no such
    /// resource.
    pub(super) async fn count(&self, name: &str, namespace: &str) -> anyhow::Result<Option<usize>> {
        let Some(informer) = self.informer(name).await? else {
            return Ok(None);
        };
        tokio::time::timeout(FIRST_LIST, informer.wait_synced())
            .await
            .with_context(|| format!("{name} are not listed yet"))?;
        Ok(Some(informer.reader().list_namespace(namespace).len()))
    }

    async fn informer(&self, name: &str) -> anyhow::Result<Option<SharedInformer<PartialObjectMetadata>>> {
        let running = || self.running.lock().get(name).cloned();
        if let Some(informer) = running() {
            return Ok(Some(informer));
        }
        let _turn = self.asking.lock().await;
        if let Some(informer) = running() {
            return Ok(Some(informer));
        }
        let discovery = discover(&self.client).await?;
        let found = discovery.preferred().find(|found| {
            let resource = &found.resource;
            resource.namespaced
                && found.supports(&["create", "delete", "list", "watch"])
                && !is_ignored(&resource.group, &resource.plural)
                && count_name(&resource.group, &resource.plural) == name
        });
        let Some(found) = found else { return Ok(None) };
        let source = Source::new(self.client.clone(), found.resource.clone()).metadata_only();
        let informer = SharedInformer::<PartialObjectMetadata>::new(source);
        let waker = self.waker.clone();
        informer.add_handler(move |event| waker.came_or_went(&event));
        informer.start(&self.shutdown);
        self.running.lock().insert(name.to_owned(), informer.clone());
        Ok(Some(informer))
    }
}
