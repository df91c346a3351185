//! Concurrent clients see one store that does one thing at a time, whatever keeps its data, and across restarts.

mod check;
mod client;
mod history;
mod refused;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_shim::{Config, EngineKind, Listen, Server};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;

pub(crate) use check::{Report, check};
pub(crate) use client::{clients, look};
pub(crate) use history::Recorder;

/// Clients at once.
pub(crate) const CLIENTS: u64 = 6;
/// Starts of the server in one history.
const STARTS: u64 = 3;

/// Runs `history` with new seeds: once, or as long as `CORTEN_PROOF_SECONDS` says (`hack/proofs.sh`).
pub(crate) async fn prove<F: Future<Output = Report>>(name: &str, mut history: impl FnMut(u64) -> F) {
    let seconds: u64 = std::env::var("CORTEN_PROOF_SECONDS").map_or(0, |text| text.parse().expect("seconds"));
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut sum, mut histories) = (Report::default(), 0);
    let first: u64 = if seconds == 0 { 1 } else { rand::random::<u32>().into() };
    for seed in first.. {
        eprintln!("{name}: seed {seed}");
        let report = history(seed).await;
        sum.calls += report.calls;
        sum.open += report.open;
        sum.done += report.done;
        sum.revisions += report.revisions;
        histories += 1;
        if Instant::now() >= end {
            break;
        }
    }
    // hack/proofs.sh collects these lines.
    #[allow(clippy::print_stdout)]
    {
        println!(
            "proof: {name} histories={histories} calls={} open={} open_done={} revisions={}",
            sum.calls, sum.open, sum.done, sum.revisions
        );
    }
}

/// A server in this process, stopped in the middle of everything and started again.
async fn history(seed: u64, kind: Option<EngineKind>) -> Report {
    let directory = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::default());
    let mut random = StdRng::seed_from_u64(seed);
    // Without a directory nothing is left after the first.
    let starts = if kind.is_some() { STARTS } else { 1 };
    for start in 0..=starts {
        let config = Config {
            data_dir: kind.map(|_| directory.path().to_owned()),
            engine: kind,
            client_listeners: vec![Listen {
                address: "127.0.0.1:0".into(),
                tls: false,
            }],
            ..Config::default()
        };
        if let Some(directory) = &config.data_dir
            && start > 0
        {
            let_go(directory.join("store/lock")).await;
        }
        let server = Server::start(config).await.unwrap();
        let address = server.client_addresses()[0];
        let stop = CancellationToken::new();
        let running = tokio::spawn(server.run(stop.clone()));
        if start < starts {
            let clients = clients(address, &recorder, seed * 10 + start, CLIENTS);
            recorder.wait_for(random.random_range(100..300)).await;
            if kind.is_none() {
                look(address, &recorder, [0].into_iter()).await;
            }
            stop.cancel();
            clients.join_all().await;
            running.await.unwrap().unwrap();
            recorder.gone();
        } else if kind.is_some() {
            let newest = recorder
                .calls()
                .iter()
                .filter_map(|call| Some(call.answer.as_ref()?.revision))
                .max();
            look(address, &recorder, 0..=newest.unwrap()).await;
            stop.cancel();
            running.await.unwrap().unwrap();
        }
    }
    check(&recorder.calls()).unwrap_or_else(|why| panic!("seed {seed}: {why}"))
}

/// Waits until the server before has let go of its directory, which it may do a little after it has stopped: the last
/// of its tasks has the store.
async fn let_go(lock: PathBuf) {
    let wait = move || File::open(lock).unwrap().lock().unwrap();
    tokio::task::spawn_blocking(wait).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory() {
    prove("linearizability/memory", |seed| history(seed, None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_across_restarts() {
    prove("linearizability/sqlite", |seed| history(seed, Some(EngineKind::Sqlite))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_log_across_restarts() {
    prove("linearizability/log", |seed| history(seed, Some(EngineKind::Log))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_history_with_one_wrong_answer_is_refused() {
    let server = crate::endpoint::shim().await;
    let recorder = Arc::new(Recorder::default());
    let clients = clients(server.address, &recorder, 1, CLIENTS);
    recorder.wait_for(300).await;
    drop(server);
    clients.join_all().await;
    recorder.gone();
    let calls = recorder.calls();
    check(&calls).unwrap();
    let mut wrong = 0;
    for number in 0..calls.len() {
        let mut changed = calls.clone();
        let Some(answer) = &mut changed[number].answer else {
            continue;
        };
        let Some((_, pair)) = answer.found.iter_mut().next() else {
            continue;
        };
        pair.modified -= 1;
        assert!(check(&changed).is_err(), "{:?}", changed[number]);
        wrong += 1;
    }
    assert!(wrong > 50, "{wrong}");
}
