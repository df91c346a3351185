//! How a plugin is, and the key that values are written under: a new one whenever the plugin's own key changes.
//!
//! Values are read as long as keys can be opened. They are written for at most [`COASTING`] after the plugin was last
//! well, so that whoever changes its key and waits that long knows that nothing is written under the old one.
//!
//! Upstream: `encryptionconfig/config.go` `kmsv2PluginProbe`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use apimachinery::field::aggregate;
use jiff::Timestamp;
use kms_proto::stored::{DekSourceType, EncryptedObject};
use kms_proto::v2::StatusResponse;
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::super::aes::{SEED, random};
use super::super::chain::TransformError;
use super::super::id_hash;
use super::object::{self, CacheKey};
use super::plugin::Plugin;
use super::{Dek, metrics};

/// How often a plugin that is well is asked (upstream `kmsv2PluginHealthzPositiveInterval`).
const WELL: Duration = Duration::from_secs(60);
/// How often one that is not (`kmsv2PluginHealthzNegativeInterval`).
const UNWELL: Duration = Duration::from_secs(10);
/// How long a key is written under without a word of the plugin (`kmsv2PluginWriteDEKSourceMaxTTL`).
const COASTING: Duration = Duration::from_secs(180);
/// How long an answer stands (`kmsPluginHealthzPositiveTTL`, `kmsPluginHealthzNegativeTTL`).
const WELL_STANDS: Duration = Duration::from_secs(20);
const UNWELL_STANDS: Duration = Duration::from_secs(3);

/// A time as upstream's errors show it: RFC 3339 to the second.
fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The key that values are written under.
#[derive(Clone)]
pub(super) struct State {
    pub(super) dek: Arc<Dek>,
    /// What is stored of it: the object without data.
    pub(super) object: EncryptedObject,
    pub(super) cache_key: CacheKey,
    expires: Timestamp,
}

/// The last answer.
#[derive(Default)]
struct Last {
    answer: Option<(Instant, Result<(), String>)>,
    /// What the plugin called its version first.
    version: String,
}

/// One plugin, looked after.
pub(in crate::storage::encryption) struct Probe {
    plugin: Plugin,
    /// The hash of this server's identity, in metrics.
    server: String,
    state: RwLock<Option<Arc<State>>>,
    last: Mutex<Last>,
    now: fn() -> Timestamp,
}

impl Probe {
    /// A plugin that has not been asked yet.
    pub(in crate::storage::encryption) fn new(plugin: Plugin, server: &str) -> Self {
        Probe {
            plugin,
            server: server.to_owned(),
            state: RwLock::default(),
            last: Mutex::default(),
            now: Timestamp::now,
        }
    }

    pub(super) fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// What the configuration calls the plugin.
    pub(super) fn name(&self) -> &str {
        self.plugin.name()
    }

    /// The hash of this server's identity.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Asks the plugin now and then, until `stop`.
    pub(in crate::storage::encryption) async fn look_after(&self, stop: CancellationToken) {
        loop {
            let well = match self.check().await {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(name = self.name(), error, "kms plugin failed health check probe");
                    false
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(if well { WELL } else { UNWELL }) => {}
            }
        }
    }

    /// The present key.
    pub(super) fn state(&self) -> Result<Arc<State>, TransformError> {
        let state = self.state.read().clone();
        state.ok_or_else(|| TransformError::new("got unexpected nil transformer"))
    }

    /// Whether values may be written under a key.
    pub(super) fn may_write(&self, state: &State) -> Result<(), TransformError> {
        let now = (self.now)();
        if now > state.expires {
            return Err(TransformError::new(format!(
                "encryptedDEKSource with keyID hash {:?} expired at {} (current time is {})",
                id_hash(&state.object.key_id),
                shown(state.expires),
                shown(now)
            )));
        }
        Ok(())
    }

    /// Whether the plugin is well: by its last answer while that stands, else asked now.
    pub(in crate::storage::encryption) async fn check(&self) -> Result<(), String> {
        let mut last = self.last.lock().await;
        if let Some((when, answer)) = &last.answer {
            let stands = if answer.is_ok() { WELL_STANDS } else { UNWELL_STANDS };
            if when.elapsed() < stands {
                return answer.clone();
            }
        }
        let answer = match self.plugin.status().await {
            Ok(status) => self.healthy(&mut last.version, &status).await,
            Err(why) => Err(format!(
                "failed to perform status section of the healthz check for KMS Provider {}, error: {why}",
                self.name()
            )),
        };
        last.answer = Some((Instant::now(), answer.clone()));
        answer
    }

