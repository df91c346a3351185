//! Listeners, and the order of starting and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use component::serving;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Listen, TlsFiles};
use crate::engine::memory::Memory;
use crate::engine::{self, Engine};
use crate::store::{Store, StoreOptions};
use crate::{auto_compaction, http, lease, metrics, rpc};

/// How long open requests may take to end after SIGTERM. Watches end at once, with the store.
const GRACE: Duration = Duration::from_secs(5);

/// A server whose ports are open and whose data is read, not serving yet.
pub struct Server {
    config: Arc<Config>,
    store: Arc<Store>,
    clients: Vec<(serving::Server, SocketAddr)>,
    /// Those that take HTTP away from `clients`.
    https: Vec<(serving::Server, SocketAddr)>,
    metrics: Vec<(serving::Server, SocketAddr)>,
}

impl Server {
    /// Opens the data and binds every port.
    ///
    /// # Errors
    /// The data cannot be read or is in use; a port is taken; a certificate cannot be read.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        metrics::register();
        let options = StoreOptions {
            max_request_bytes: config.max_request_bytes,
            min_lease_ttl: config.min_lease_ttl,
            quota_bytes: config.quota_bytes,
        };
        let (directory, kind) = (config.data_dir.clone(), config.engine);
        let open = move || -> anyhow::Result<Arc<Store>> {
            let engine: Arc<dyn Engine> = match &directory {
                Some(directory) => {
                    let etcd = directory.join("member/snap/db");
                    anyhow::ensure!(
                        !etcd.exists(),
                        "{} belongs to etcd; this server keeps its own format: etcd-shim snapshot restore --skip-hash-check \
                         reads that file into another directory (see docs/moving.md)",
                        etcd.display()
                    );
                    private_directory(directory)?;
                    engine::open(kind, &directory.join("store"))?
                }
                None => Arc::new(Memory::default()),
            };
            Ok(Store::open(engine, options)?)
        };
        let store = tokio::task::spawn_blocking(open).await?.context("open the store")?;
        let mut clients = Vec::new();
        for listen in &config.client_listeners {
            clients.push(bind(listen, &config).await?);
        }
        let mut https = Vec::new();
        for listen in &config.http_listeners {
            https.push(bind(listen, &config).await?);
        }
        let mut metrics = Vec::new();
        for listen in &config.metrics_listeners {
            metrics.push(bind(listen, &config).await?);
        }
        Ok(Self {
            config: Arc::new(config),
            store,
            clients,
            https,
            metrics,
        })
    }

    /// Addresses of the client listeners, in the order of the configuration.
    pub fn client_addresses(&self) -> Vec<SocketAddr> {
        self.clients.iter().map(|(_, address)| *address).collect()
    }

    /// Addresses of the listeners for HTTP, in the order of the configuration.
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        self.https.iter().map(|(_, address)| *address).collect()
    }

    /// Addresses of the metrics listeners, in the order of the configuration.
    pub fn metrics_addresses(&self) -> Vec<SocketAddr> {
        self.metrics.iter().map(|(_, address)| *address).collect()
    }

    /// Serves until `shutdown`; then finishes what was accepted and returns.
    ///
    /// # Errors
    /// The disk failed: nothing more can be written.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self {
            config,
            store,
            clients,
            https,
            metrics,
        } = self;
        let drained = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let mut router = rpc::routes(&store, &config)
            .into_axum_router()
            .layer(axum::middleware::from_fn_with_state(
                config.extensive_metrics,
                metrics::grpc::count,
            ));
        if https.is_empty() {
            router = router.merge(http::client_routes(store.clone()));
        }
        for (server, address) in https {
            tracing::info!(%address, "serving HTTP");
            let router = http::client_routes(store.clone());
            tasks.spawn(server.grace(GRACE).serve(router, drained.clone()));
        }
        for (server, address) in clients {
            tracing::info!(%address, "serving clients");
            let server = server.grace(GRACE).limits(serving::Limits {
                max_streams: config.max_concurrent_streams,
                url_authority: true,
                ..serving::Limits::default()
            });
            tasks.spawn(server.serve(router.clone(), drained.clone()));
        }
        for (server, address) in metrics {
            tracing::info!(%address, "serving metrics");
            tasks.spawn(
                server
                    .grace(GRACE)
                    .serve(http::metrics_routes(store.clone()), drained.clone()),
            );
        }
        tokio::spawn(lease::expire(store.clone()));
        if let Some(rule) = config.auto_compaction {
            tokio::spawn(auto_compaction::run(store.clone(), rule));
        }
        let failed = tokio::select! {
            () = shutdown.cancelled() => false,
            () = store.stopped() => true,
        };
        tracing::info!(failed, "stopping");
        drained.cancel();
        // What is queued is made durable; then watches end, and with them the last connections.
        store.stop().await;
        while tasks.join_next().await.is_some() {}
        anyhow::ensure!(!failed, "the store stopped after a failed write");
        Ok(())
    }
}

/// Runs a server: [`Server::start`] and [`Server::run`].
///
/// # Errors
/// As theirs.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let server = Server::start(config).await?;
    component::sd_notify::ready();
    server.run(shutdown).await
}

/// Makes a directory that is its owner's alone.
pub(crate) fn private_directory(directory: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
}

async fn bind(listen: &Listen, config: &Config) -> anyhow::Result<(serving::Server, SocketAddr)> {
    let found = tokio::net::lookup_host(&listen.address)
        .await
        .with_context(|| format!("resolve {}", listen.address))?;
    // "localhost" is 127.0.0.1 first, as in Go.
    let address = found
        .min_by_key(SocketAddr::is_ipv6)
        .with_context(|| format!("{} has no address", listen.address))?;
    let mut server = serving::Server::bind(address)
        .await
        .with_context(|| format!("listen on {address}"))?;
    let bound = server.local_addr()?;
    if listen.tls {
        let files = config
            .tls
            .as_ref()
            .with_context(|| format!("https://{} without certificate", listen.address))?;
        server = server.tls(tls(files)?);
    }
    Ok((server, bound))
}

fn tls(files: &TlsFiles) -> Result<serving::Tls, serving::TlsError> {
    let mut tls = serving::Tls::from_files(&files.cert, &files.key)?;
    tls = match &files.client_ca {
        Some(ca) => tls.require_client_certs(ca)?,
        None => tls.no_client_certs()?,
    };
    tls.with_flags(&serving::TlsFlags {
        tls13_only: files.tls13_only,
        cipher_suites: files.cipher_suites.clone(),
        named: Vec::new(),
    })
}
