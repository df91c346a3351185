//! A store's data goes from etcd to this server and back, with its revisions, leases and history.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::endpoint::{Running, etcd, etcd_over, shim_with};
use crate::etcdctl::{program, run};

const ENGINES: [(&str, etcd_shim::EngineKind); 2] = [
    ("sqlite", etcd_shim::EngineKind::Sqlite),
    ("log", etcd_shim::EngineKind::Log),
];

/// Keys that were changed, deleted and made again, some with a lease, some large; a compaction in between.
fn live(server: &Running) {
    let lease = run(server, "lease grant 5000").out;
    let lease = lease.split(' ').nth(1).unwrap();
    assert!(run(server, "lease grant 6000").good);
    let large = "x".repeat(30_000);
    for number in 0..60 {
        let words = match number % 10 {
            3 => format!("put /leased/{number} {number} --lease={lease}"),
            5 => format!("del /plain/{}", number - 1),
            7 => format!("put /large/{number} {large}"),
            8 => "del --prefix /plain/1".to_owned(),
            _ => format!("put /plain/{number} {number}"),
        };
        assert!(run(server, &words).good, "{words}");
        if number == 40 {
            assert!(run(server, "compaction 30").good);
        }
    }
    assert!(run(server, "put /plain/1 again").good);
    assert!(run(server, "del /plain/2").good);
}

/// All a client can see that does not depend on who answers.
fn seen(server: &Running) -> Vec<String> {
    let without_header = |text: String| {
        let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
        if json.is_array() {
            json = json[0]["HashKV"].take();
        }
        let header = &mut json["header"];
        for name in ["cluster_id", "member_id", "raft_term"] {
            header[name].take();
        }
        json.to_string()
    };
    let mut seen = Vec::new();
    for words in [
        "get  --prefix -w json",
        "get  --prefix --rev=45 -w json",
        "endpoint hashkv -w json",
        "endpoint hashkv --rev=45 -w json",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let answer = crate::etcdctl::run_with(server, &words, "");
        assert!(answer.good, "{words:?}: {}", answer.err);
        seen.push(without_header(answer.out));
    }
    let mut leases: Vec<String> = run(server, "lease list").out.lines().map(str::to_owned).collect();
    leases.sort();
    for lease in leases.iter().filter(|line| !line.starts_with("found")) {
        let told = run(server, &format!("lease timetolive {lease} --keys")).out;
        // Its time begins anew, and etcd tells the keys in any order.
        let (granted, rest) = told.split_once(", remaining(").unwrap();
        let mut keys: Vec<&str> = rest.split(['[', ']']).nth(1).unwrap().split(' ').collect();
        keys.sort_unstable();
        seen.push(format!("{granted} {keys:?}"));
    }
    seen.extend(leases);
    seen.push(
        run(server, "get /plain/1 --rev=20")
            .err
            .contains("has been compacted")
            .to_string(),
    );
    seen
}

fn etcd_shim(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_etcd-shim"))
        .arg("snapshot")
        .args(words)
        .output()
        .unwrap()
}

fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn shim_over(engine: etcd_shim::EngineKind, data_dir: &Path) -> Running {
    let config = etcd_shim::Config {
        data_dir: Some(data_dir.to_owned()),
        engine: Some(engine),
        ..Default::default()
    };
    shim_with(config).await
}

/// `etcdctl` on files, without a server.
fn etcdctl(words: &[&str]) -> Output {
    Command::new(program())
        .env("ETCDCTL_API", "3")
        .args(words)
        .output()
        .unwrap()
}

fn etcd_restores(snapshot: &Path, into: &TempDir) {
    let data = into.path().join("data");
    let words = [
        "snapshot",
        "restore",
        snapshot.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
    ];
    good(etcdctl(&words));
}

