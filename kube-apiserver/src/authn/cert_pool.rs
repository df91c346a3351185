//! A CA bundle file that client certificates are checked against, read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};

/// How often the file is looked at, at most.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Trusted certificates from a PEM file.
pub(crate) struct CertPool {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    checked: Instant,
    stamp: Option<(SystemTime, u64)>,
    loaded: Arc<Loaded>,
}

/// One content of the file.
pub(crate) struct Loaded {
    verifier: Arc<dyn ClientCertVerifier>,
    /// The bundle as read, for publication in `extension-apiserver-authentication`.
    pub(crate) pem: String,
}

impl CertPool {
    /// Reads the bundle; an unreadable or empty one is an error.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let loaded = Arc::new(Loaded::read(path)?);
        let state = State {
            checked: Instant::now(),
            stamp: stamp(path),
            loaded,
        };
        Ok(CertPool {
            path: path.to_owned(),
            state: Mutex::new(state),
        })
    }

    /// The bundle now. A new content that does not parse is logged and the old one kept.
    pub(crate) fn current(&self) -> Arc<Loaded> {
        let mut state = self.state.lock();
        if state.checked.elapsed() >= CHECK_EVERY {
            state.checked = Instant::now();
            let stamp = stamp(&self.path);
            if stamp != state.stamp {
                match Loaded::read(&self.path) {
                    Ok(new) => {
                        state.loaded = Arc::new(new);
                        state.stamp = stamp;
                        tracing::info!(file = %self.path.display(), "reloaded CA bundle");
                    }
                    Err(e) => tracing::warn!(error = %e, "keeping the old CA bundle"),
                }
            }
        }
        state.loaded.clone()
    }
}

impl Loaded {
    fn read(path: &Path) -> Result<Self, String> {
        let pem = std::fs::read_to_string(path).map_err(|e| format!("unable to read {}: {e}", path.display()))?;
        Self::from_pem(pem).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Trusts the certificates of a PEM text.
    pub(crate) fn from_pem(pem: String) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for cert in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let cert = cert.map_err(|e| format!("error parsing certificate: {e}"))?;
            roots.add(cert).map_err(|e| format!("error adding certificate: {e}"))?;
        }
        if roots.is_empty() {
            return Err("data does not contain any valid RSA or ECDSA certificates".to_owned());
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Loaded { verifier, pem })
    }

    /// Checks a chain (leaf first): signatures, validity at `now`, usable as client certificate.
    pub(crate) fn verify(&self, chain: &[CertificateDer<'static>], now: UnixTime) -> Result<(), String> {
        let (leaf, rest) = chain.split_first().ok_or("no certificate")?;
        self.verifier
            .verify_client_cert(leaf, rest, now)
            .map(drop)
            .map_err(|e| e.to_string())
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let m = std::fs::metadata(path).ok()?;
    Some((m.modified().ok()?, m.len()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ca(name: &str) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut p = rcgen::CertificateParams::new(vec![]).unwrap();
        p.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        p.distinguished_name.push(rcgen::DnType::CommonName, name);
        p.self_signed(&key).unwrap().pem()
    }

    /// Lets the next look at the file happen now.
    fn expire(pool: &CertPool) {
        let mut state = pool.state.lock();
        state.checked = Instant::now().checked_sub(CHECK_EVERY).unwrap();
    }

    #[test]
    fn a_changed_bundle_is_read_again_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.crt");
        let (one, two) = (ca("one"), format!("{}{}", ca("two"), ca("three")));
        std::fs::write(&file, &one).unwrap();
        let pool = CertPool::load(&file).unwrap();
        assert_eq!(pool.current().pem, one);
        std::fs::write(&file, &two).unwrap();
        expire(&pool);
        assert_eq!(pool.current().pem, two);
        std::fs::write(&file, "broken").unwrap();
        expire(&pool);
        assert_eq!(pool.current().pem, two);
        assert!(CertPool::load(&dir.path().join("missing")).is_err());
    }
}
