//! Client certificates: verified against a CA bundle, subject read as identity
//! (upstream `apiserver/pkg/authentication/request/x509` `CommonNameUserConversion`: CN is the name,
//! each O is a group).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::UnixTime;

use super::User;
use crate::serving::{PeerCerts, TlsError};

const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Why a certificate is no identity here.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// The chain does not lead to a trusted authority, or is out of its time, or not for clients.
    #[error("verifying certificate failed: {0}")]
    Untrusted(rustls::Error),
    /// The leaf cannot be read.
    #[error("certificate cannot be parsed")]
    Malformed,
    /// The subject has no common name.
    #[error("certificate has no common name")]
    Nameless,
}

/// A trusted bundle of authorities; one read from a file follows the file's changes.
pub struct ClientCa {
    path: Option<PathBuf>,
    verifier: ArcSwap<Arc<dyn ClientCertVerifier>>,
    seen: Mutex<(Instant, Option<SystemTime>)>,
}

impl ClientCa {
    /// Trusts the authorities of a PEM file (`--client-ca-file`).
    ///
    /// # Errors
    /// The file is missing, or holds no certificate.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let path = path.into();
        let modified = modified(&path);
        let verifier = read(&path)?;
        Ok(Self {
            path: Some(path),
            verifier: ArcSwap::from_pointee(verifier),
            seen: Mutex::new((Instant::now(), modified)),
        })
    }

    /// Trusts the authorities of a PEM text.
    ///
    /// # Errors
    /// The text holds no certificate.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsError> {
        let verifier = build(Path::new("memory"), pem)?;
        Ok(Self {
            path: None,
            verifier: ArcSwap::from_pointee(verifier),
            seen: Mutex::new((Instant::now(), None)),
        })
    }

    /// Replaces the bundle (a ConfigMap changed).
    ///
    /// # Errors
    /// The text holds no certificate; the old bundle stays.
    pub fn replace(&self, pem: &[u8]) -> Result<(), TlsError> {
        self.verifier.store(Arc::new(build(Path::new("memory"), pem)?));
        Ok(())
    }

    /// Verifies the chain at this moment and reads the identity.
    ///
    /// # Errors
    /// The chain is not trusted or names nobody.
    pub fn user(&self, certs: &PeerCerts) -> Result<User, Rejected> {
        self.verify(certs)?;
        identity(certs)
    }

    /// Verifies the chain at this moment and gives the leaf's common name (front proxies).
    ///
    /// # Errors
    /// The chain is not trusted or names nobody.
    pub fn common_name(&self, certs: &PeerCerts) -> Result<String, Rejected> {
        self.user(certs).map(|user| user.name)
    }

    fn verify(&self, certs: &PeerCerts) -> Result<(), Rejected> {
        self.follow_file();
        let (leaf, rest) = certs.0.split_first().ok_or(Rejected::Malformed)?;
        self.verifier
            .load()
            .verify_client_cert(leaf, rest, UnixTime::now())
            .map(drop)
            .map_err(Rejected::Untrusted)
    }

    fn follow_file(&self) {
        let Some(path) = &self.path else { return };
        let mut seen = self.seen.lock();
        if seen.0.elapsed() < LOOK_EVERY {
            return;
        }
        seen.0 = Instant::now();
        let now = modified(path);
        if now == seen.1 {
            return;
        }
        match read(path) {
            Ok(verifier) => {
                self.verifier.store(Arc::new(verifier));
                seen.1 = now;
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "client CA file not reloaded"),
        }
    }
}

/// Name and groups of the leaf, trust NOT checked.
///
/// # Errors
/// The leaf cannot be read or has no common name.
pub fn identity(certs: &PeerCerts) -> Result<User, Rejected> {
    let leaf = certs.0.first().ok_or(Rejected::Malformed)?;
    let (_, cert) = x509_parser::parse_x509_certificate(leaf).map_err(|_| Rejected::Malformed)?;
    let subject = cert.subject();
    let name = subject
        .iter_common_name()
        .next()
        .and_then(|name| name.as_str().ok())
        .unwrap_or_default();
    if name.is_empty() {
        return Err(Rejected::Nameless);
    }
    let groups = subject
        .iter_organization()
        .filter_map(|group| group.as_str().ok())
        .map(str::to_owned)
        .collect();
    Ok(User {
        name: name.to_owned(),
        groups,
        ..User::default()
    })
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

fn read(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let pem = std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })?;
    build(path, &pem)
}

fn build(path: &Path, pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    crate::serving::install_crypto_provider();
    let mut roots = RootCertStore::empty();
    for cert in crate::serving::certificates(path, pem)? {
        // One odd authority must not take the others down.
        if let Err(error) = roots.add(cert) {
            tracing::warn!(%error, path = %path.display(), "authority left out");
        }
    }
    WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .map(|verifier| verifier as Arc<dyn ClientCertVerifier>)
        .map_err(|error| TlsError::Pem {
            path: path.to_owned(),
            reason: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

    use super::{ClientCa, Rejected};
    use crate::serving::PeerCerts;

    fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn client(authority: &CertifiedIssuer<'static, KeyPair>, usage: ExtendedKeyUsagePurpose) -> PeerCerts {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "system:node:n1");
        params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        params.extended_key_usages = vec![usage];
        let cert = params.signed_by(&KeyPair::generate().unwrap(), authority).unwrap();
        PeerCerts([cert.der().clone()].into())
    }

    #[test]
    fn a_certificate_of_the_authority_names_user_and_groups() {
        let ours = authority("ours");
        let trusted = ClientCa::from_pem(ours.pem().as_bytes()).unwrap();
        let user = trusted
            .user(&client(&ours, ExtendedKeyUsagePurpose::ClientAuth))
            .unwrap();
        assert_eq!(
            (user.name.as_str(), user.groups),
            ("system:node:n1", vec!["system:nodes".to_owned()])
        );
    }

    #[test]
    fn strangers_and_server_certificates_are_refused() {
        let ours = authority("ours");
        let trusted = ClientCa::from_pem(ours.pem().as_bytes()).unwrap();
        let stranger = client(&authority("theirs"), ExtendedKeyUsagePurpose::ClientAuth);
        assert!(matches!(trusted.user(&stranger), Err(Rejected::Untrusted(_))));
        let server = client(&ours, ExtendedKeyUsagePurpose::ServerAuth);
        assert!(matches!(trusted.user(&server), Err(Rejected::Untrusted(_))));
    }
}
