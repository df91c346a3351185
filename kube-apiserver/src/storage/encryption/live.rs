//! The configuration that counts now, read again when its file changes.
//!
//! Upstream: `encryptionconfig/config.go` `LoadEncryptionConfig`, `DynamicTransformers`, and
//! `encryptionconfig/controller/controller.go`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::field::aggregate;
use parking_lot::RwLock;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::chain::Chain;
use super::config;
use super::kms::probe::Probe;
use super::rules::{Built, Rules, build};
use super::{id_hash, metrics};

/// How often the file is looked at (upstream `EncryptionConfigFileChangePollDuration`).
const LOOK: Duration = Duration::from_secs(60);
/// First pause after a file that could not be taken; it doubles up to [`LOOK`].
const RETRY: Duration = Duration::from_secs(1);
/// Shortest time that new plugins get to be well (upstream `minKMSPluginCloseGracePeriod`), and how often they are asked.
const PATIENCE: Duration = Duration::from_secs(10);
const ASK: Duration = Duration::from_millis(100);

/// What the flags say.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// `--encryption-provider-config`.
    pub(crate) path: PathBuf,
    /// `--encryption-provider-config-automatic-reload`.
    pub(crate) reload: bool,
    /// The gate `KMSv1`.
    pub(crate) kms_v1: bool,
}

/// One reading of the file.
struct Loaded {
    rules: Rules,
    probes: Vec<Arc<Probe>>,
    timeouts: Duration,
    hash: String,
    /// Nobody looks after the plugins any longer when this goes.
    _plugins: DropGuard,
}

impl Loaded {
    async fn new(options: &Options, server: &str) -> Result<Self, String> {
        let file = config::load(&options.path, options.reload);
        let file = file.map_err(|why| format!("error while parsing file: {why}"))?;
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let built = build(&file.configuration, options.kms_v1, server, &stop).await;
        let Built {
            rules,
            probes,
            timeouts,
        } = built.map_err(|why| format!("error while building transformers: {why}"))?;
        Ok(Loaded {
            rules,
            probes,
            timeouts,
            hash: file.hash,
            _plugins: guard,
        })
    }

    async fn check(&self) -> Result<(), String> {
        let mut errors = vec![];
        for (i, probe) in self.probes.iter().enumerate() {
            if let Err(why) = probe.check().await {
                errors.push(format!("kms-provider-{i}: {why}"));
            }
        }
        aggregate(&errors).map_or(Ok(()), Err)
    }

    /// Waits until all plugins are well.
    async fn settle(&self) -> Result<(), String> {
        let deadline = tokio::time::Instant::now() + PATIENCE.max(2 * self.timeouts);
        loop {
            let Err(why) = self.check().await else { return Ok(()) };
            if tokio::time::Instant::now() > deadline {
                return Err(format!(
                    "health check for new transformers failed, polling error timed out waiting for the condition: {why}"
                ));
            }
            tokio::time::sleep(ASK).await;
        }
    }
}

/// Encryption at rest, as configured now.
pub(crate) struct Encryption {
    options: Options,
    loaded: RwLock<Arc<Loaded>>,
    /// The hash of this server's identity, in metrics.
    server: String,
}

impl Encryption {
    /// Reads the file for the server of this identity, and reads it again when it changes, if the flags say so, until `shutdown`.
    ///
    /// # Errors
    /// The file cannot be read or used: upstream's texts, without keys.
    pub(crate) async fn start(
        options: Options,
        server: &str,
        shutdown: &CancellationToken,
    ) -> Result<Arc<Self>, String> {
        metrics::declare();
        let server = id_hash(server);
        let loaded = Loaded::new(&options, &server).await?;
        metrics::counts(&server, &loaded.hash);
        let encryption = Arc::new(Encryption {
            options,
            loaded: RwLock::new(Arc::new(loaded)),
            server,
        });
        if encryption.options.reload {
            tokio::spawn(encryption.clone().follow(shutdown.clone()));
        }
        Ok(encryption)
    }

    /// The chain of a path below the prefix of etcd.
    pub(super) fn chain(&self, path: &str) -> Arc<Chain> {
        self.loaded.read().rules.at(path).clone()
    }

    /// Whether the file is read again when it changes.
    pub(crate) fn reloads(&self) -> bool {
        self.options.reload
    }

    /// Whether there is anything to be checked, `/healthz/kms-providers`: plugins now, or perhaps later.
    pub(crate) fn has_check(&self) -> bool {
        self.reloads() || !self.loaded.read().probes.is_empty()
    }

    /// Whether all plugins are well; the error names those that are not.
    pub(crate) async fn check(&self) -> Result<(), String> {
        let loaded = self.loaded.read().clone();
        loaded.check().await
    }

    async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        let mut retry = RETRY;
        loop {
            let pause = match self.look().await {
                Ok(taken) => {
                    if taken {
                        metrics::reloaded(&self.server, true);
                        metrics::counts(&self.server, &self.loaded.read().hash);
                    }
                    retry = RETRY;
                    LOOK
                }
                Err(error) => {
                    let path = self.options.path.display();
                    metrics::reloaded(&self.server, false);
                    tracing::error!("error processing encryption config file {path}: {error}");
                    let pause = retry;
                    retry = (retry * 2).min(LOOK);
                    pause
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Takes the file over if it has changed and its plugins are well. Whoever is at work keeps what was before.
    pub(super) async fn look(&self) -> Result<bool, String> {
        let now = self.loaded.read().hash.clone();
        if config::hash(&self.options.path)? == now {
            return Ok(false);
        }
        let new = Loaded::new(&self.options, &self.server).await?;
        if new.hash == now {
            return Ok(false);
        }
        new.settle().await?;
        *self.loaded.write() = Arc::new(new);
        tracing::info!("Loaded new kms encryption config content");
        Ok(true)
    }
}
