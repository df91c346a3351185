//! The load: create, update, get, list, each phase measured by itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use http::Method;
use serde_json::json;

use crate::process;
use crate::target::{Answer, Target};

/// What to create.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Pods with a scheduler name nobody answers to.
    Pods,
    /// Small ConfigMaps.
    Configmaps,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Pods => "Pod",
            Self::Configmaps => "ConfigMap",
        }
    }
}

/// How much load.
pub(crate) struct Plan {
    pub(crate) count: u32,
    /// Reads of one object; 0: as many as there are objects.
    pub(crate) gets: u32,
    pub(crate) lists: u32,
    pub(crate) concurrency: usize,
    pub(crate) limit: Duration,
    pub(crate) kind: Kind,
    /// Bytes added to each object.
    pub(crate) filler: usize,
}

/// One phase's numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase {
    pub(crate) operations: u32,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// Bytes of all bodies received.
    pub(crate) bytes: usize,
    /// After the phase.
    pub(crate) resident: u64,
}

/// The phases of one round by name, in order.
pub(crate) type Round = BTreeMap<&'static str, Phase>;

/// The names of the phases, in order.
pub(crate) const PHASES: [&str; 4] = ["create", "update", "get", "list"];

/// Makes the namespace, and the service account that pods need.
pub(crate) async fn prepare(target: &Target, plan: &Plan) -> anyhow::Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": target.namespace}});
    expect(
        target
            .send(Method::POST, "/api/v1/namespaces", target.format.body(&namespace)?)
            .await?,
        &[201, 409],
    )?;
    if matches!(plan.kind, Kind::Pods) {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        let path = format!("/api/v1/namespaces/{}/serviceaccounts", target.namespace);
        let account = target.format.body(&account)?;
        expect(target.send(Method::POST, &path, account).await?, &[201, 409])?;
    }
    Ok(())
}

/// Removes the namespace and, where no controller does it, what is in it.
pub(crate) async fn clean_up(target: &Target) {
    let base = format!("/api/v1/namespaces/{}", target.namespace);
    for path in [
        format!("{base}/pods?gracePeriodSeconds=0"),
        format!("{base}/configmaps"),
        base,
    ] {
        match target.send(Method::DELETE, &path, Bytes::new()).await {
            Ok(answer) if answer.status < 300 || answer.status == 404 => {}
            Ok(answer) => eprintln!("bench: DELETE {path}: {} {}", answer.status, answer.text.trim()),
            Err(error) => eprintln!("bench: DELETE {path}: {error:#}"),
        }
    }
}

/// Creates objects, changes a label of each, reads each, reads the list, then deletes them (which is not measured).
pub(crate) async fn round(target: &Target, plan: &Plan, round: u32) -> anyhow::Result<Round> {
    let plural = match plan.kind {
        Kind::Pods => "pods",
        Kind::Configmaps => "configmaps",
    };
    let collection = format!("/api/v1/namespaces/{}/{plural}", target.namespace);
    let name = |index: u32| format!("bench-{round}-{index}");
    let mut phases = Round::new();

    // Bodies are made before the clock runs: the client's work shares the machine.
    let bodies: Vec<Bytes> = (0..plan.count)
        .map(|index| target.format.body(&object(plan.kind, &name(index), plan.filler)))
        .collect::<anyhow::Result<_>>()?;
    let create = run(target, plan, plan.count, |index| {
        (Method::POST, collection.clone(), bodies[index as usize].clone(), 201)
    });
    let created = create.await.context("create")?;
    let count = created.operations;
    phases.insert("create", created);
    let changed = changed(target, plan.kind, &collection)
        .await
        .context("read before the update")?;
    let update = run(target, plan, changed.len().try_into()?, |index| {
        let (name, body) = &changed[index as usize];
        (Method::PUT, format!("{collection}/{name}"), body.clone(), 200)
    });
    phases.insert("update", update.await.context("update")?);
    let gets = if plan.gets == 0 { count } else { plan.gets };
    let get = run(target, plan, gets, |index| {
        let path = format!("{collection}/{}", name(index % count.max(1)));
        (Method::GET, path, Bytes::new(), 200)
    });
    phases.insert("get", get.await.context("get")?);
    let list = run(target, plan, plan.lists, |_| {
        (Method::GET, collection.clone(), Bytes::new(), 200)
    });
    phases.insert("list", list.await.context("list")?);

    let path = format!("{collection}?gracePeriodSeconds=0");
    expect(target.send(Method::DELETE, &path, Bytes::new()).await?, &[200]).context("delete")?;
    Ok(phases)
}

/// Sends up to `count` requests, `plan.concurrency` at a time, until the time is up.
async fn run(
    target: &Target,
    plan: &Plan,
    count: u32,
    request: impl Fn(u32) -> (Method, String, Bytes, u16),
) -> anyhow::Result<Phase> {
    let cpu = process::cpu(&target.pids)?;
    let begun = Instant::now();
    let send = |index: u32| {
        let (method, path, body, wanted) = request(index);
        async move { expect(target.send(method, &path, body).await?, &[wanted]) }
    };
    let mut next = 0;
    let mut flying = FuturesUnordered::new();
    let (mut operations, mut bytes) = (0, 0);
    loop {
        while next < count && flying.len() < plan.concurrency && begun.elapsed() < plan.limit {
            flying.push(send(next));
            next += 1;
        }
        let Some(answer) = flying.next().await else { break };
        bytes += answer?.bytes;
        operations += 1;
    }
    let wall = begun.elapsed();
    Ok(Phase {
        operations,
        wall,
        bytes,
        cpu: process::cpu(&target.pids)?.saturating_sub(cpu),
        resident: process::resident(&target.pids)?,
    })
}

fn expect(answer: Answer, wanted: &[u16]) -> anyhow::Result<Answer> {
    anyhow::ensure!(
        wanted.contains(&answer.status),
        "status {}: {}",
        answer.status,
        answer.text.trim()
    );
    Ok(answer)
}

/// The objects of the collection with another label each, as names and bodies.
async fn changed(target: &Target, kind: Kind, collection: &str) -> anyhow::Result<Vec<(String, Bytes)>> {
    let mut out = Vec::new();
    for mut item in target.items(collection).await? {
        item["apiVersion"] = json!("v1");
        item["kind"] = json!(kind.name());
        item["metadata"]["labels"]["tier"] = json!("backend");
        let name = item["metadata"]["name"].as_str().context("an item without a name")?;
        out.push((name.to_owned(), target.format.body(&item)?));
    }
    Ok(out)
}

fn object(kind: Kind, name: &str, filler: usize) -> serde_json::Value {
    let labels = json!({"app": "bench", "pod-template-hash": "5d9f4c7b6d", "tier": "frontend"});
    match kind {
        Kind::Configmaps => json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "labels": labels},
            "data": {"config.yaml": "listen: 0.0.0.0:8080\nworkers: 4\n", "mode": "bench", "filler": "x".repeat(filler)}}),
        Kind::Pods => json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": labels, "annotations": {"example.com/checksum": "4f1e0c"}},
            "spec": {"schedulerName": "bench", "containers": [{
                "name": "web", "image": "registry.example.com/web:1.2.3", "args": ["--port=8080"],
                "ports": [{"name": "http", "containerPort": 8080}],
                "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                        {"name": "MODE", "value": "bench"},
                        {"name": "FILLER", "value": "x".repeat(filler)}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10}}]}}),
    }
}
