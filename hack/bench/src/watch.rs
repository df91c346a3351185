//! The load of watches: many watchers of one resource, a steady rate of writes, and how long each event took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use futures::future::try_join_all;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::process;
use crate::target::{Format, Target};

/// What the time of a write stands behind in its object.
const MARK: &[u8] = b"\"at\":\"";
/// Clients, each with its own connection, that share the watches.
const CLIENTS: u32 = 20;

/// How many watch how much.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kubeconfig of the server.
    #[arg(long)]
    kubeconfig: String,
    /// Process id of the server; several (server and store) add up.
    #[arg(long, value_delimiter = ',', required = true)]
    pid: Vec<u32>,
    /// Watches of one resource.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    watchers: u32,
    /// Labels the objects and the watchers are divided by: with one, every watcher is told of every write; with as many
    /// as watchers, of one write in so many.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    groups: u32,
    /// Writes a second.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Seconds of writing.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

/// Opens the watches, writes, waits for the last event; the table.
///
/// # Errors
/// When the server is not on this machine, a request fails, or a watch ends early.
pub(crate) async fn run(args: &Args) -> anyhow::Result<String> {
    let targets: Vec<Arc<Target>> = (0..CLIENTS.min(args.watchers))
        .map(|_| Target::new("A", &args.kubeconfig, &args.pid, Format::Json).map(Arc::new))
        .collect::<anyhow::Result<_>>()?;
    let writer = &targets[0];
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": writer.namespace}});
    writer
        .send(Method::POST, "/api/v1/namespaces", writer.format.body(&namespace)?)
        .await?;
    let measured = measure(args, &targets).await;
    crate::load::clean_up(writer).await;
    measured
}

async fn measure(args: &Args, targets: &[Arc<Target>]) -> anyhow::Result<String> {
    let collection = format!("/api/v1/namespaces/{}/configmaps", targets[0].namespace);
    let writes = args.rate * args.seconds as u32;
    let begun = Instant::now();
    let idle = process::resident(&args.pid)?;
    let (opened, mut open) = mpsc::channel(1);
    let mut watches = JoinSet::new();
    for number in 0..args.watchers {
        let group = number % args.groups;
        // The first groups have one write more when they do not divide evenly.
        let mine = writes / args.groups + u32::from(group < writes % args.groups);
        let target = targets[number as usize % targets.len()].clone();
        let path = format!("{collection}?watch=1&labelSelector=group%3Dg{group}");
        watches.spawn(watch(target, path, mine, begun, opened.clone()));
    }
    drop(opened);
    for _ in 0..args.watchers {
        open.recv().await.context("a watch was not opened")?;
    }
    let watching = process::resident(&args.pid)?;
    let cpu = process::cpu(&args.pid)?;
    let first = Instant::now();
    let mut turn = tokio::time::interval(Duration::from_secs(1) / args.rate);
    turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut written = JoinSet::new();
    for number in 0..writes {
        turn.tick().await;
        let (target, path) = (targets[0].clone(), collection.clone());
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("event-{number}"), "labels": {"group": format!("g{}", number % args.groups)}},
            "data": {"at": begun.elapsed().as_nanos().to_string(), "filler": "x".repeat(800)}});
        written.spawn(async move {
            let answer = target.send(Method::POST, &path, target.format.body(&object)?).await?;
            anyhow::ensure!(answer.status == 201, "status {}: {}", answer.status, answer.text);
            anyhow::Ok(())
        });
    }
    try_join_all(written.join_all().await.into_iter().map(std::future::ready)).await?;
    let writing = first.elapsed();
    let mut delays = Vec::new();
    while let Some(watched) = watches.join_next().await {
        delays.extend(watched??);
    }
    let wall = first.elapsed();
    let cpu = process::cpu(&args.pid)?.saturating_sub(cpu);
    delays.sort_unstable();
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    Ok(format!(
        "watchers {}  groups {}  writes {writes} in {writing:.1?} ({:.0}/s)  events {} until {wall:.1?}\n\
         delay p50 {:.1?}  p90 {:.1?}  p99 {:.1?}  max {:.1?}\n\
         cpu {cpu:.2?}: {:.1} us/write, {:.2} us/event  RSS {:.1} MiB idle, {:.1} watching, {:.1} at the end\n",
        args.watchers,
        args.groups,
        f64::from(writes) / writing.as_secs_f64(),
        delays.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        cpu.as_secs_f64() * 1e6 / f64::from(writes),
        cpu.as_secs_f64() * 1e6 / delays.len() as f64,
        mib(idle),
        mib(watching),
        mib(process::resident(&args.pid)?),
    ))
}

/// Reads a watch until it has seen so many events: how long after its write began each was read.
async fn watch(
    target: Arc<Target>,
    path: String,
    events: u32,
    begun: Instant,
    opened: mpsc::Sender<()>,
) -> anyhow::Result<Vec<Duration>> {
    let request = http::Request::builder()
        .method(Method::GET)
        .uri(path)
        .header("accept", "application/json")
        .body(Bytes::new())?;
    let response = target.client.request_raw(request).await?;
    anyhow::ensure!(response.status() == 200, "watch: status {}", response.status());
    opened.send(()).await?;
    drop(opened);
    let mut body = response.into_body();
    let mut delays = Vec::with_capacity(events as usize);
    let mut line = Vec::new();
    while delays.len() < events as usize {
        let frame = body.frame().await.context("the watch ended")?;
        let data = frame.map_err(|error| anyhow::anyhow!("watch: {error}"))?;
        let Ok(data) = data.into_data() else { continue };
        let now = begun.elapsed();
        let mut rest = &data[..];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            line.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            delays.push(now.saturating_sub(sent(&line).context("an event without a time")?));
            line.clear();
        }
        line.extend_from_slice(rest);
    }
    Ok(delays)
}

/// When the write of an event began.
fn sent(line: &[u8]) -> Option<Duration> {
    let at = line.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    let digits = line[at..].split(|byte| *byte == b'"').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn the_time_of_a_write_is_found_in_its_event() {
        let line = br#"{"type":"ADDED","object":{"data":{"at":"1500","filler":"x"}}}"#;
        assert_eq!(super::sent(line), Some(Duration::from_nanos(1500)));
        assert_eq!(super::sent(br#"{"type":"BOOKMARK"}"#), None);
    }
}
