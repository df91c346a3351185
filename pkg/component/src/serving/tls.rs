//! The TLS side of a server, rebuilt when its files change.
//!
//! Files are looked at when a client connects, at most every ten seconds: an idle server does
//! nothing, and a rotated certificate is served without a restart. A broken new pair leaves the
//! old one in use and says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use client::transport::unjudged::Unjudged;
use parking_lot::Mutex;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{DistinguishedName, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Why a serving certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("open {path}")]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is no PEM of the wanted kind.
    #[error("{path}: {reason}")]
    Pem {
        /// Which one, or `memory`.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key do not go together, or the key is of no supported kind.
    #[error("certificate and key cannot be used")]
    Pair(#[source] rustls::Error),
    /// Making a self-signed certificate failed.
    #[error("cannot make a self-signed certificate: {0}")]
    SelfSigned(String),
}

/// Makes aws-lc-rs the process's cryptography; harmless when repeated.
pub fn install_crypto_provider() {
    // An error means that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Where certificate and key come from.
#[derive(Clone, Debug)]
enum Identity {
    Files { cert: PathBuf, key: PathBuf },
    Memory { cert: String, key: String },
}

/// A server's certificates and their rules.
pub struct Tls {
    identity: Identity,
    ca_hints: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    ask_client: bool,
    tls13_only: bool,
    alpn: Vec<Vec<u8>>,
    current: ArcSwap<ServerConfig>,
    seen: Mutex<Seen>,
}

struct Seen {
    looked: Instant,
    stamp: Vec<Option<SystemTime>>,
}

impl Tls {
    /// Serves the PEM pair of two files and follows their changes.
    ///
    /// # Errors
    /// The files are missing, malformed or do not go together.
    pub fn from_files(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        Self::new(Identity::Files {
            cert: cert.into(),
            key: key.into(),
        })
    }

    /// Serves a PEM pair held in memory.
    ///
    /// # Errors
    /// Malformed, or they do not go together.
    pub fn from_pem(cert: String, key: String) -> Result<Self, TlsError> {
        Self::new(Identity::Memory { cert, key })
    }

    /// Serves a new certificate for these names, known to nobody.
    ///
    /// # Errors
    /// A name that is no DNS name.
    pub fn self_signed(names: &[String]) -> Result<Self, TlsError> {
        let (cert, key) = super::self_signed(names)?;
        Self::from_pem(cert, key)
    }

    /// Tells clients which authorities sign client certificates (they choose by it). Only a hint.
    ///
    /// # Errors
    /// The file is missing or malformed.
    pub fn client_ca_hints(mut self, path: impl Into<PathBuf>) -> Result<Self, TlsError> {
        self.ca_hints = Some(path.into());
        self.rebuilt()
    }

    /// Refuses the handshake of a client without a certificate that the authorities in `path` signed
    /// (etcd `--client-cert-auth`). Without it trust is authentication's question.
    ///
    /// # Errors
    /// The file is missing or malformed.
    pub fn require_client_certs(mut self, path: impl Into<PathBuf>) -> Result<Self, TlsError> {
        self.client_ca = Some(path.into());
        self.rebuilt()
    }

    /// Does not ask for client certificates.
    ///
    /// # Errors
    /// As the constructor's.
    pub fn no_client_certs(mut self) -> Result<Self, TlsError> {
        self.ask_client = false;
        self.rebuilt()
    }

    /// Refuses TLS 1.2 (`--tls-min-version=VersionTLS13`).
    ///
    /// # Errors
    /// As the constructor's.
    pub fn tls13_only(mut self) -> Result<Self, TlsError> {
        self.tls13_only = true;
        self.rebuilt()
    }

    /// Replaces the protocols offered, `h2` and `http/1.1` unless told.
    ///
    /// # Errors
    /// As the constructor's.
    pub fn alpn(mut self, protocols: &[&str]) -> Result<Self, TlsError> {
        self.alpn = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self.rebuilt()
    }

    /// The acceptor of the moment, files looked at.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        self.follow_files(Instant::now());
        TlsAcceptor::from(self.current.load_full())
    }

    fn new(identity: Identity) -> Result<Self, TlsError> {
        install_crypto_provider();
        let alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = build(&identity, None, None, true, false, &alpn)?;
        let stamp = stamp(&identity, None);
        Ok(Self {
            identity,
            ca_hints: None,
            client_ca: None,
            ask_client: true,
            tls13_only: false,
            alpn,
            current: ArcSwap::from_pointee(config),
            seen: Mutex::new(Seen {
                looked: Instant::now(),
                stamp,
            }),
        })
    }

    fn rebuilt(self) -> Result<Self, TlsError> {
        self.current.store(Arc::new(self.build()?));
        self.seen.lock().stamp = stamp(&self.identity, self.client_ca.as_deref().or(self.ca_hints.as_deref()));
        Ok(self)
    }

    fn build(&self) -> Result<ServerConfig, TlsError> {
        build(
            &self.identity,
            self.ca_hints.as_deref(),
            self.client_ca.as_deref(),
            self.ask_client,
            self.tls13_only,
            &self.alpn,
        )
    }

    fn follow_files(&self, now: Instant) {
        let mut seen = self.seen.lock();
        if now.duration_since(seen.looked) < LOOK_EVERY {
            return;
        }
        seen.looked = now;
        let stamp = stamp(&self.identity, self.client_ca.as_deref().or(self.ca_hints.as_deref()));
        if stamp == seen.stamp {
            return;
        }
        match self.build() {
            Ok(config) => {
                self.current.store(Arc::new(config));
                seen.stamp = stamp;
                tracing::info!("serving certificate reloaded");
            }
            // Half-written files come right at the next look.
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "serving certificate not reloaded"
            ),
        }
    }

    #[cfg(test)]
    pub(super) fn look_now(&self) {
        self.follow_files(Instant::now() + LOOK_EVERY);
    }
}

