//! Puts the scheduler together and runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use client::informer::SharedInformer;
use client::leader_election::{self, Ended};
use client::reflector::Source;
use component::health::Checks;
use component::secure_serving::Endpoints;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use tokio_util::sync::CancellationToken;

use crate::options::Config;
use crate::plugins::{ApiBinder, Handle};
use crate::scheduler::Scheduler;

/// Pods that are over take no room (upstream `NewInformerFactory`).
const LIVE_PODS: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Runs until `shutdown`: serves health and metrics at once, schedules while it leads.
///
/// # Errors
/// The configuration cannot be used, a port cannot be bound, or the lead was lost.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    // One rate limit each, as upstream: a thousand bindings in the queue must not keep the lease from
    // being renewed.
    let client = client::Client::new(config.client.clone())?;
    let event_client = client::Client::new(config.client.clone())?;
    let lease_client = client::Client::new(config.client.clone())?;
    let handle = Handle {
        binder: Arc::new(ApiBinder { client: client.clone() }),
    };
    let profiles = config
        .configuration
        .profiles(&handle)
        .map_err(|errors| anyhow::anyhow!(errors.join("\n")))?;

    let stop = shutdown.child_token();
    let pods = SharedInformer::<Pod>::new(Source::of::<Pod>(client.clone()).fields(LIVE_PODS));
    let nodes = SharedInformer::<Node>::new(Source::of::<Node>(client.clone()));
    let recorder = client::events::Recorder::new(
        event_client,
        crate::configuration::DEFAULT_SCHEDULER,
        None,
        stop.clone(),
    );
    let scheduler = Arc::new(Scheduler::new(
        client.clone(),
        profiles,
        config.times,
        recorder,
        pods.reader(),
    ));

    // Nodes first: pods that come before their node are looked at twice.
    let handler = Arc::clone(&scheduler);
    let mut nodes_seen = nodes.add_handler(move |change| handler.node_changed(change));
    let handler = Arc::clone(&scheduler);
    let mut pods_seen = pods.add_handler(move |change| handler.pod_changed(change));
    let namespaces = SharedInformer::<Namespace>::new(Source::of::<Namespace>(client.clone()));
    let handler = Arc::clone(&scheduler);
    let mut namespaces_seen = namespaces.add_handler(move |change| handler.namespace_changed(change));
    namespaces.start(&stop);
    nodes.start(&stop);
    pods.start(&stop);

    let synced = Arc::new(AtomicBool::new(false));
    let serving = {
        let endpoints = endpoints(&config, &synced, &shutdown);
        let (options, stop) = (config.secure_serving.clone(), stop.clone());
        tokio::spawn(async move { options.serve("kube-scheduler", endpoints, stop).await })
    };
    // A port that cannot be bound ends the run at once.
    let serving_failed = async {
        match serving.await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => std::future::pending().await,
            Err(panic) => anyhow::Error::from(panic),
        }
    };

    component::sd_notify::ready();
    let work = async {
        let all_seen = async {
            namespaces_seen.wait_synced().await;
            nodes_seen.wait_synced().await;
            pods_seen.wait_synced().await;
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = all_seen => {}
        }
        synced.store(true, Ordering::Relaxed);
        let Some(election) = config.election else {
            Arc::clone(&scheduler).run(stop.clone()).await;
            return Ok(());
        };
        let lead = move |leading| scheduler.run(leading);
        match leader_election::run(lease_client, election, stop.clone(), lead).await {
            Ended::Shutdown => Ok(()),
            Ended::Lost => Err(anyhow::anyhow!("leaderelection lost")),
        }
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        error = serving_failed => Err(error),
    };
    component::sd_notify::stopping();
    stop.cancel();
    outcome
}

fn endpoints(config: &Config, synced: &Arc<AtomicBool>, shutdown: &CancellationToken) -> Endpoints {
    let election = |checks: Checks| checks.add("leaderElection", || async { Ok(()) });
    let synced = Arc::clone(synced);
    let shutdown = shutdown.clone();
    let ready = election(Checks::new("readyz").ping())
        .add("shutdown", move || {
            let ending = shutdown.is_cancelled();
            async move {
                if ending {
                    Err("process is shutting down".to_owned())
                } else {
                    Ok(())
                }
            }
        })
        .add("sched-handler-sync", move || {
            let synced = synced.load(Ordering::Relaxed);
            async move {
                if synced {
                    Ok(())
                } else {
                    Err("waiting for handlers to sync".to_owned())
                }
            }
        });
    let configz = serde_json::to_value(&config.configuration).unwrap_or_default();
    Endpoints::new(vec![
        election(Checks::new("healthz").ping()),
        election(Checks::new("livez").ping()),
        ready,
    ])
    .configz("kubescheduler.config.k8s.io", &configz)
    .flags("kube-scheduler", &config.flags)
}
