//! The load of a store: what an API server asks of it, each phase measured by itself.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use etcd_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use etcd_proto::etcdserverpb::kv_client::KvClient;
use etcd_proto::etcdserverpb::request_op::Request;
use etcd_proto::etcdserverpb::watch_client::WatchClient;
use etcd_proto::etcdserverpb::watch_request::RequestUnion;
use etcd_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest, WatchRequest,
    WatchResponse,
};
use futures::future::try_join_all;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::load::{Phase, Round};
use crate::{in_turn, process, report, target};

/// An object's size, bytes.
const VALUE: usize = 1536;
/// Keys of the range that is read.
const RANGE: u32 = 10_000;
/// Watches of one connection.
const WATCHES_A_CONNECTION: u32 = 100;

const PHASES: [&str; 6] = ["fill", "txn c=1", "txn c=16", "txn c=128", "range", "fan-out"];

/// What to load, and how much.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// URL of the store: http://127.0.0.1:2379.
    #[arg(long)]
    endpoint: String,
    /// Its process id.
    #[arg(long, value_delimiter = ',', required = true)]
    pid: Vec<u32>,
    /// A second store to compare with: its URL and its process id.
    #[arg(long, num_args = 2, value_names = ["URL", "PID"])]
    vs: Option<Vec<String>>,
    /// Keys of 1 KB that are there from the start: what they cost in memory is the RSS of the first phase.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(20_000..=10_000_000))]
    fill: u32,
    /// Rounds per store.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each phase of a round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Watchers of one key.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    watchers: u32,
    /// Only these phases, e.g. "fan-out"; without it all. The keys are always put.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

impl Args {
    fn wants(&self, phase: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == phase)
    }
}

struct Store {
    endpoint: Endpoint,
    pids: Vec<u32>,
    next: AtomicU32,
}

/// Loads the stores; the table.
///
/// # Errors
/// When one is not on this machine, or does not answer as it must.
pub(crate) async fn run(args: &Args) -> anyhow::Result<String> {
    let mut stores = vec![Store::new(&args.endpoint, args.pid.clone())?];
    if let Some([url, pid]) = args.vs.as_deref() {
        stores.push(Store::new(url, vec![pid.parse().context("PID of --vs")?])?);
    }
    let names = &["A", "B"][..stores.len()];
    let measured = in_turn(names, args.rounds, async |index, round| {
        stores[index].round(args, round).await
    })
    .await?;
    let phases: Vec<_> = PHASES
        .into_iter()
        .filter(|phase| *phase == "fill" || args.wants(phase))
        .collect();
    Ok(report::render(names, &phases, &measured))
}

/// A connection.
fn kv(channel: Channel) -> KvClient<Channel> {
    KvClient::new(channel).max_decoding_message_size(usize::MAX)
}

fn key(kind: &str, number: u32) -> Bytes {
    format!("/registry/{kind}/namespace/object-{number:08}").into()
}

impl Store {
    fn new(url: &str, pids: Vec<u32>) -> anyhow::Result<Self> {
        target::must_be_local(url)?;
        process::cpu(&pids)?;
        Ok(Store {
            endpoint: Endpoint::from_shared(url.to_owned())?,
            pids,
            next: AtomicU32::new(0),
        })
    }

    async fn connect(&self) -> anyhow::Result<Channel> {
        self.endpoint.connect().await.context("connect to the store")
    }

    async fn round(&self, args: &Args, round: u32) -> anyhow::Result<Round> {
        let limit = Duration::from_secs(args.seconds);
        let mut phases = Round::new();
        if round == 0 {
            phases.insert("fill", self.measure(self.fill(args.fill)).await.context("fill")?);
        }
        for (name, clients) in [("txn c=1", 1), ("txn c=16", 16), ("txn c=128", 128)] {
            if !args.wants(name) {
                continue;
            }
            let phase = self.measure(self.create(clients, limit)).await;
            phases.insert(name, phase.context(name)?);
        }
        if args.wants("range") {
            phases.insert("range", self.measure(self.range(limit)).await.context("range")?);
        }
        if args.wants("fan-out") {
            phases.insert("fan-out", self.fan_out(args.watchers, limit).await.context("fan-out")?);
        }
        let request = DeleteRangeRequest {
            key: Bytes::from_static(b"/registry/created/"),
            range_end: Bytes::from_static(b"/registry/created0"),
            ..Default::default()
        };
        kv(self.connect().await?).delete_range(request).await?;
        Ok(phases)
    }

    /// Measures what `load` does: operations and bytes received.
    async fn measure(&self, load: impl Future<Output = anyhow::Result<(u32, usize)>>) -> anyhow::Result<Phase> {
        let cpu = process::cpu(&self.pids)?;
        let begun = Instant::now();
        let (operations, bytes) = load.await?;
        Ok(Phase {
            operations,
            wall: begun.elapsed(),
            cpu: process::cpu(&self.pids)?.saturating_sub(cpu),
            bytes,
            resident: process::resident(&self.pids)?,
        })
    }