fn stamp(identity: &Identity, hints: Option<&Path>) -> Vec<Option<SystemTime>> {
    let mut paths: Vec<&Path> = Vec::new();
    if let Identity::Files { cert, key } = identity {
        paths.extend([cert.as_path(), key.as_path()]);
    }
    paths.extend(hints);
    paths
        .into_iter()
        .map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
        .collect()
}

fn build(
    identity: &Identity,
    hints: Option<&Path>,
    client_ca: Option<&Path>,
    ask_client: bool,
    tls13_only: bool,
    alpn: &[Vec<u8>],
) -> Result<ServerConfig, TlsError> {
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let (certs, key) = match identity {
        Identity::Files { cert, key } => (certificates(cert, &read(cert)?)?, private_key(key, &read(key)?)?),
        Identity::Memory { cert, key } => (
            certificates(Path::new("memory"), cert.as_bytes())?,
            private_key(Path::new("memory"), key.as_bytes())?,
        ),
    };
    let hints = match hints {
        Some(path) => certificates(path, &read(path)?)?
            .iter()
            .filter_map(|der| x509_parser::parse_x509_certificate(der).ok())
            .map(|(_, cert)| DistinguishedName::from(cert.subject().as_raw().to_vec()))
            .collect(),
        None => Vec::new(),
    };
    let judge = Arc::clone(&provider);
    let certified = CertifiedKey::from_der(certs, key, &provider).map_err(TlsError::Pair)?;
    let versions: &[&rustls::SupportedProtocolVersion] = if tls13_only {
        &[&rustls::version::TLS13]
    } else {
        rustls::ALL_VERSIONS
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(TlsError::Pair)?;
    let builder = if let Some(path) = client_ca {
        let mut roots = rustls::RootCertStore::empty();
        for cert in certificates(path, &read(path)?)? {
            roots.add(cert).map_err(TlsError::Pair)?;
        }
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), judge)
            .build()
            .map_err(|error| TlsError::Pem {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
        builder.with_client_cert_verifier(verifier)
    } else if ask_client {
        builder.with_client_cert_verifier(Arc::new(Unjudged::new(&judge).with_hints(hints)))
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    config.alpn_protocols = alpn.to_vec();
    Ok(config)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// All certificates of a PEM text; none is an error.
pub(crate) fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |reason: String| TlsError::Pem {
        path: path.to_owned(),
        reason,
    };
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certs = certs.map_err(|error| bad(error.to_string()))?;
    if certs.is_empty() {
        return Err(bad(
            "data does not contain any valid RSA or ECDSA certificates".to_owned()
        ));
    }
    Ok(certs)
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| TlsError::Pem {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}
