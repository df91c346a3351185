//! Runs the bootstrap: once before the server says it is ready, then the slow reconcilers.
//!
//! Periods as upstream's: endpoints, Service and identity 10 s (`reconcilers`, `IdentityLeaseRenewIntervalPeriod`);
//! namespaces, trusted authorities and flow control a minute.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::status::ApiError;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::authentication_config::Trusted;
use super::identity_lease::{self, Identity};
use super::kubernetes_service::{self, Target};
use super::{
    api_services, authentication_config, flow_control, legacy_token_tracking, master_leases, namespaces,
    priority_classes, rbac, service_cidr,
};
use crate::registry::Registry;
use crate::services::Allocators;

const RETRY: Duration = Duration::from_secs(1);
const ENDPOINTS_PERIOD: Duration = Duration::from_secs(10);
/// In rounds of [`ENDPOINTS_PERIOD`].
const MINUTE: u32 = 6;
/// In rounds of [`ENDPOINTS_PERIOD`]: three minutes.
const REPAIR_EVERY: u32 = 18;
/// In rounds of [`ENDPOINTS_PERIOD`]: an hour.
const SWEEP_EVERY: u32 = 360;

/// What the bootstrap writes about this server.
#[derive(Clone)]
pub(crate) struct Config {
    /// Address clients reach this server at; goes into Endpoints.
    pub(crate) advertise: IpAddr,
    /// Its port.
    pub(crate) secure_port: u16,
    /// `--service-cluster-ip-range`, as canonical CIDRs.
    pub(crate) service_cidrs: Vec<String>,
    /// The Service's address: the first of the service network.
    pub(crate) kubernetes_ip: Option<IpAddr>,
    /// `--endpoint-reconciler-type`: `lease`, `none` (or `master-count`, which acts as `lease`).
    pub(crate) endpoint_reconciler: String,
    /// What `extension-apiserver-authentication` says of this server.
    pub(crate) authentication: Trusted,
    /// Name of this server's lease.
    pub(crate) identity: Identity,
}

/// Names of the post-start hooks, in upstream's order, which is also the order they run in. Probes
/// name them, so those whose work begins elsewhere here (informers, handlers) are in the list too: they
/// are done as soon as their turn comes.
pub(crate) const HOOKS: [&str; 26] = [
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "aggregator-reload-proxy-client-cert",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-discovery-controller",
    AUTOREGISTRATION,
];
/// Registers our own APIServices; `autoregister-completion` asks whether it is done.
pub(crate) const AUTOREGISTRATION: &str = "kube-apiserver-autoregistration";

/// How far the bootstrap is: for `/readyz/poststarthook/*`.
#[derive(Clone)]
pub(crate) struct Progress {
    finished: Arc<Mutex<Vec<&'static str>>>,
    done: watch::Receiver<bool>,
}

impl Progress {
    /// Whether the named hook has run.
    pub(crate) fn finished(&self, hook: &str) -> bool {
        self.finished.lock().contains(&hook)
    }

    /// Whether all hooks have run.
    pub(crate) fn done(&self) -> bool {
        *self.done.borrow()
    }

    /// Waits for all hooks.
    pub(crate) async fn wait(&self) {
        // The runner is gone: shutting down.
        let _ = self.done.clone().wait_for(|d| *d).await;
    }
}

