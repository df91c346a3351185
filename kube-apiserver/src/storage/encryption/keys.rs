//! Providers whose keys stand in the configuration: `k8s:enc:<cipher>:v1:<key name>:<bytes>`.
//!
//! Upstream: `apiserver/pkg/server/options/encryptionconfig/config.go` `aesPrefixTransformer`,
//! `secretboxPrefixTransformer`.

use super::aes::{Cbc, Gcm};
use super::chain::{Opened, TransformError, matching, refused};
use super::config::Key;
use super::secretbox::Secretbox;

/// What is said of a value that is too short to be one.
pub(super) const SHORT: &str = "the stored data was shorter than the required size";

/// A cipher with its key.
pub(super) enum Cipher {
    Gcm(Gcm),
    Cbc(Box<Cbc>),
    Secretbox(Secretbox),
}

/// Which cipher a provider has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gcm,
    Cbc,
    Secretbox,
}

impl Kind {
    /// With what its values begin.
    pub(super) fn prefix(self) -> &'static [u8] {
        match self {
            Kind::Gcm => b"k8s:enc:aesgcm:v1:",
            Kind::Cbc => b"k8s:enc:aescbc:v1:",
            Kind::Secretbox => b"k8s:enc:secretbox:v1:",
        }
    }

    fn with_key(self, key: &[u8]) -> Result<Cipher, TransformError> {
        Ok(match self {
            Kind::Gcm => Cipher::Gcm(Gcm::new(key)?),
            Kind::Cbc => Cipher::Cbc(Box::new(Cbc::new(key)?)),
            Kind::Secretbox => Cipher::Secretbox(Secretbox::new(key)?),
        })
    }
}

/// The keys of one provider: the first writes, all read.
pub(super) struct KeyRing {
    /// By `<key name>:`.
    keys: Vec<(Vec<u8>, Cipher)>,
    otherwise: &'static str,
}

impl KeyRing {
    /// The keys of a configuration, which has been checked.
    pub(super) fn new(kind: Kind, keys: &[Key]) -> Result<Self, TransformError> {
        let keys = keys.iter().map(|key| {
            let bytes = key.bytes().map_err(TransformError::new)?;
            let cipher = kind.with_key(&bytes).map_err(|why| {
                TransformError::new(format!("error while creating cipher for named key {}: {why}", key.name))
            })?;
            Ok((format!("{}:", key.name).into_bytes(), cipher))
        });
        Ok(KeyRing {
            keys: keys.collect::<Result<_, TransformError>>()?,
            otherwise: match kind {
                Kind::Secretbox => "no matching key was found for the provided Secretbox transformer",
                Kind::Gcm | Kind::Cbc => "no matching key was found for the provided AES transformer",
            },
        })
    }

    /// What follows the provider's prefix, read.
    pub(super) fn open(&self, stored: &[u8], about: &[u8]) -> Result<Opened, TransformError> {
        let mut errors = vec![];
        for (i, cipher, rest) in matching(&self.keys, stored) {
            let opened = match cipher {
                Cipher::Gcm(gcm) => gcm.open(rest, about),
                Cipher::Cbc(cbc) => cbc.open(rest),
                Cipher::Secretbox(secretbox) => secretbox.open(rest),
            };
            match opened {
                Ok(plain) => {
                    return Ok(Opened {
                        bytes: plain.into(),
                        stale: i != 0,
                    });
                }
                Err(error) => errors.push(error),
            }
        }
        Err(refused(&errors, self.otherwise))
    }

    /// Writes `plain` under the first key.
    pub(super) fn seal(&self, out: &mut Vec<u8>, plain: &[u8], about: &[u8]) -> Result<(), TransformError> {
        let Some((name, cipher)) = self.keys.first() else {
            return Err(TransformError::new(self.otherwise));
        };
        out.extend_from_slice(name);
        match cipher {
            Cipher::Gcm(gcm) => gcm.seal(out, plain, about),
            Cipher::Cbc(cbc) => cbc.seal(out, plain),
            Cipher::Secretbox(secretbox) => secretbox.seal(out, plain),
        }
    }
}
