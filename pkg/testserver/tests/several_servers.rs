//! Two servers over one store: a client that lists, watches and writes through both sees every event once, in order,
//! also when a member of the store dies.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use client::{Client, Config};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use testserver::{TestServer, exchange};
use tokio_util::sync::CancellationToken;

const PATH: &str = "/api/v1/namespaces/default/configmaps";
/// Objects that are created, changed and, every third, deleted.
const OBJECTS: usize = 60;
/// The name of the object that ends a watch.
const LAST: &str = "last";
const PATIENCE: Duration = Duration::from_secs(120);

/// What a watch told: type, name, revision.
type Told = Vec<(String, String, i64)>;

fn client(server: &TestServer) -> Client {
    Client::new(Config::from_kubeconfig(server.kubeconfig()).unwrap()).unwrap()
}

fn revision(object: &Value) -> i64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// An answer; while the store has no leader that is 5xx, and the request is sent again.
async fn call(client: &Client, method: Method, path: &str, body: &Value) -> (u16, Value, bool) {
    let mut again = false;
    loop {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = exchange(
            client,
            method.clone(),
            path,
            &[("content-type", "application/json")],
            text,
        )
        .await;
        let code = answer.status().as_u16();
        if code < 500 {
            return (code, serde_json::from_slice(answer.body()).unwrap_or_default(), again);
        }
        again = true;
        tokio::task::yield_now().await;
    }
}

/// Follows the collection as an informer does: where a watch ends, the next one begins.
async fn follow(client: Client, mut from: i64) -> Told {
    let mut told = Told::new();
    loop {
        let request = Request::get(format!("{PATH}?watch=1&resourceVersion={from}")).body(Bytes::new());
        let Ok(response) = client.request_raw(request.unwrap()).await else {
            continue;
        };
        if response.status() != 200 {
            continue;
        }
        let (mut body, mut line) = (response.into_body(), vec![]);
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            for byte in data {
                if byte != b'\n' {
                    line.push(byte);
                    continue;
                }
                let event: Value = serde_json::from_slice(&std::mem::take(&mut line)).unwrap();
                let kind = event["type"].as_str().unwrap().to_owned();
                assert_ne!(kind, "ERROR", "{event}");
                let object = &event["object"];
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                from = revision(object);
                let end = name == LAST;
                told.push((kind, name, from));
                if end {
                    return told;
                }
            }
        }
    }
}

/// Writes through both servers in turn, and reads through the other what one has written. The revisions of what was
/// acknowledged.
async fn write(clients: &[Client; 2], at_half: impl FnOnce()) -> BTreeSet<i64> {
    let mut acknowledged = BTreeSet::new();
    let mut at_half = Some(at_half);
    for i in 0..OBJECTS {
        if i == OBJECTS / 2
            && let Some(happens) = at_half.take()
        {
            happens();
        }
        let (one, other) = (&clients[i % 2], &clients[(i + 1) % 2]);
        let (name, object) = (
            format!("{PATH}/cm-{i}"),
            |n: usize| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("cm-{i}")}, "data": {"n": n.to_string()}}),
        );
        let (code, created, again) = call(one, Method::POST, PATH, &object(0)).await;
        assert!(code == 201 || again && code == 409, "{code} {created}");
        if code == 201 {
            acknowledged.insert(revision(&created));
        }
        let (code, read, _) = call(other, Method::GET, &name, &Value::Null).await;
        assert_eq!((code, &read["data"]["n"]), (200, &json!("0")), "{read}");
        for n in 1..4 {
            let (code, updated, _) = call(other, Method::PUT, &name, &object(n)).await;
            assert_eq!(code, 200, "{updated}");
            acknowledged.insert(revision(&updated));
        }
        let (_, list, _) = call(one, Method::GET, PATH, &Value::Null).await;
        let listed = list["items"].as_array().unwrap();
        let listed = listed
            .iter()
            .find(|o| o["metadata"]["name"] == format!("cm-{i}"))
            .unwrap();
        assert_eq!(listed["data"]["n"], "3", "a list through {}", i % 2);
        if i % 3 == 0 {
            let (code, answer, again) = call(one, Method::DELETE, &name, &Value::Null).await;
            assert!(code == 200 || again && code == 404, "{code} {answer}");
            let (code, answer, _) = call(other, Method::GET, &name, &Value::Null).await;
            assert_eq!(code, 404, "{answer}");
        }
    }
    let last = json!({"metadata": {"name": LAST}});
    let (code, answer, again) = call(&clients[0], Method::POST, PATH, &last).await;
    assert!(code == 201 || again && code == 409, "{code} {answer}");
    acknowledged
}