#[tokio::test(flavor = "multi_thread")]
async fn etcds_data_moves_here_and_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let server = etcd().await;
    live(&server);
    let wanted = seen(&server);
    let snapshot = path("etcd.db");
    assert!(run(&server, &format!("snapshot save {snapshot}")).good);
    drop(server);
    // Both programs count the same in it.
    let theirs: serde_json::Value =
        serde_json::from_str(&good(etcdctl(&["snapshot", "status", &snapshot, "-w", "json"]))).unwrap();
    let ours: serde_json::Value = serde_json::from_str(&good(etcd_shim(&["status", &snapshot, "-w", "json"]))).unwrap();
    for name in ["hash", "revision", "totalKey", "totalSize"] {
        assert_eq!(ours[name], theirs[name], "{name}");
    }
    for (name, engine) in ENGINES {
        let data_dir = path(name);
        good(etcd_shim(&[
            "restore",
            &snapshot,
            "--data-dir",
            &data_dir,
            "--engine",
            name,
        ]));
        let server = shim_over(engine, Path::new(&data_dir)).await;
        assert_eq!(seen(&server), wanted, "{name}");
        // And back, by this server's own words.
        let saved = path(&format!("{name}.snapshot"));
        let endpoint = format!("http://{}", server.address);
        good(etcd_shim(&["save", &saved, "--endpoints", &endpoint]));
        let converted = path(&format!("{name}.db"));
        good(etcd_shim(&["convert", &saved, &converted]));
        let status = good(etcdctl(&["snapshot", "status", &converted, "-w", "json"]));
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status["revision"], theirs["revision"]);
        let into = tempfile::tempdir().unwrap();
        etcd_restores(Path::new(&converted), &into);
        assert_eq!(seen(&etcd_over(into).await), wanted, "etcd again, by way of {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn this_servers_data_moves_to_etcd_and_to_the_other_engine() {
    for (name, engine) in ENGINES {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let server = shim_over(engine, &directory.path().join("first")).await;
        live(&server);
        let wanted = seen(&server);
        let saved = path("saved");
        assert!(run(&server, &format!("snapshot save {saved}")).good);
        for (other, engine) in ENGINES {
            let data_dir = path(other);
            good(etcd_shim(&[
                "restore",
                &saved,
                "--data-dir",
                &data_dir,
                "--engine",
                other,
            ]));
            let restored = shim_over(engine, Path::new(&data_dir)).await;
            assert_eq!(seen(&restored), wanted, "{name} to {other}");
            // What comes next has the next revision.
            let revision = |answer: &str| {
                let json: serde_json::Value = serde_json::from_str(answer).unwrap();
                json["header"]["revision"].as_i64().unwrap()
            };
            let before = revision(&run(&server, "get none -w json").out);
            assert_eq!(revision(&run(&restored, "put next 1 -w json").out), before + 1);
        }
        let converted = path("converted.db");
        good(etcd_shim(&["convert", &saved, &converted]));
        let into = tempfile::tempdir().unwrap();
        etcd_restores(Path::new(&converted), &into);
        assert_eq!(seen(&etcd_over(into).await), wanted, "{name} to etcd");
    }
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("junk"), [7; 4096]).unwrap();
    for (words, wanted) in [
        (vec!["restore", &path("none"), "--data-dir", &path("d")], "No such file"),
        (
            vec!["restore", &path("junk"), "--data-dir", &path("d")],
            "is no snapshot of etcd or etcd-shim",
        ),
        (
            vec!["restore", &path("junk"), "--data-dir", &path("")],
            "not empty or could not be read",
        ),
        (vec!["restore"], "requires exactly 1 argument"),
        (vec!["restore", "a", "--bump-revision=1"], "--mark-compacted required"),
        (vec!["status", &path("junk"), "-w", "yaml"], "unsupported output format"),
        (
            vec!["save", &path("s"), "--endpoints=http://127.0.0.1:1,http://127.0.0.1:2"],
            "one selected node",
        ),
        (
            vec!["save", &path("s"), "--endpoints=http://127.0.0.1:1"],
            "connect to http://127.0.0.1:1",
        ),
        (vec!["nonsense"], "unknown command"),
        (vec!["status", "--nonsense"], "unknown flag: --nonsense"),
    ] {
        let output = etcd_shim(&words);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(wanted), "{words:?}: {text}");
    }
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}
