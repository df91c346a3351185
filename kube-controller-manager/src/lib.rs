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
mod options;
mod server;
mod service_pods;

use client::{Client, leader_election};
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
    let serving = server::start(&config, shutdown.clone()).await?;
    let election = config.leader_election.clone();
    let lead = {
        let client = client.clone();
        move |leading| descriptors::run_all(config, client, leading)
    };
    match election {
        None => lead(shutdown.clone()).await,
        Some(election) => {
            let ended = leader_election::run(client, election, shutdown.clone(), lead).await;
            anyhow::ensure!(ended == leader_election::Ended::Shutdown, "leaderelection lost");
        }
    }
    shutdown.cancel();
    serving.await?;
    Ok(())
}
