//! The TLS side of a server, rebuilt when its files change.
//!
//! Files are looked at when a client connects, at most every ten seconds: an idle server does
//! nothing, and a rotated certificate is served without a restart. A broken new pair leaves the
//! old one in use and says so.

mod named;
pub(crate) mod suites;

use std::collections::HashMap;
use std::net::IpAddr;
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

use self::named::Named;
use super::flags::TlsFlags;

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
    /// A file cannot be written.
    #[error("open {path}")]
    Write {
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
    rules: Rules,
    current: ArcSwap<Configs>,
    seen: Mutex<Seen>,
}

/// What the certificates are made into.
#[derive(Clone, Debug)]
struct Rules {
    identity: Identity,
    ca_hints: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    ask_client: bool,
    flags: TlsFlags,
    alpn: Vec<Vec<u8>>,
}

/// The configuration, and others for clients that name no server but come to an address that a certificate is for.
struct Configs {
    usual: Arc<ServerConfig>,
    at: HashMap<IpAddr, Arc<ServerConfig>>,
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

    /// As [`Tls::self_signed`], with the pair kept in `dir` as `name.crt` and `name.key`: one that is there is served
    /// (upstream `SecureServingOptions.MaybeDefaultWithSelfSignedCerts`).
    ///
    /// # Errors
    /// As [`Tls::self_signed`]; half a pair, or files that cannot be read or written.
    pub fn self_signed_in(dir: &Path, name: &str, names: &[String]) -> Result<Self, TlsError> {
        let (cert, key) = super::self_signed::in_directory(dir, name, names)?;
        Self::from_files(cert, key)
    }

    /// Tells clients which authorities sign client certificates (they choose by it). Only a hint.
    ///
    /// # Errors
    /// The file is missing or malformed.
    pub fn client_ca_hints(mut self, path: impl Into<PathBuf>) -> Result<Self, TlsError> {
        self.rules.ca_hints = Some(path.into());
        self.rebuilt()
    }

    /// Refuses the handshake of a client without a certificate that the authorities in `path` signed
    /// (etcd `--client-cert-auth`). Without it trust is authentication's question.
    ///
    /// # Errors
    /// The file is missing or malformed.
    pub fn require_client_certs(mut self, path: impl Into<PathBuf>) -> Result<Self, TlsError> {
        self.rules.client_ca = Some(path.into());
        self.rebuilt()
    }

    /// Does not ask for client certificates.
    ///
    /// # Errors
    /// As the constructor's.
    pub fn no_client_certs(mut self) -> Result<Self, TlsError> {
        self.rules.ask_client = false;
        self.rebuilt()
    }

    /// Refuses TLS 1.2 (`--tls-min-version=VersionTLS13`).
    ///
    /// # Errors
    /// As the constructor's.
    pub fn tls13_only(mut self) -> Result<Self, TlsError> {
        self.rules.flags.tls13_only = true;
        self.rebuilt()
    }

    /// Follows the flags: least version, cipher suites, certificates for names.
    ///
    /// # Errors
    /// As the constructor's, also for the files of the named certificates.
    pub fn with_flags(mut self, flags: &TlsFlags) -> Result<Self, TlsError> {
        self.rules.flags = flags.clone();
        self.rebuilt()
    }

    /// Replaces the protocols offered, `h2` and `http/1.1` unless told.
    ///
    /// # Errors
    /// As the constructor's.
    pub fn alpn(mut self, protocols: &[&str]) -> Result<Self, TlsError> {
        self.rules.alpn = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self.rebuilt()
    }

    /// The acceptor of the moment, files looked at. `local`: where the client came to.
    #[must_use]
    pub fn acceptor(&self, local: Option<IpAddr>) -> TlsAcceptor {
        self.follow_files(Instant::now());
        let configs = self.current.load();
        let at = local.and_then(|address| configs.at.get(&address.to_canonical()));
        TlsAcceptor::from(at.unwrap_or(&configs.usual).clone())
    }