    /// Forgets the last answer.
    #[cfg(test)]
    pub(super) async fn forget(&self) {
        self.last.lock().await.answer = None;
    }

    /// With another clock.
    #[cfg(test)]
    pub(super) fn with_clock(self, now: fn() -> Timestamp) -> Self {
        Probe { now, ..self }
    }

    async fn healthy(&self, version: &mut String, status: &StatusResponse) -> Result<(), String> {
        let mut errors = vec![];
        if status.healthz != "ok" {
            errors.push(format!("got unexpected healthz status: {}", status.healthz));
        }
        let said = status.version.as_str();
        if !matches!(said, "v2" | "v2beta1") {
            errors.push(format!("expected KMSv2 API version v2, got {said}"));
        } else {
            if version.is_empty() {
                said.clone_into(version);
            }
            if version != said {
                errors.push(format!(
                    "KMSv2 API version should not change after the initial status response version {version}, got {said}"
                ));
            }
        }
        let id = status.key_id.as_str();
        match object::validate_key_id(id) {
            Err(why) => {
                metrics::invalid_key(self.name(), id);
                errors.push(format!("got invalid KMSv2 KeyID hash {:?}: {why}", id_hash(id)));
            }
            Ok(()) => {
                metrics::key_seen(self.name(), id, &self.server);
                errors.extend(self.rotate(id).await.err());
            }
        }
        match aggregate(&errors) {
            None => Ok(()),
            Some(why) => Err(format!("kmsv2 Provider {} is not healthy, error: {why}", self.name())),
        }
    }

    /// Takes a new key if the plugin's is not the one that sealed ours; ours is good for longer then.
    async fn rotate(&self, id: &str) -> Result<(), String> {
        // Before the plugin is asked: it is the upper bound.
        let expires = (self.now)() + COASTING;
        let old = self.state();
        if let Ok(state) = &old
            && state.object.key_id == id
        {
            let state = State {
                expires,
                ..State::clone(state)
            };
            *self.state.write() = Some(Arc::new(state));
            return Ok(());
        }
        let uid = apimachinery::names::new_uid();
        let made = self.generate(&uid, expires).await;
        let made_id = made.as_ref().map_or("", |state| &state.object.key_id);
        if made_id == id
            && let Ok(state) = made
        {
            *self.state.write() = Some(Arc::new(state));
            tracing::debug!(name = self.name(), uid, "successfully rotated DEK");
            return Ok(());
        }
        let nil = |error: Option<&TransformError>| error.map_or("<nil>".to_owned(), ToString::to_string);
        let old_id = old.as_ref().map_or("", |state| &state.object.key_id);
        Err(format!(
            "failed to rotate DEK uid={uid:?}, useSeed=true, errState={}, errGen={}, statusKeyIDHash={:?}, encryptKeyIDHash={:?}, stateKeyIDHash={:?}, expirationTimestamp={}",
            nil(old.as_ref().err()),
            nil(made.as_ref().err()),
            id_hash(id),
            id_hash(made_id),
            id_hash(old_id),
            old.as_ref()
                .map_or("0001-01-01T00:00:00Z".to_owned(), |state| shown(state.expires)),
        ))
    }

    /// A new seed, sealed by the plugin.
    async fn generate(&self, uid: &str, expires: Timestamp) -> Result<State, TransformError> {
        let seed = metrics::data_key(random::<SEED>)?;
        let sealed = self.plugin.encrypt(uid, &*seed).await;
        let sealed = sealed.map_err(|error| error.within("failed to encrypt DEK, error"))?;
        let object = EncryptedObject {
            key_id: sealed.key_id,
            encrypted_dek_source: sealed.ciphertext,
            annotations: sealed.annotations,
            encrypted_dek_source_type: DekSourceType::HkdfSha256XnonceAesGcmSeed as i32,
            encrypted_data: vec![],
        };
        object::validate_key(&object).map_err(TransformError::new)?;
        Ok(State {
            dek: Arc::new(Dek::new(object.encrypted_dek_source_type, &*seed)?),
            cache_key: CacheKey::of(&object),
            object,
            expires,
        })
    }
}
