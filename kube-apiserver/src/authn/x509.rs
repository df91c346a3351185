//! Client certificates: CN is the user, O the groups.
//!
//! Upstream: `apiserver/pkg/authentication/request/x509/x509.go` (`CommonNameUserConversion`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::cert_pool::{CertPool, Loaded};
use crate::request::UserInfo;

/// Extra key that names the credential used.
pub(crate) const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// Subject attribute with the user's uid (beta gate `AllowParsingUserUIDFromCertAuth`).
const UID_OID: &str = "1.3.6.1.4.1.57683.2";

/// A checked certificate is trusted this long before it is checked again (expiry, CA reload).
const RECHECK: Duration = Duration::from_secs(10);
const MAX_CACHED: usize = 10_000;

/// When a leaf (by digest) was checked, and what it says.
type Seen = HashMap<[u8; 32], (Instant, Option<UserInfo>)>;

/// The `--client-ca-file` authenticator.
pub(crate) struct ClientCertificates {
    pool: Arc<CertPool>,
    /// Leaf digest -> user: a client sends the same certificate with each request.
    seen: Mutex<Seen>,
}

impl ClientCertificates {
    /// Trusts the CAs of `pool`.
    pub(crate) fn new(pool: Arc<CertPool>) -> Self {
        ClientCertificates {
            pool,
            seen: Mutex::default(),
        }
    }

    /// `Ok(None)`: no certificate, or one without a common name.
    pub(crate) fn authenticate(&self, chain: &[CertificateDer<'static>]) -> Result<Option<UserInfo>, String> {
        let Some(leaf) = chain.first() else { return Ok(None) };
        let digest: [u8; 32] = Sha256::digest(leaf).into();
        if let Some((at, user)) = self.seen.lock().get(&digest)
            && at.elapsed() < RECHECK
        {
            return Ok(user.clone());
        }
        let user = check(&self.pool.current(), chain, UnixTime::now())?;
        let mut seen = self.seen.lock();
        if seen.len() >= MAX_CACHED {
            seen.clear();
        }
        seen.insert(digest, (Instant::now(), user.clone()));
        Ok(user)
    }
}

/// Verifies a chain at `now` and reads the user off the leaf.
pub(crate) fn check(
    pool: &Loaded,
    chain: &[CertificateDer<'static>],
    now: UnixTime,
) -> Result<Option<UserInfo>, String> {
    pool.verify(chain, now)
        .map_err(|e| format!("verifying certificate: {e}"))?;
    let leaf = chain.first().ok_or("no certificate")?;
    let mut user = subject(leaf)?;
    if let Some(u) = &mut user {
        let id = Sha256::digest(leaf)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>();
        u.extra
            .insert(CREDENTIAL_ID.to_owned(), vec![format!("X509SHA256={id}")]);
    }
    Ok(user)
}

/// CN, O and uid of a certificate; `None` without a CN.
pub(crate) fn subject(der: &CertificateDer<'_>) -> Result<Option<UserInfo>, String> {
    let (_, cert) = X509Certificate::from_der(der).map_err(|e| format!("parsing certificate: {e}"))?;
    let text = |a: &x509_parser::x509::AttributeTypeAndValue<'_>| a.as_str().map(str::to_owned).unwrap_or_default();
    // Go keeps the last common name of the subject.
    let Some(name) = cert
        .subject()
        .iter_common_name()
        .last()
        .map(text)
        .filter(|n| !n.is_empty())
    else {
        return Ok(None);
    };
    let groups = cert.subject().iter_organization().map(text).collect();
    let uid = cert
        .subject()
        .iter_attributes()
        .find(|a| a.attr_type().to_id_string() == UID_OID)
        .map(text)
        .unwrap_or_default();
    Ok(Some(UserInfo {
        name,
        uid,
        groups,
        extra: Default::default(),
    }))
}