    fn new(identity: Identity) -> Result<Self, TlsError> {
        install_crypto_provider();
        let rules = Rules {
            identity,
            ca_hints: None,
            client_ca: None,
            ask_client: true,
            flags: TlsFlags::default(),
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        Ok(Self {
            current: ArcSwap::from_pointee(rules.build()?),
            seen: Mutex::new(Seen {
                looked: Instant::now(),
                stamp: rules.stamp(),
            }),
            rules,
        })
    }

    fn rebuilt(self) -> Result<Self, TlsError> {
        self.current.store(Arc::new(self.rules.build()?));
        self.seen.lock().stamp = self.rules.stamp();
        Ok(self)
    }

    fn follow_files(&self, now: Instant) {
        let mut seen = self.seen.lock();
        if now.duration_since(seen.looked) < LOOK_EVERY {
            return;
        }
        seen.looked = now;
        let stamp = self.rules.stamp();
        if stamp == seen.stamp {
            return;
        }
        match self.rules.build() {
            Ok(configs) => {
                self.current.store(Arc::new(configs));
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

impl Rules {
    /// When each file was written last.
    fn stamp(&self) -> Vec<Option<SystemTime>> {
        let mut paths: Vec<&Path> = Vec::new();
        if let Identity::Files { cert, key } = &self.identity {
            paths.extend([cert.as_path(), key.as_path()]);
        }
        paths.extend(self.client_ca.as_deref().or(self.ca_hints.as_deref()));
        for named in &self.flags.named {
            paths.extend([named.cert.as_path(), named.key.as_path()]);
        }
        paths
            .into_iter()
            .map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
            .collect()
    }

    fn build(&self) -> Result<Configs, TlsError> {
        let provider = self.provider();
        let certified = |certs, key| {
            CertifiedKey::from_der(certs, key, &provider)
                .map(Arc::new)
                .map_err(TlsError::Pair)
        };
        let from_files = |cert: &Path, key: &Path| -> Result<Arc<CertifiedKey>, TlsError> {
            certified(certificates(cert, &read(cert)?)?, private_key(key, &read(key)?)?)
        };
        let default = match &self.identity {
            Identity::Files { cert, key } => from_files(cert, key)?,
            Identity::Memory { cert, key } => certified(
                certificates(Path::new("memory"), cert.as_bytes())?,
                private_key(Path::new("memory"), key.as_bytes())?,
            )?,
        };
        let pairs = self.flags.named.iter();
        let pairs = pairs.map(|pair| Ok((from_files(&pair.cert, &pair.key)?, pair.names.clone())));
        let named = Named::new(default, &pairs.collect::<Result<Vec<_>, TlsError>>()?);
        let at = named
            .addresses()
            .filter_map(|address| Some((address, named.at(address)?)));
        let at = at.map(|(address, named)| Ok((address, Arc::new(self.config(&provider, named)?))));
        Ok(Configs {
            at: at.collect::<Result<_, TlsError>>()?,
            usual: Arc::new(self.config(&provider, named)?),
        })
    }

    fn provider(&self) -> Arc<CryptoProvider> {
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        if self.flags.cipher_suites.is_empty() {
            return provider;
        }
        let mut provider = CryptoProvider::clone(&provider);
        suites::restrict(&mut provider, &self.flags.cipher_suites);
        Arc::new(provider)
    }

    fn config(&self, provider: &Arc<CryptoProvider>, named: Named) -> Result<ServerConfig, TlsError> {
        let hints = match &self.ca_hints {
            Some(path) => certificates(path, &read(path)?)?
                .iter()
                .filter_map(|der| x509_parser::parse_x509_certificate(der).ok())
                .map(|(_, cert)| DistinguishedName::from(cert.subject().as_raw().to_vec()))
                .collect(),
            None => Vec::new(),
        };
        // Without a suite of TLS 1.2 that version cannot be offered.
        let old = !self.flags.tls13_only && provider.cipher_suites.iter().any(|suite| suite.tls13().is_none());
        let versions: &[&rustls::SupportedProtocolVersion] = if old {
            rustls::ALL_VERSIONS
        } else {
            &[&rustls::version::TLS13]
        };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(TlsError::Pair)?;
        let builder = if let Some(path) = &self.client_ca {
            let mut roots = rustls::RootCertStore::empty();
            for cert in certificates(path, &read(path)?)? {
                roots.add(cert).map_err(TlsError::Pair)?;
            }
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                    .build()
                    .map_err(|error| TlsError::Pem {
                        path: path.to_owned(),
                        reason: error.to_string(),
                    })?;
            builder.with_client_cert_verifier(verifier)
        } else if self.ask_client {
            builder.with_client_cert_verifier(Arc::new(Unjudged::new(provider).with_hints(hints)))
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_cert_resolver(Arc::new(named));
        config.alpn_protocols = self.alpn.clone();
        Ok(config)
    }
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
