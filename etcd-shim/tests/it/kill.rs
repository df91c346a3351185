//! `kill -9` in the middle of everything, again and again: whoever asks afterwards finds a store that has done one
//! thing at a time and forgotten nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::endpoint::{Process, announced};
use crate::linearizability::{CLIENTS, Recorder, Report, check, clients, look, prove};

/// Kills in one history.
const KILLS: u64 = 4;

async fn start(engine: &str, directory: &Path) -> (Process, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_etcd-shim"))
        .args(["--engine", engine])
        .args(["--data-dir", directory.to_str().unwrap()])
        .args(["--listen-client-urls", "http://127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let address = announced(&mut child, "\"address\":\"").await;
    (Process(child), address)
}

async fn history(seed: u64, engine: &str) -> Report {
    let directory = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::default());
    let mut random = StdRng::seed_from_u64(seed);
    for kill in 0..KILLS {
        let (process, address) = start(engine, directory.path()).await;
        let clients = clients(address, &recorder, seed * 10 + kill, CLIENTS);
        recorder.wait_for(random.random_range(10..300)).await;
        // SIGKILL, and waits.
        drop(process);
        clients.join_all().await;
        recorder.gone();
    }
    let (_process, address) = start(engine, directory.path()).await;
    look(address, &recorder, [0].into_iter()).await;
    let newest = recorder
        .calls()
        .iter()
        .filter_map(|call| Some(call.answer.as_ref()?.revision))
        .max();
    look(address, &recorder, 1..=newest.unwrap()).await;
    check(&recorder.calls()).unwrap_or_else(|why| panic!("seed {seed}: {why}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_killed_under_load_is_linearizable() {
    prove(&format!("kill/sqlite kills_each={KILLS}"), |seed| {
        history(seed, "sqlite")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_killed_under_load_is_linearizable() {
    prove(&format!("kill/log kills_each={KILLS}"), |seed| history(seed, "log")).await;
}
