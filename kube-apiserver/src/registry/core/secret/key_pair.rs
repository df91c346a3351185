//! Whether a certificate and a private key belong together, in the words of Go's `tls.X509KeyPair`.

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls_pki_types::PrivateKeyDer;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Checks two PEM texts.
///
/// # Errors
/// What is wrong with them, as Go says it.
pub(super) fn check(certificate: &[u8], key: &[u8]) -> Result<(), String> {
    let certificate = find_certificate(certificate)?;
    let key = find_key(key)?;
    let (_, certificate) =
        x509_parser::parse_x509_certificate(&certificate).map_err(|_| "x509: malformed certificate")?;
    let unreadable = "tls: failed to parse private key";
    let key = PrivateKeyDer::try_from(key).map_err(|_| unreadable)?;
    let key = any_supported_type(&key).map_err(|_| unreadable)?;
    let public = key.public_key().ok_or(unreadable)?;
    let (_, public) = SubjectPublicKeyInfo::from_der(&public).map_err(|_| unreadable)?;
    let certified = certificate.public_key();
    if certified.algorithm.algorithm != public.algorithm.algorithm {
        return Err("tls: private key type does not match public key type".to_string());
    }
    if certified.subject_public_key != public.subject_public_key {
        return Err("tls: private key does not match public key".to_string());
    }
    Ok(())
}

/// The blocks of a PEM text, as far as they can be read.
fn blocks(text: &[u8]) -> impl Iterator<Item = Pem> {
    Pem::iter_from_buffer(text).map_while(Result::ok)
}

fn find_certificate(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut skipped = vec![];
    for block in blocks(text) {
        if block.label == "CERTIFICATE" {
            return Ok(block.contents);
        }
        skipped.push(block.label);
    }
    Err(match skipped.as_slice() {
        [] => "tls: failed to find any PEM data in certificate input".to_string(),
        [one] if one.ends_with("PRIVATE KEY") => "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched".to_string(),
        more => format!("tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [{}]", more.join(" ")),
    })
}

fn find_key(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut skipped = vec![];
    for block in blocks(text) {
        if block.label == "PRIVATE KEY" || block.label.ends_with(" PRIVATE KEY") {
            return Ok(block.contents);
        }
        skipped.push(block.label);
    }
    Err(match skipped.as_slice() {
        [] => "tls: failed to find any PEM data in key input".to_string(),
        [one] if one == "CERTIFICATE" => {
            "tls: found a certificate rather than a key in the PEM for the private key".to_string()
        }
        more => format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [{}]",
            more.join(" ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};

    use super::*;

    fn pair(algorithm: &'static SignatureAlgorithm) -> (String, String) {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let params = CertificateParams::new(vec!["a".to_string()]).expect("names");
        (
            params.self_signed(&key).expect("a certificate").pem(),
            key.serialize_pem(),
        )
    }

    #[test]
    fn a_key_and_its_certificate_belong_together() {
        let (certificate, key) = pair(&PKCS_ECDSA_P256_SHA256);
        let (_, other_key) = pair(&PKCS_ECDSA_P256_SHA256);
        let (_, edwards) = pair(&PKCS_ED25519);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_string();
        let odd = "-----BEGIN THING-----\nAAAA\n-----END THING-----\n".to_string();
        let broken_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_string();
        let nothing = String::new();
        let cases = [
            (&certificate, &key, ""),
            (&certificate, &other_key, "tls: private key does not match public key"),
            (
                &certificate,
                &edwards,
                "tls: private key type does not match public key type",
            ),
            (&nothing, &key, "tls: failed to find any PEM data in certificate input"),
            (
                &key,
                &certificate,
                "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched",
            ),
            (
                &odd,
                &key,
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [THING]",
            ),
            (&certificate, &nothing, "tls: failed to find any PEM data in key input"),
            (
                &certificate,
                &certificate,
                "tls: found a certificate rather than a key in the PEM for the private key",
            ),
            (
                &certificate,
                &odd,
                "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [THING]",
            ),
            (&broken, &key, "x509: malformed certificate"),
            (&certificate, &broken_key, "tls: failed to parse private key"),
        ];
        for (certificate, key, want) in cases {
            let got = check(certificate.as_bytes(), key.as_bytes()).err().unwrap_or_default();
            assert_eq!(got, want);
        }
    }
}
