//! A serving certificate for who has none (upstream `client-go/util/cert`
//! `GenerateSelfSignedCertKey`): valid for a year, for the given names and addresses, in memory or kept in a directory.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

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

/// The pair in `dir`, made if there is none: the files of certificate (which serves as its own authority) and key.
pub(super) fn in_directory(dir: &Path, name: &str, names: &[String]) -> Result<(PathBuf, PathBuf), TlsError> {
    let (cert, key) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    match (cert.exists(), key.exists()) {
        (true, true) => return Ok((cert, key)),
        (false, false) => {}
        (there, _) => {
            let (path, other) = if there { (key, cert) } else { (cert, key) };
            let reason = format!("is missing, but {} is there", other.display());
            return Err(TlsError::Pem { path, reason });
        }
    }
    let (cert_pem, key_pem) = self_signed(names)?;
    write(&cert, &cert_pem, 0o644)?;
    write(&key, &key_pem, 0o600)?;
    tracing::info!("Generated self-signed cert ({}, {})", cert.display(), key.display());
    Ok((cert, key))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let written = || {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let mut options = std::fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(mode);
        options.open(path)?.write_all(text.as_bytes())
    };
    written().map_err(|source| TlsError::Write {
        path: path.to_owned(),
        source,
    })
}
