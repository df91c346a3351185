//! Envelope encryption: values are sealed under a key of ours, which a plugin on this machine seals under its own.
//!
//! The plugin is asked about its state ([`probe`]) and opens keys that others sealed ([`plugin`]); values never reach
//! it. Stored is `k8s:enc:kms:v2:<provider>:` and [`EncryptedObject`].
//!
//! Upstream: `apiserver/pkg/storage/value/encrypt/envelope/kmsv2/envelope.go`.

pub(super) mod metrics;
mod object;
mod opened;
pub(super) mod plugin;
pub(super) mod probe;
#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;

use kms_proto::stored::{DekSourceType, EncryptedObject};
use kms_proto::v2::DecryptRequest;
use prost::Message as _;

use super::aes::{Derived, Gcm};
use super::chain::{Opened, TransformError};
use super::metrics::{FROM_STORAGE, TO_STORAGE};
use object::CacheKey;
use opened::OpenedKeys;
use probe::Probe;

/// A data encryption key, or the seed of many.
pub(super) enum Dek {
    /// Only read: written before seeds were.
    Key(Gcm),
    Seed(Derived),
}

impl Dek {
    fn new(kind: i32, source: &[u8]) -> Result<Self, TransformError> {
        if kind == DekSourceType::HkdfSha256XnonceAesGcmSeed as i32 {
            Derived::new(source).map(Dek::Seed)
        } else {
            Gcm::new(source).map(Dek::Key)
        }
    }

    fn open(&self, stored: &[u8], about: &[u8]) -> Result<Vec<u8>, TransformError> {
        match self {
            Dek::Key(key) => key.open(stored, about),
            Dek::Seed(seed) => seed.open(stored, about),
        }
    }

    fn seal(&self, plain: &[u8], about: &[u8]) -> Result<Vec<u8>, TransformError> {
        let mut out = vec![];
        match self {
            Dek::Key(key) => key.seal(&mut out, plain, about)?,
            Dek::Seed(seed) => seed.seal(&mut out, plain, about)?,
        }
        Ok(out)
    }
}

/// One plugin as a provider.
pub(super) struct Envelope {
    probe: Arc<Probe>,
    opened: OpenedKeys,
}

impl Envelope {
    /// Of a plugin that is looked after.
    pub(super) fn new(probe: Arc<Probe>) -> Self {
        let opened = OpenedKeys::of(probe.name());
        Envelope { probe, opened }
    }

    /// What follows the provider's prefix, read. It is stale unless the plugin's present key sealed it.
    pub(super) async fn open(&self, stored: &[u8], about: &[u8]) -> Result<Opened, TransformError> {
        let object = EncryptedObject::decode(stored)
            .map_err(|_| TransformError::new("proto: cannot parse invalid wire-format data"))?;
        object::validate(&object).map_err(TransformError::new)?;
        let state = self.probe.state()?;
        let dek = self.dek(&object).await?;
        metrics::key_used(FROM_STORAGE, self.probe.name(), &object.key_id, self.probe.server());
        let plain = dek.open(&object.encrypted_data, about)?;
        let kind = object.encrypted_dek_source_type;
        Ok(Opened {
            bytes: plain.into(),
            stale: object.key_id != state.object.key_id || kind != state.object.encrypted_dek_source_type,
        })
    }

    /// The key of a value: opened before, or now by the plugin.
    async fn dek(&self, object: &EncryptedObject) -> Result<Arc<Dek>, TransformError> {
        let key = CacheKey::of(object);
        if let Some(known) = self.opened.get(&key) {
            return known;
        }
        metrics::asked_for_key();
        let request = DecryptRequest {
            ciphertext: object.encrypted_dek_source.clone(),
            uid: apimachinery::names::new_uid(),
            key_id: object.key_id.clone(),
            annotations: object.annotations.clone(),
        };
        let dek = match self.probe.plugin().decrypt(request).await {
            Ok(source) => Dek::new(object.encrypted_dek_source_type, &source).map(Arc::new),
            Err(error) => Err(error.within("failed to decrypt DEK, error")),
        };
        self.opened.put(key, dek.clone());
        dek
    }

    /// Writes `plain` under the present key, unless the plugin has not been well for too long.
    pub(super) fn seal(&self, out: &mut Vec<u8>, plain: &[u8], about: &[u8]) -> Result<(), TransformError> {
        let state = self.probe.state()?;
        self.probe.may_write(&state)?;
        // What this server writes it will read.
        self.opened.put(state.cache_key, Ok(state.dek.clone()));
        let object = EncryptedObject {
            encrypted_data: state.dek.seal(plain, about)?,
            ..state.object.clone()
        };
        metrics::key_used(TO_STORAGE, self.probe.name(), &object.key_id, self.probe.server());
        object::validate(&object).map_err(TransformError::new)?;
        object
            .encode(out)
            .map_err(|_| TransformError::new("the value is too long"))
    }
}
