//! kube-controller-manager: the control loops that bring the cluster to what its objects say.
//!
//! It reads and writes through the API only. It is not where rules live that other components ask
//! too (`pkg/rules`), and its controllers hold no retry, back-off or panic handling
//! (`client::controller`).
//!
//! Start at [`descriptors`], the table of controllers; each one is a folder or file of
//! `controllers/` that turns watch events into keys and reconciles a key.

mod adoption;
mod clients;
mod config;
mod context;
mod controllers;
mod descriptors;
mod expectations;
mod metrics;
mod options;
mod percent;
mod server;
mod service_pods;
mod slices;

use client::{Client, leader_election};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use options::{Options, flag_table};

/// Runs until `shutdown`: serves health and metrics, waits to be leader, then runs the controllers.
///
/// # Errors
/// The API server's address or credentials are unusable, the port is taken, or the lead was lost:
/// then the process must end at once, another one is leading.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let client = Client::new(config.client.clone())?;
    metrics::register();
    let serving = server::start(&config, shutdown.clone());
    let work = async {
        let Some(election) = config.leader_election.clone() else {
            descriptors::run_all(config, client, shutdown.clone()).await;
            return Ok(());
        };
        // A client of its own: renewals must not wait behind the controllers' requests.
        let voter = Client::new(config.client.clone())?;
        let lease = election.name.clone();
        metrics::leading(&lease, false);
        let ended = leader_election::run(voter, election, shutdown.clone(), move |leading| async move {
            metrics::leading(&lease, true);
            descriptors::run_all(config, client, leading).await;
        })
        .await;
        anyhow::ensure!(ended == leader_election::Ended::Shutdown, "leaderelection lost");
        Ok(())
    };
    // A port that cannot be served ends the process, as the end of the work does.
    tokio::select! {
        worked = work => worked?,
        served = ended_early(serving, &shutdown) => return served,
    }
    Ok(())
}

/// The serving's error; waits for the shutdown when serving is off or fine.
async fn ended_early(serving: JoinHandle<anyhow::Result<()>>, shutdown: &CancellationToken) -> anyhow::Result<()> {
    serving.await??;
    shutdown.cancelled().await;
    std::future::pending().await
}
