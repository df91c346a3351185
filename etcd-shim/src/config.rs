//! What the server is told, parsed and complete. Made from flags by `options.rs`, or by a test.

use std::path::PathBuf;
use std::time::Duration;

use crate::auto_compaction::AutoCompaction;

/// A running server's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The member's name.
    pub name: String,
    /// Where the data is kept; `None`: in memory, for tests and throw-away clusters.
    pub data_dir: Option<PathBuf>,
    /// What keeps the data there; `None`: what its data is of, and a log where there is none.
    pub engine: Option<EngineKind>,
    /// Where to serve gRPC, `/version`, `/health` and `/metrics`.
    pub client_listeners: Vec<Listen>,
    /// Where to serve `/version`, `/health` and `/metrics`; if anywhere, the client listeners serve gRPC only.
    pub http_listeners: Vec<Listen>,
    /// Where to serve `/health`, `/livez`, `/readyz` and `/metrics` only.
    pub metrics_listeners: Vec<Listen>,
    /// Certificates, needed for an https listener.
    pub tls: Option<TlsFiles>,
    /// URLs told to clients that list the members.
    pub advertise_client_urls: Vec<String>,
    /// URLs told as the member's peer URLs; nobody connects to them.
    pub advertise_peer_urls: Vec<String>,
    /// Largest write request, bytes.
    pub max_request_bytes: usize,
    /// Most operations along one path of a transaction.
    pub max_txn_ops: usize,
    /// HTTP/2 streams at once on one connection.
    pub max_concurrent_streams: u32,
    /// Data beyond which puts are refused, bytes; 0: no limit.
    pub quota_bytes: u64,
    /// How often a quiet watch that asked for it is told the revision.
    pub progress_interval: Duration,
    /// Shortest lease, seconds.
    pub min_lease_ttl: i64,
    /// History to give up without being asked.
    pub auto_compaction: Option<AutoCompaction>,
    /// Whether the time of each gRPC call is measured.
    pub extensive_metrics: bool,
}

/// What keeps data on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// One SQLite database.
    Sqlite,
    /// A log of segments.
    Log,
}

impl std::str::FromStr for EngineKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sqlite" => Ok(Self::Sqlite),
            "log" => Ok(Self::Log),
            other => Err(format!("{other:?} is neither \"sqlite\" nor \"log\"")),
        }
    }
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// `host:port`.
    pub address: String,
    /// https.
    pub tls: bool,
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate chain.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who signs client certificates; with it, no client gets in without one.
    pub client_ca: Option<PathBuf>,
    /// Refuse TLS 1.2.
    pub tls13_only: bool,
    /// Suites of TLS 1.2 by Go's names; empty: all.
    pub cipher_suites: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "default".into(),
            data_dir: None,
            engine: None,
            client_listeners: Vec::new(),
            http_listeners: Vec::new(),
            metrics_listeners: Vec::new(),
            tls: None,
            advertise_client_urls: vec!["http://localhost:2379".into()],
            advertise_peer_urls: vec!["http://localhost:2380".into()],
            max_request_bytes: 1536 << 10,
            max_txn_ops: 128,
            max_concurrent_streams: u32::MAX,
            quota_bytes: 0,
            progress_interval: Duration::from_secs(600),
            min_lease_ttl: 2,
            auto_compaction: None,
            extensive_metrics: false,
        }
    }
}
