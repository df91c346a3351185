//! A serving certificate for who has none (upstream `client-go/util/cert`
//! `GenerateSelfSignedCertKey`): in memory, valid for a year, for the given names and addresses.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use super::TlsError;

/// PEM texts of a certificate and its key. The first name also makes the subject; names that parse
/// as addresses become IP names. `localhost` and `127.0.0.1` are always in.
///
/// # Errors
/// A name that is no DNS name, or no randomness.
pub fn self_signed(names: &[String]) -> Result<(String, String), TlsError> {
    let mut all: Vec<String> = names.iter().filter(|name| !name.is_empty()).cloned().collect();
    for local in ["localhost", "127.0.0.1", "::1"] {
        if !all.iter().any(|name| name == local) {
            all.push(local.to_owned());
        }
    }
    let subject = format!("{}@corten", all[0]);
    let mut params = CertificateParams::new(all).map_err(|error| TlsError::SelfSigned(error.to_string()))?;
    params.distinguished_name.push(DnType::CommonName, subject);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = std::time::SystemTime::now();
    params.not_before = (now - std::time::Duration::from_secs(3600)).into();
    params.not_after = (now + std::time::Duration::from_secs(365 * 24 * 3600)).into();
    let key = KeyPair::generate().map_err(|error| TlsError::SelfSigned(error.to_string()))?;
    let cert = params
        .self_signed(&key)
        .map_err(|error| TlsError::SelfSigned(error.to_string()))?;
    Ok((cert.pem(), key.serialize_pem()))
}