    /// Puts keys of 1 KB.
    async fn fill(&self, count: u32) -> anyhow::Result<(u32, usize)> {
        const CLIENTS: u32 = 64;
        let channel = self.connect().await?;
        let clients = (0..CLIENTS).map(|client| {
            let mut kv = kv(channel.clone());
            async move {
                for number in (client..count).step_by(CLIENTS as usize) {
                    let request = PutRequest {
                        key: key("filled", number),
                        value: vec![b'x'; 1024].into(),
                        ..Default::default()
                    };
                    kv.put(request).await?;
                }
                anyhow::Ok(())
            }
        });
        try_join_all(clients).await?;
        Ok((count, 0))
    }

    /// Creates objects as an API server does: if the key is not there.
    async fn create(&self, clients: u32, limit: Duration) -> anyhow::Result<(u32, usize)> {
        let channel = self.connect().await?;
        let begun = Instant::now();
        let clients = (0..clients).map(|_| {
            let mut kv = kv(channel.clone());
            async move {
                let mut done = 0;
                while begun.elapsed() < limit {
                    let key = key("created", self.next.fetch_add(1, Ordering::Relaxed));
                    let response = kv.txn(create(key)).await?.into_inner();
                    anyhow::ensure!(response.succeeded, "the key is there");
                    done += 1;
                }
                anyhow::Ok(done)
            }
        });
        let done: Vec<u32> = try_join_all(clients).await?;
        Ok((done.iter().sum(), 0))
    }

    /// Reads the first keys that were filled in.
    async fn range(&self, limit: Duration) -> anyhow::Result<(u32, usize)> {
        let mut kv = kv(self.connect().await?);
        let begun = Instant::now();
        let (mut done, mut bytes) = (0, 0);
        while begun.elapsed() < limit {
            let request = RangeRequest {
                key: key("filled", 0),
                range_end: key("filled", RANGE),
                ..Default::default()
            };
            let response = kv.range(request).await?.into_inner();
            anyhow::ensure!(response.kvs.len() == RANGE as usize, "{} keys", response.kvs.len());
            bytes += response.kvs.iter().map(|kv| kv.value.len()).sum::<usize>();
            done += 1;
        }
        Ok((done, bytes))
    }

    /// Changes a key that many watch; an operation is an event that arrived.
    async fn fan_out(&self, watchers: u32, limit: Duration) -> anyhow::Result<Phase> {
        let mut streams = Vec::new();
        for first in (0..watchers).step_by(WATCHES_A_CONNECTION as usize) {
            let channel = self.connect().await?;
            let count = WATCHES_A_CONNECTION.min(watchers - first);
            let opened = (0..count).map(|_| watch(channel.clone()));
            streams.extend(try_join_all(opened).await?);
        }
        let mut kv = kv(self.connect().await?);
        let load = async {
            let begun = Instant::now();
            let (mut done, mut bytes) = (0, 0);
            while begun.elapsed() < limit {
                let request = PutRequest {
                    key: Bytes::from_static(b"/registry/watched"),
                    value: vec![b'x'; VALUE].into(),
                    ..Default::default()
                };
                kv.put(request).await?;
                for stream in &mut streams {
                    let response = stream.1.message().await?.context("the watch ended")?;
                    done += response.events.len() as u32;
                    let values = response.events.iter().filter_map(|event| event.kv.as_ref());
                    bytes += values.map(|kv| kv.value.len()).sum::<usize>();
                }
            }
            Ok((done, bytes))
        };
        self.measure(load).await
    }
}

/// A watch of the key, once the store has said that it watches; it ends with its requests.
async fn watch(
    channel: Channel,
) -> anyhow::Result<(tokio::sync::mpsc::Sender<WatchRequest>, Streaming<WatchResponse>)> {
    let (sender, requests) = tokio::sync::mpsc::channel(1);
    let request = WatchCreateRequest {
        key: Bytes::from_static(b"/registry/watched"),
        ..Default::default()
    };
    sender
        .send(WatchRequest {
            request_union: Some(RequestUnion::CreateRequest(request)),
        })
        .await?;
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let mut stream = WatchClient::new(channel).watch(requests).await?.into_inner();
    let created = stream.message().await?.context("the watch ended")?;
    anyhow::ensure!(created.created, "the watch was refused: {}", created.cancel_reason);
    Ok((sender, stream))
}

fn create(key: Bytes) -> TxnRequest {
    let absent = Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Mod.into(),
        key: key.clone(),
        target_union: Some(TargetUnion::ModRevision(0)),
        ..Default::default()
    };
    let put = PutRequest {
        key,
        value: vec![b'x'; VALUE].into(),
        ..Default::default()
    };
    TxnRequest {
        compare: vec![absent],
        success: vec![RequestOp {
            request: Some(Request::RequestPut(put)),
        }],
        failure: vec![],
    }
}