/// The whole proof over a store; `at_half` happens to it while both servers write.
async fn prove(store: &str, at_half: impl FnOnce()) {
    let (one, two) = (
        TestServer::over_etcd(store, &[]).await,
        TestServer::over_etcd(store, &[]).await,
    );
    let clients = [client(&one), client(&two)];
    let (_, list, _) = call(&clients[0], Method::GET, PATH, &Value::Null).await;
    let from = revision(&list);
    let watches: Vec<_> = clients.iter().map(|c| tokio::spawn(follow(c.clone(), from))).collect();
    let acknowledged = tokio::time::timeout(PATIENCE, write(&clients, at_half)).await.unwrap();
    let mut told = vec![];
    for watch in watches {
        told.push(tokio::time::timeout(PATIENCE, watch).await.unwrap().unwrap());
    }
    assert_eq!(told[0], told[1], "both servers tell the same");
    let told = &told[0];
    assert!(told.windows(2).all(|pair| pair[0].2 < pair[1].2), "in order, each once");
    let revisions: BTreeSet<i64> = told.iter().map(|(_, _, revision)| *revision).collect();
    let lost: Vec<_> = acknowledged.difference(&revisions).collect();
    assert!(lost.is_empty(), "acknowledged writes nobody was told of: {lost:?}");
    // What they tell leads from nothing to what is there.
    let mut there = BTreeMap::new();
    for (kind, name, revision) in told {
        let known = match kind.as_str() {
            "ADDED" => there.insert(name.clone(), *revision).is_none(),
            "MODIFIED" => there.insert(name.clone(), *revision).is_some(),
            _ => there.remove(name).is_some(),
        };
        assert!(known, "{kind} {name}");
    }
    for client in &clients {
        let (_, list, _) = call(client, Method::GET, PATH, &Value::Null).await;
        let items = list["items"].as_array().unwrap();
        let listed = items
            .iter()
            .map(|o| (o["metadata"]["name"].as_str().unwrap().to_owned(), revision(o)));
        // What the bootstrap of the servers made was there before.
        let listed: BTreeMap<_, _> = listed.filter(|(_, at)| *at > from).collect();
        assert_eq!(listed, there);
    }
    println!("{} events, {} acknowledged writes", told.len(), acknowledged.len());
    drop(clients);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_one_etcd_shim_tell_the_same() {
    for engine in [etcd_shim::EngineKind::Sqlite, etcd_shim::EngineKind::Log] {
        let directory = tempfile::tempdir().unwrap();
        let config = etcd_shim::Config {
            data_dir: Some(directory.path().to_owned()),
            engine: Some(engine),
            client_listeners: vec![etcd_shim::Listen {
                address: "127.0.0.1:0".into(),
                tls: false,
            }],
            ..etcd_shim::Config::default()
        };
        let store = etcd_shim::Server::start(config).await.unwrap();
        let url = format!("http://{}", store.client_addresses()[0]);
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(store.run(shutdown.clone()));
        prove(&url, || {}).await;
        shutdown.cancel();
        running.await.unwrap().unwrap();
    }
}

/// A process that ends with its test.
struct Member(Child);

impl Member {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_three_members_of_etcd_tell_the_same_when_one_dies() {
    let directory = tempfile::tempdir().unwrap();
    // Free ports, kept until all are chosen.
    let free: Vec<_> = (0..6).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let urls: Vec<String> = free
        .iter()
        .map(|l| format!("http://{}", l.local_addr().unwrap()))
        .collect();
    drop(free);
    let (clients, peers) = urls.split_at(3);
    let cluster: Vec<String> = peers.iter().enumerate().map(|(i, url)| format!("m{i}={url}")).collect();
    let mut members: Vec<Member> = (0..3)
        .map(|i| {
            let child = Command::new("etcd")
                .args(["--name", &format!("m{i}"), "--data-dir"])
                .arg(directory.path().join(format!("m{i}")))
                .args([
                    "--listen-client-urls",
                    &clients[i],
                    "--advertise-client-urls",
                    &clients[i],
                ])
                .args([
                    "--listen-peer-urls",
                    &peers[i],
                    "--initial-advertise-peer-urls",
                    &peers[i],
                ])
                .args(["--initial-cluster", &cluster.join(",")])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            Member(child.expect("etcd is not installed: apt-get install etcd-server"))
        })
        .collect();
    prove(&clients.join(","), || members[0].kill()).await;
}
