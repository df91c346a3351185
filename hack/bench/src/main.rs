//! bench: what a server spends per request.
//!
//! `bench apiserver` prints the CPU time per operation (utime + stime of `/proc/<pid>/stat`), operations per second and
//! resident memory for create, update, get and list, in JSON or protobuf; `bench store` those of durable transactions,
//! ranges and watches of an etcd; `bench watch` how long events take to an API server's watchers. With `--vs` two servers are loaded in turn (A B B A ...), and the ratios printed. CPU
//! per operation is the number that counts: the client shares the machine.
//!
//! It is not a conformance test, and it only speaks to servers on this machine.
//! Start reading at `load.rs` and `store.rs`.

#![allow(clippy::print_stdout)]

mod load;
mod process;
mod report;
mod store;
mod target;
mod watch;

use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;

use load::{Kind, Plan};
use target::{Format, Target};

/// Loads a server and prints its CPU per operation, operations per second and memory.
#[derive(Debug, Parser)]
#[command(name = "bench")]
enum Command {
    /// An API server.
    Apiserver(Args),
    /// An etcd.
    Store(store::Args),
    /// An API server's watches.
    Watch(watch::Args),
}

#[derive(Debug, clap::Args)]
struct Args {
    /// Kubeconfig of the server.
    #[arg(long)]
    kubeconfig: String,
    /// Process id of the server; several (server and store) add up.
    #[arg(long, value_delimiter = ',', required = true)]
    pid: Vec<u32>,
    /// A second server to compare with: its kubeconfig and its process id(s).
    #[arg(long, num_args = 2, value_names = ["KUBECONFIG", "PID"])]
    vs: Option<Vec<String>>,
    /// Objects to create per round.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Reads of one object per round; 0: each is read once.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    gets: u32,
    /// Reads of the whole list per round.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    lists: u32,
    /// Rounds per server.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Requests in flight at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    concurrency: u32,
    /// No phase of a round takes longer than this many seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// What to create: pods (which nobody schedules) or configmaps.
    #[arg(long, value_enum, default_value_t = Kind::Pods)]
    kind: Kind,
    /// How bodies are written, both ways.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Bytes that are added to each object.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=200_000))]
    filler: u32,
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let table = match Command::parse() {
        Command::Apiserver(args) => runtime.block_on(apiserver(args))?,
        Command::Store(args) => runtime.block_on(store::run(&args))?,
        Command::Watch(args) => runtime.block_on(watch::run(&args))?,
    };
    print!("{table}");
    Ok(())
}

async fn apiserver(args: Args) -> anyhow::Result<String> {
    let plan = Plan {
        count: args.count,
        gets: args.gets,
        lists: args.lists,
        concurrency: args.concurrency as usize,
        limit: Duration::from_secs(args.seconds),
        kind: args.kind,
        filler: args.filler as usize,
    };
    let mut targets = vec![Target::new("A", &args.kubeconfig, &args.pid, args.format)?];
    if let Some([kubeconfig, pids]) = args.vs.as_deref() {
        let pids = pids
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<u32>, _>>()
            .context("PID of --vs")?;
        targets.push(Target::new("B", kubeconfig, &pids, args.format)?);
    }
    for target in &targets {
        load::prepare(target, &plan)
            .await
            .with_context(|| format!("server {}", target.name))?;
    }
    let names: Vec<&str> = targets.iter().map(|target| target.name).collect();
    let load = async |index: usize, round| load::round(&targets[index], &plan, round).await;
    let measured = in_turn(&names, args.rounds, load).await;
    for target in &targets {
        load::clean_up(target).await;
    }
    Ok(report::render(&names, &load::PHASES, &measured?))
}

/// Loads servers round by round, every second round in the opposite order; the rounds of each.
async fn in_turn(
    names: &[&str],
    rounds: u32,
    load: impl AsyncFn(usize, u32) -> anyhow::Result<load::Round>,
) -> anyhow::Result<Vec<Vec<load::Round>>> {
    let mut measured = vec![Vec::new(); names.len()];
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..names.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let phases = load(index, round).await;
            measured[index].push(phases.with_context(|| format!("server {}", names[index]))?);
        }
    }
    Ok(measured)
}
