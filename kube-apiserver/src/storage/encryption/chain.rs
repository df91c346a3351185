//! The providers of a resource, in order: the first writes, all read.
//!
//! Upstream: `apiserver/pkg/storage/value/transformer.go` `prefixTransformers`.

use std::sync::Arc;

use apimachinery::field::aggregate;
use bytes::Bytes;
use tonic::Code;

use super::keys::KeyRing;
use super::kms::Envelope;
use super::metrics::{self, Passage};

/// With this begins whatever is stored encrypted, and nothing else: JSON begins with `{`, protobuf with `k8s\0`.
pub(super) const ENCRYPTED: &[u8] = b"k8s:enc:";

/// What a provider that reads plain text says of anything else (upstream `identity.errEncryptedData`).
pub(super) const NOT_PLAIN: &str = "identity transformer tried to read encrypted data";

/// Why a value could not be read or written, in upstream's words. It never holds a key or what is kept secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct TransformError {
    why: String,
    call: Option<Code>,
}

impl TransformError {
    pub(super) fn new(why: impl Into<String>) -> Self {
        TransformError {
            why: why.into(),
            call: None,
        }
    }

    /// A call of a plugin ended so.
    pub(super) fn of_call(call: Code, why: String) -> Self {
        TransformError { why, call: Some(call) }
    }

    /// The same, with what was being done before it.
    pub(super) fn within(self, what: &str) -> Self {
        TransformError {
            why: format!("{what}: {}", self.why),
            ..self
        }
    }

    /// How the plugin's call ended, if that is why.
    pub(super) fn call(&self) -> Option<Code> {
        self.call
    }
}

/// A stored value, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    /// The plain bytes.
    pub(crate) bytes: Bytes,
    /// It would be written otherwise now: any update writes it again.
    pub(crate) stale: bool,
}

/// One way to keep values.
pub(super) enum Provider {
    /// As they are.
    Identity,
    /// Under keys of the configuration.
    Keys(KeyRing),
    /// Under keys that a plugin seals.
    Kms(Arc<Envelope>),
}

/// All providers of a resource.
pub(crate) struct Chain {
    /// Each with what its values begin with.
    providers: Vec<(Vec<u8>, Arc<Provider>)>,
    /// What is said of a value that is nobody's.
    otherwise: &'static str,
}

impl Chain {
    /// Providers of a configuration, at least one.
    pub(super) fn new(providers: Vec<(Vec<u8>, Arc<Provider>)>) -> Self {
        Chain {
            providers,
            otherwise: "no matching prefix found",
        }
    }

    /// For resources of which the configuration says nothing.
    pub(super) fn plain() -> Self {
        Chain {
            providers: vec![(vec![], Arc::new(Provider::Identity))],
            otherwise: NOT_PLAIN,
        }
    }

    /// What is measured of a value at `path`: nothing where the configuration says nothing of the resource.
    fn measured(&self, path: &str, way: &'static str) -> Option<Passage> {
        (self.otherwise != NOT_PLAIN).then(|| Passage::begin(path, way))
    }

    /// What `stored` at a path below the prefix of etcd means. `about` is what the value is bound to: its key in etcd.
    pub(crate) async fn open(&self, path: &str, stored: &Bytes, about: &[u8]) -> Result<Opened, TransformError> {
        let measured = self.measured(path, metrics::FROM_STORAGE);
        let measure = |prefix: &str, error: Option<&TransformError>| {
            if let Some(measured) = &measured {
                measured.end(prefix, error);
            }
        };
        let mut errors = vec![];
        for (i, provider, rest) in matching(&self.providers, stored) {
            let opened = match &**provider {
                // It must not keep the next from trying: those who give up encryption put it first.
                Provider::Identity if stored.starts_with(ENCRYPTED) => continue,
                Provider::Identity => Ok(Opened {
                    bytes: stored.clone(),
                    stale: false,
                }),
                Provider::Keys(keys) => keys.open(rest, about),
                Provider::Kms(envelope) => envelope.open(rest, about).await,
            };
            let prefix = match &self.providers[i].0[..] {
                b"" => "identity".into(),
                prefix => String::from_utf8_lossy(prefix),
            };
            measure(&prefix, opened.as_ref().err());
            match opened {
                Ok(opened) => {
                    return Ok(Opened {
                        stale: opened.stale || i != 0,
                        ..opened
                    });
                }
                // The same provider may come twice with different keys.
                Err(error) => errors.push(error),
            }
        }
        let error = refused(&errors, self.otherwise);
        if errors.is_empty() {
            measure("unknown", Some(&error));
        }
        Err(error)
    }

    /// `plain` as it is to be stored at a path.
    pub(crate) fn seal(&self, path: &str, plain: &Bytes, about: &[u8]) -> Result<Bytes, TransformError> {
        let Some((prefix, provider)) = self.providers.first() else {
            return Err(TransformError::new(self.otherwise));
        };
        let measured = self.measured(path, metrics::TO_STORAGE);
        let sealed = Self::seal_with(prefix, provider, plain, about);
        if let Some(measured) = measured {
            measured.end(&String::from_utf8_lossy(prefix), sealed.as_ref().err());
        }
        sealed
    }

    fn seal_with(prefix: &[u8], provider: &Provider, plain: &Bytes, about: &[u8]) -> Result<Bytes, TransformError> {
        let mut out = prefix.to_vec();
        match provider {
            Provider::Identity => return Ok(plain.clone()),
            Provider::Keys(keys) => keys.seal(&mut out, plain, about)?,
            Provider::Kms(envelope) => envelope.seal(&mut out, plain, about)?,
        }
        Ok(out.into())
    }
}

/// Those whose prefix a value has, with their place and what follows the prefix.
pub(super) fn matching<'a, T>(
    all: &'a [(Vec<u8>, T)],
    stored: &'a [u8],
) -> impl Iterator<Item = (usize, &'a T, &'a [u8])> {
    let all = all.iter().enumerate();
    all.filter_map(|(i, (prefix, one))| Some((i, one, stored.strip_prefix(prefix.as_slice())?)))
}

/// The one error of all who tried.
pub(super) fn refused(errors: &[TransformError], otherwise: &str) -> TransformError {
    TransformError::new(aggregate(errors).unwrap_or_else(|| otherwise.to_owned()))
}
