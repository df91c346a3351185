//! What the proxy is told, parsed and complete. Made from flags and file by `options.rs`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub enum Action {
    /// Proxy until told to stop.
    Run(Box<Config>),
    /// Remove all rules and end.
    CleanUp,
    /// Write the default configuration there and end.
    WriteConfig(PathBuf),
}

/// A running proxy's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the Node object of this machine.
    pub node_name: String,
    /// Kubeconfig file; empty: the pod's own credentials.
    pub kubeconfig: String,
    /// Overrides the kubeconfig's server when not empty.
    pub master: String,
    /// Requests per second, on average.
    pub qps: f32,
    /// Requests at once above it.
    pub burst: u32,
    /// Where to serve `/healthz` and `/livez`.
    pub healthz_address: Option<SocketAddr>,
    /// Where to serve `/metrics`, `/proxyMode` and `/configz`.
    pub metrics_address: Option<SocketAddr>,
    /// How pods of this cluster are told from others.
    pub detect_local: DetectLocal,
    /// Masquerade everything that goes to a cluster address.
    pub masquerade_all: bool,
    /// Bit of the packet mark to use.
    pub masquerade_bit: u32,
    /// Which addresses of the node answer on node ports.
    pub nodeport_addresses: NodeportAddresses,
    /// The address of this node, when it is told and not found in its Node object.
    pub node_ip: Option<IpAddr>,
    /// Least time between two updates of the rules; what comes meanwhile is gathered.
    pub min_sync_period: Duration,
    /// Kernel settings.
    pub conntrack: Conntrack,
    /// Written to `/proc/self/oom_score_adj`.
    pub oom_score_adj: i64,
    /// Set the kernel up and end.
    pub init_only: bool,
    /// The configuration as JSON, for `/configz`.
    pub shown: serde_json::Value,
}

/// How pods of this cluster are told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetectLocal {
    /// They are not.
    None,
    /// By the cluster's address ranges.
    ClusterCidr(Vec<String>),
    /// By the ranges of this node, as its Node object says.
    NodeCidr,
    /// By this interface that they come in by; a trailing `*` stands for anything.
    Interface(String),
}

/// Which addresses of the node answer on node ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeportAddresses {
    /// All but loopback.
    All,
    /// Only the node's main address.
    Primary,
    /// Those in these ranges.
    Cidrs(Vec<String>),
}

/// Connection tracking; `None` leaves a setting alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conntrack {
    /// Entries at most.
    pub max: Option<u64>,
    /// Seconds an idle TCP connection is remembered.
    pub tcp_established_seconds: Option<u64>,
    /// Seconds in CLOSE_WAIT.
    pub tcp_close_wait_seconds: Option<u64>,
    /// Seconds an unanswered UDP flow is remembered.
    pub udp_seconds: Option<u64>,
    /// Seconds an answered one is.
    pub udp_stream_seconds: Option<u64>,
    /// Do not judge TCP packets out of window.
    pub tcp_be_liberal: bool,
}
