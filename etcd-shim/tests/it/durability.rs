//! `kill -9` loses nothing that was acknowledged.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use etcd_proto::etcdserverpb::kv_client::KvClient;
use etcd_proto::etcdserverpb::lease_client::LeaseClient;
use etcd_proto::etcdserverpb::{LeaseGrantRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest};
use tokio::task::JoinSet;

use crate::endpoint::{Process, announced, channel};

/// Rounds of writing and killing.
const ROUNDS: usize = 3;
/// Clients that write at once.
const WRITERS: usize = 16;
/// Acknowledged writes of a round before the kill.
const WRITES: usize = 200;

async fn start(engine: &str, directory: &Path) -> (Process, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_etcd-shim"))
        .env("ETCD_ENGINE", engine)
        .args(["--data-dir", directory.to_str().unwrap()])
        .args(["--listen-client-urls", "http://127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let address = announced(&mut child, "\"address\":\"").await;
    let process = Process(child);
    (process, address)
}

// Writes until the server is gone; returns what was acknowledged: key -> revision.
async fn write_until_killed(address: SocketAddr, mut process: Process, round: usize) -> BTreeMap<String, i64> {
    let (acknowledged, mut count) = tokio::sync::mpsc::unbounded_channel();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let acknowledged = acknowledged.clone();
        writers.spawn(async move {
            let mut kv = KvClient::new(channel(&address));
            for number in 0.. {
                let key = format!("{round}-{writer}-{number}");
                let request = PutRequest {
                    key: key.clone().into(),
                    value: vec![b'x'; 500].into(),
                    ..Default::default()
                };
                match kv.put(request).await {
                    Ok(response) => {
                        let revision = response.into_inner().header.unwrap().revision;
                        if acknowledged.send((key, revision)).is_err() {
                            return;
                        }
                    }
                    Err(_) => return,
                }
            }
        });
    }
    drop(acknowledged);
    let mut all = BTreeMap::new();
    while let Some((key, revision)) = count.recv().await {
        all.insert(key, revision);
        if all.len() == WRITES {
            // SIGKILL, in the middle of everything.
            process.0.kill().unwrap();
            process.0.wait().unwrap();
        }
    }
    writers.join_all().await;
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost() {
    loses_nothing("sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_by_the_log() {
    loses_nothing("log").await;
}

async fn loses_nothing(engine: &str) {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut last = 0;
    for round in 0..ROUNDS {
        let (process, address) = start(engine, directory.path()).await;
        // The environment has been heard.
        assert_eq!(directory.path().join("store/log").exists(), engine == "log");
        let mut kv = KvClient::new(channel(&address)).max_decoding_message_size(usize::MAX);
        let all = RangeRequest {
            key: vec![0].into(),
            range_end: vec![0].into(),
            ..Default::default()
        };
        let response = kv.range(all).await.unwrap().into_inner();
        let found: BTreeMap<_, _> = response
            .kvs
            .iter()
            .map(|kv| {
                (
                    String::from_utf8(kv.key.to_vec()).unwrap(),
                    (kv.mod_revision, kv.value.len()),
                )
            })
            .collect();
        for (key, revision) in &acknowledged {
            assert_eq!(found.get(key), Some(&(*revision, 500)), "round {round}: {key}");
        }
        let revision = response.header.unwrap().revision;
        assert!(revision >= last, "the revision went back");
        last = revision;
        acknowledged.extend(write_until_killed(address, process, round).await);
    }
    assert!(acknowledged.len() >= ROUNDS * WRITES);
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_and_their_keys_survive_a_restart() {
    for engine in ["sqlite", "log"] {
        keeps_leases(engine).await;
    }
}

async fn keeps_leases(engine: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (process, address) = start(engine, directory.path()).await;
    let mut lease = LeaseClient::new(channel(&address));
    let id = lease
        .lease_grant(LeaseGrantRequest { ttl: 1000, id: 0 })
        .await
        .unwrap()
        .into_inner()
        .id;
    let request = PutRequest {
        key: "a".into(),
        value: "1".into(),
        lease: id,
        ..Default::default()
    };
    KvClient::new(channel(&address)).put(request).await.unwrap();
    drop(process);
    let (_process, address) = start(engine, directory.path()).await;
    let request = LeaseTimeToLiveRequest { id, keys: true };
    let info = LeaseClient::new(channel(&address))
        .lease_time_to_live(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!((info.granted_ttl, info.keys), (1000, vec!["a".into()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_well() {
    let directory = tempfile::tempdir().unwrap();
    let (mut process, _) = start("sqlite", directory.path()).await;
    let status = Command::new("kill")
        .args(["-TERM", &process.0.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    assert!(process.0.wait().unwrap().success());
}