/// Starts the bootstrap. The handle ends after `shutdown`, when this server has left the Endpoints.
pub(crate) fn start(
    config: Config,
    registry: Arc<Registry>,
    allocators: Option<Arc<Allocators>>,
    shutdown: CancellationToken,
) -> (Progress, tokio::task::JoinHandle<()>) {
    let (tx, rx) = watch::channel(false);
    let progress = Progress {
        finished: Arc::default(),
        done: rx,
    };
    let finished = progress.finished.clone();
    let handle = tokio::spawn(async move {
        for hook in HOOKS {
            while let Err(error) = run_hook(hook, &config, &registry, allocators.as_deref()).await {
                tracing::warn!(hook, %error, "bootstrap step failed, trying again");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
            finished.lock().push(hook);
        }
        tx.send_replace(true);
        reconcile(&config, &registry, allocators.as_deref(), &shutdown).await;
    });
    (progress, handle)
}

async fn run_hook(
    hook: &str,
    config: &Config,
    registry: &Arc<Registry>,
    allocators: Option<&Allocators>,
) -> Result<(), ApiError> {
    let objects = &**registry;
    match hook {
        "start-system-namespaces-controller" => namespaces::reconcile(objects).await,
        "start-cluster-authentication-info-controller" => {
            authentication_config::reconcile(objects, &config.authentication.data()).await
        }
        "start-kube-apiserver-identity-lease-controller" => identity_lease::begin(objects, &config.identity).await,
        "start-kube-apiserver-identity-lease-garbage-collector" => {
            identity_lease::sweep(objects, apimachinery::time::now()).await
        }
        "start-legacy-token-tracking-controller" => legacy_token_tracking::reconcile(objects).await,
        "start-service-ip-repair-controllers" => {
            repair(allocators).await;
            Ok(())
        }
        "rbac/bootstrap-roles" => rbac::reconcile(objects).await,
        "scheduling/bootstrap-system-priority-classes" => priority_classes::reconcile(objects).await,
        "priority-and-fairness-config-producer" => flow_control(registry).await,
        "bootstrap-controller" => {
            let Some(target) = target(config) else { return Ok(()) };
            kubernetes_service::reconcile_service(objects, &target).await?;
            // An address that cannot be an endpoint (loopback) does not keep the server from serving.
            if let Err(error) = endpoints(config, registry, &target).await {
                tracing::warn!(%error, "cannot reconcile the endpoints of the kubernetes Service");
            }
            Ok(())
        }
        "start-kubernetes-service-cidr-controller" => service_cidr::reconcile(registry, &config.service_cidrs).await,
        AUTOREGISTRATION => api_services::register(registry).await,
        _ => Ok(()),
    }
}

async fn flow_control(registry: &Registry) -> Result<(), ApiError> {
    flow_control::reconcile(registry).await?;
    flow_control::mark(registry).await
}

fn target(config: &Config) -> Option<Target> {
    Some(Target {
        cluster_ip: config.kubernetes_ip?,
        service_port: 443,
        secure_port: config.secure_port,
    })
}

/// The Service and its endpoints.
async fn kubernetes_service(config: &Config, registry: &Registry) -> Result<(), ApiError> {
    let Some(target) = target(config) else { return Ok(()) };
    kubernetes_service::reconcile_service(registry, &target).await?;
    endpoints(config, registry, &target).await
}

/// This server's lease, and the addresses of all servers that have one.
async fn endpoints(config: &Config, registry: &Registry, target: &Target) -> Result<(), ApiError> {
    if config.endpoint_reconciler == "none" {
        return Ok(());
    }
    master_leases::renew(registry, &config.advertise.to_string()).await?;
    let ips = master_leases::list(registry).await?;
    kubernetes_service::reconcile_endpoints(registry, &ips, target).await
}

async fn repair(allocators: Option<&Allocators>) {
    if let Some(a) = allocators
        && let Err(error) = a.repair().await
    {
        tracing::warn!(%error, "cannot repair the service allocations");
    }
}

async fn reconcile(
    config: &Config,
    registry: &Registry,
    allocators: Option<&Allocators>,
    shutdown: &CancellationToken,
) {
    let mut round: u32 = 0;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(ENDPOINTS_PERIOD) => {}
        }
        round = round.wrapping_add(1);
        logged("reconcile the kubernetes Service", kubernetes_service(config, registry)).await;
        let renewal = identity_lease::renew(registry, &config.identity);
        logged("renew the lease of this server's identity", renewal).await;
        if round.is_multiple_of(MINUTE) {
            logged("reconcile the system namespaces", namespaces::reconcile(registry)).await;
            let available = api_services::mark_available(registry);
            logged("mark the local APIServices as available", available).await;
            let trusted = config.authentication.data();
            let publication = authentication_config::reconcile(registry, &trusted);
            logged("publish whom this server trusts", publication).await;
            logged("keep the objects of flow control", flow_control(registry)).await;
        }
        if round.is_multiple_of(REPAIR_EVERY) {
            repair(allocators).await;
        }
        if round.is_multiple_of(SWEEP_EVERY) {
            let sweep = identity_lease::sweep(registry, apimachinery::time::now());
            logged("delete the leases of servers that are gone", sweep).await;
        }
    }
    let end = identity_lease::end(registry, &config.identity);
    logged("delete the lease of this server's identity", end).await;
    if config.endpoint_reconciler != "none" {
        logged("leave the endpoints of the kubernetes Service", leave(config, registry)).await;
    }
}

/// A step that fails is tried again in a later round.
async fn logged(what: &str, step: impl Future<Output = Result<(), ApiError>>) {
    if let Err(error) = step.await {
        tracing::warn!(%error, "cannot {what}");
    }
}

/// Takes this server out of the Endpoints before it stops.
async fn leave(config: &Config, registry: &Registry) -> Result<(), ApiError> {
    let Some(target) = target(config) else { return Ok(()) };
    master_leases::remove(registry, &config.advertise.to_string()).await?;
    let ips = master_leases::list(registry).await?;
    kubernetes_service::reconcile_endpoints(registry, &ips, &target).await
}
