//! What a controller is given when it starts.

use std::sync::Arc;

use client::{
    Client,
    controller::{self, Outcome},
    events::Recorder,
    informer::Factory,
    workqueue::WorkQueue,
};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{clients::Clients, config::Config};

/// The work of a started controller: it ends after the shutdown.
pub(crate) type Work = BoxFuture<'static, ()>;

/// Handed to every controller's `start`.
pub(crate) struct ControllerContext {
    /// The shared informers. They are started after every controller has asked for its own.
    pub(crate) informers: Factory,
    /// The configuration.
    pub(crate) config: Arc<Config>,
    /// Ends everything.
    pub(crate) shutdown: CancellationToken,
    clients: Clients,
    recorder: Recorder,
}

impl ControllerContext {
    pub(crate) fn new(config: Arc<Config>, client: Client, clients: Clients, shutdown: CancellationToken) -> Self {
        Self {
            // A client of their own: a burst of events must not hold up the watches.
            recorder: Recorder::new(
                Client::new(client.config().clone()).unwrap_or_else(|_| client.clone()),
                "kube-controller-manager",
                None,
                shutdown.clone(),
            ),
            informers: Factory::new(client, shutdown.clone()),
            config,
            shutdown,
            clients,
        }
    }

    /// A client that writes as the controller's own service account (`kube-system/<account>`), or as
    /// this process without --use-service-account-credentials. Upstream: `ControllerClientBuilder`.
    pub(crate) fn client(&self, account: &'static str) -> Client {
        self.clients.get(account)
    }

    /// As [`Self::client`], for a controller that makes many requests at once: upstream gives it twenty
    /// times the rate (cmd/kube-controller-manager/app/core.go `startModifiedNamespaceController`).
    pub(crate) fn busy_client(&self, account: &'static str) -> Client {
        self.clients.get_with_rate(account, 20.0)
    }

    /// A recorder of events from this component.
    pub(crate) fn recorder(&self, component: &str) -> Recorder {
        self.recorder.for_component(component)
    }

    /// The work of reconciling a queue's keys, once every informer has its initial list.
    pub(crate) fn work<R, F>(&self, name: &'static str, queue: WorkQueue<String>, workers: usize, reconcile: R) -> Work
    where
        R: Fn(String) -> F + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<Outcome>> + Send + 'static,
    {
        let (informers, shutdown) = (self.informers.clone(), self.shutdown.clone());
        Box::pin(async move {
            if informers.wait_synced().await {
                controller::run(name, queue, workers, shutdown, reconcile).await;
            }
        })
    }
}
