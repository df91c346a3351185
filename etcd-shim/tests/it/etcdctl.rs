//! Debian's `etcdctl` against this server, on both engines, and against Debian's etcd: the same words, the same answers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::endpoint::{Process, Running, etcd, shim_with};

/// The program.
///
/// # Panics
/// When it is not installed: what was not tried is not said to work.
pub(crate) fn program() -> &'static str {
    let place = "/usr/bin/etcdctl";
    assert!(
        Path::new(place).exists(),
        "etcdctl is not installed: apt-get install etcd-client"
    );
    place
}

/// What a command answered.
pub(crate) struct Answer {
    pub(crate) good: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

fn command(server: &Running, words: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", &format!("http://{}", server.address)])
        .args(words);
    command
}

/// Runs a command to its end; a space parts its words.
pub(crate) fn run(server: &Running, words: &str) -> Answer {
    run_with(server, &words.split(' ').collect::<Vec<_>>(), "")
}

pub(crate) fn run_with(server: &Running, words: &[&str], input: &str) -> Answer {
    let mut child = command(server, words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Answer {
        good: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What differs between two servers whatever they do: who they are, where, how large, how long it took.
fn normalised(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("{\"level\""));
    let lines = lines.map(|line| match serde_json::from_str(line) {
        Ok(json @ (serde_json::Value::Object(_) | serde_json::Value::Array(_))) => without_identity(json).to_string(),
        _ => {
            let line = line.split("took").next().unwrap_or_default();
            let line = line.split(" with endpoints").next().unwrap_or_default();
            words_of(line)
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn without_identity(json: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    const VOLATILE: [&str; 14] = [
        "took",
        "cluster_id",
        "member_id",
        "raft_term",
        "raftTerm",
        "raftIndex",
        "raftAppliedIndex",
        "leader",
        "dbSize",
        "dbSizeInUse",
        "version",
        "ID",
        "id",
        "lease",
    ];
    match json {
        Value::Object(map) => map
            .into_iter()
            .filter(|(name, _)| !VOLATILE.contains(&name.as_str()))
            .map(|(name, value)| (name, without_identity(value)))
            .collect(),
        Value::Array(list) => list.into_iter().map(without_identity).collect(),
        Value::String(text) => words_of(&text).into(),
        other => other,
    }
}

/// Addresses and numbers of leases and members have no number any more.
fn words_of(line: &str) -> String {
    let line = line.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let words = line.map(|word| {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_number = bare.len() >= 14 && bare.chars().all(|c| c.is_ascii_hexdigit());
        if is_number {
            word.replace(bare, "NUMBER")
        } else {
            word.to_owned()
        }
    });
    let text: String = words.collect();
    let mut parts = text.split("127.0.0.1:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("ADDRESS");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    // Columns are as wide as what is in them.
    for wide in ["  ", "--"] {
        while out.contains(wide) {
            out = out.replace(wide, &wide[1..]);
        }
    }
    out
}

/// Servers that must answer alike.
async fn servers() -> Vec<(&'static str, Running, tempfile::TempDir)> {
    let mut servers = Vec::new();
    for (name, engine) in [
        ("sqlite", etcd_shim::EngineKind::Sqlite),
        ("log", etcd_shim::EngineKind::Log),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let config = etcd_shim::Config {
            data_dir: Some(directory.path().join("data")),
            engine: Some(engine),
            advertise_client_urls: vec!["http://127.0.0.1:0".into()],
            advertise_peer_urls: vec!["http://127.0.0.1:0".into()],
            ..Default::default()
        };
        servers.push((name, shim_with(config).await, directory));
    }
    servers.push(("etcd", etcd().await, tempfile::tempdir().unwrap()));
    servers
}

/// Commands with the words parted by spaces, in order; their answers may depend on those before.
const COMMANDS: &[&str] = &[
    "put a 1",
    "put b 2",
    "put b 3 --prev-kv",
    "put c 4 -w json",
    "get b",
    "get b -w json",
    "get b -w fields",
    "get b --print-value-only",
    "get b --hex",
    "get a z",
    "get a z --keys-only",
    "get a z --limit=2 -w json",
    "get a z --order=DESCEND --sort-by=VALUE",
    "get a z --sort-by=MODIFY --order=ASCEND -w json",
    "get b --rev=3",
    "get b --rev=99",
    "get b --rev=1 -w json",
    "get missing",
    "get --prefix missing -w json",
    "get --from-key b",
    "get b --consistency=s",
    "put b --ignore-value",
    "put missing --ignore-value",
    "put x y --lease=123",
    "put",
    "endpoint hashkv -w json",
    "endpoint hashkv --rev=4 -w json",
    "endpoint hashkv --rev=99 -w json",
    "del c --prev-kv",
    "del c",
    "put d 1",
    "put d/1 1",
    "put d/2 2",
    "del --prefix d/ -w json",
    "del --from-key zz",
    "endpoint hashkv -w json",
    "compaction 8",
    "compaction 8",
    "compaction 99",
    "get b --rev=3",
    "put after compaction",
    "endpoint hashkv -w json",
    "compaction --physical 10",
    "endpoint hashkv -w json",
    "get --prefix \u{20}",
    "endpoint health",
    "endpoint health -w json",
    "endpoint status -w json",
    "member list",
    "member list -w json",
    "member list -w table",
    "member remove 12ab",
    "member update 12ab --peer-urls=http://127.0.0.1:1",
    "member promote 12ab",
    "move-leader 12ab",
    "alarm list",
    "alarm disarm",
    "alarm disarm -w json",
    "defrag",
    "lease grant 0",
    "lease grant 99999999999",
    "lease revoke 12ab",
    "lease timetolive 12ab",
    "lease timetolive 12ab -w json",
    "lease keep-alive --once 12ab",
    "lease list",
    "user list",
    "role list",
    "user list -w json",
    "auth enable",
    "auth disable",
    "get b -w nonsense",
    "nonsense",
];

/// Transactions as etcdctl reads them: compares, what then, what else.
const TRANSACTIONS: &[&str] = &[
    "value(\"a\") = \"1\"\n\nput t yes\nget t\n\nput t no\n\n",
    "mod(\"a\") > \"99\"\nversion(\"a\") = \"1\"\n\nget a\n\nget t\ndel t\nget t\n\n",
    "create(\"nothing\") = \"0\"\n\nput nothing something\n\n\n",
    "\n\n\n",
    "value(\"a\") = \"1\"\n\nput twice 1\nput twice 2\n\n\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_same_words_get_the_same_answers() {
    let servers = servers().await;
    let mut differ = Vec::new();
    let mut compare = |what: &str, answers: Vec<(bool, String, String)>| {
        let etcds = answers.last().unwrap().clone();
        for ((name, ..), ours) in servers.iter().zip(&answers) {
            if *ours != etcds {
                differ.push(format!("{name}: {what}\n  ours: {ours:?}\n  etcd: {etcds:?}"));
            }
        }
    };
    for words in COMMANDS {
        let answers = servers.iter().map(|(_, server, _)| {
            let answer = run(server, words);
            (answer.good, normalised(&answer.out), normalised(&answer.err))
        });
        compare(words, answers.collect());
    }
    for text in TRANSACTIONS {
        for form in ["simple", "json"] {
            let answers = servers.iter().map(|(_, server, _)| {
                let answer = run_with(server, &["txn", "-w", form], text);
                (answer.good, normalised(&answer.out), normalised(&answer.err))
            });
            compare(text, answers.collect());
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_and_locks_work() {
    for (name, server, _directory) in &servers().await {
        let granted = run(server, "lease grant 100").out;
        let id = granted.split(' ').nth(1).unwrap();
        assert!(granted.contains("granted with TTL(100s)"), "{name}: {granted}");
        assert_eq!(run(server, &format!("put l 1 --lease={id}")).out, "OK\n");
        let told = run(server, &format!("lease timetolive {id} --keys")).out;
        assert!(
            told.contains("granted with TTL(100s), remaining(") && told.contains("attached keys([l])"),
            "{name}: {told}"
        );
        let alive = run(server, &format!("lease keep-alive --once {id}")).out;
        assert_eq!(alive, format!("lease {id} keepalived with TTL(100)\n"), "{name}");
        assert_eq!(run(server, "lease list").out, format!("found 1 leases\n{id}\n"));
        let kept = run(server, &format!("lease timetolive {id} --keys -w json")).out;
        assert!(
            kept.contains("\"granted-ttl\":100") && kept.contains("\"keys\":[\"bA==\"]"),
            "{name}: {kept}"
        );
        let revoked = run(server, &format!("lease revoke {id}")).out;
        assert_eq!(revoked, format!("lease {id} revoked\n"), "{name}");
        assert_eq!(run(server, "get l").out, "");
        let locked = run(server, "lock name echo got it");
        assert_eq!(
            (locked.good, locked.out.as_str()),
            (true, "got it\n"),
            "{name}: {}",
            locked.err
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_prints_what_happened_and_what_happens() {
    let mut answers = Vec::new();
    for (_, server, _directory) in &servers().await {
        for words in ["put w 1", "put w/1 2", "put w/2 3", "del w/1", "put elsewhere 1"] {
            assert!(run(server, words).good);
        }
        let mut child = command(server, &["watch", "w", "--prefix", "--rev=2", "--prev-kv"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let _child = Process(child);
        // Three puts of three lines and a deletion of five; then one that happens now.
        let mut seen: Vec<String> = lines.by_ref().take(14).map(Result::unwrap).collect();
        assert!(run(server, "put w/2 4").good);
        seen.extend(lines.take(5).map(Result::unwrap));
        answers.push(seen);
    }
    let etcds = answers.pop().unwrap();
    assert_eq!(etcds.len(), 19);
    for ours in answers {
        assert_eq!(ours, etcds);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_saved() {
    for (name, server, directory) in &servers().await {
        assert!(run(server, "put s 1").good);
        let file = directory.path().join("file");
        let saved = run(server, &format!("snapshot save {}", file.display()));
        assert!(
            saved.good && saved.out.contains("Snapshot saved at"),
            "{name}: {}",
            saved.err
        );
        let words = ["status", file.to_str().unwrap(), "-w", "json"].map(str::to_owned);
        let status = etcd_shim::snapshot(words.to_vec()).await.unwrap();
        assert!(status.contains("\"revision\":2,"), "{name}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_etcds_names() {
    for (name, server, _directory) in &servers().await {
        assert!(run(server, "put m 1").good);
        assert!(run(server, "get m").good);
        assert!(!run(server, "get m --rev=9").good);
        let text = fetch(server.address, "/metrics");
        // What the dashboards and alerts of etcd's mixin ask for, whoever answers.
        for family in [
            "etcd_server_has_leader 1",
            "etcd_server_leader_changes_seen_total",
            "etcd_server_proposals_applied_total",
            "etcd_server_proposals_committed_total",
            "etcd_server_proposals_failed_total",
            "etcd_server_id{server_id=",
            "etcd_server_is_learner 0",
            "etcd_server_client_requests_total{client_api_version=",
            "etcd_server_health_success",
            "etcd_cluster_version{cluster_version=",
            "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.002\"}",
            "etcd_disk_backend_commit_duration_seconds_count",
            "etcd_disk_backend_defrag_duration_seconds_count",
            "etcd_disk_backend_snapshot_duration_seconds_count",
            "etcd_mvcc_db_total_size_in_bytes",
            "etcd_mvcc_db_total_size_in_use_in_bytes",
            "etcd_mvcc_put_total",
            "etcd_mvcc_range_total",
            "etcd_mvcc_txn_total",
            "etcd_mvcc_hash_rev_duration_seconds_count",
            "etcd_network_client_grpc_received_bytes_total",
            "etcd_network_client_grpc_sent_bytes_total",
            "etcd_debugging_mvcc_keys_total",
            "grpc_server_started_total{grpc_method=\"Watch\",grpc_service=\"etcdserverpb.Watch\",grpc_type=\"bidi_stream\"}",
            "grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"}",
            "grpc_server_handled_total{grpc_code=\"OutOfRange\",grpc_method=\"Range\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"}",
            "grpc_server_msg_sent_total{grpc_method=\"Range\"",
            "process_resident_memory_bytes",
        ] {
            assert!(text.contains(family), "{name}: no {family}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_listeners_take_http_from_the_clients_port() {
    let listen = etcd_shim::Listen {
        address: "127.0.0.1:0".into(),
        tls: false,
    };
    let server = etcd_shim::Server::start(etcd_shim::Config {
        client_listeners: vec![listen.clone()],
        http_listeners: vec![listen],
        ..Default::default()
    })
    .await
    .unwrap();
    let (grpc, http) = (server.client_addresses()[0], server.http_addresses()[0]);
    let stop = tokio_util::sync::CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    tokio::spawn(server.run(stop));
    for (address, wanted) in [(http, true), (grpc, false)] {
        let text = tokio::task::spawn_blocking(move || fetch(address, "/version"))
            .await
            .unwrap();
        assert_eq!(text.contains("\"etcdserver\""), wanted, "{text}");
    }
    let mut kv = etcd_proto::etcdserverpb::kv_client::KvClient::new(crate::endpoint::channel(&grpc));
    kv.range(etcd_proto::etcdserverpb::RangeRequest {
        key: "a".into(),
        ..Default::default()
    })
    .await
    .unwrap();
}

fn fetch(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    text
}
