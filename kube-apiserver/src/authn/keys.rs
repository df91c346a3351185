//! The keys that sign and verify service account tokens, from PEM files.
//!
//! A key's id is the base64url SHA-256 of its SubjectPublicKeyInfo (upstream
//! `pkg/serviceaccount/jwt.go` `keyIDFromPublicKey`).

use std::path::Path;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

/// JOSE algorithms of service account tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSA PKCS#1 with SHA-256.
    Rs256,
    /// P-256.
    Es256,
    /// P-384.
    Es384,
    /// P-521.
    Es512,
}

impl Algorithm {
    /// The `alg` header value.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::Es512 => "ES512",
        }
    }
}

/// A key that verifies tokens.
pub(crate) struct PublicKey {
    /// The `kid` header of tokens signed with its private half.
    pub(crate) id: String,
    /// Its only algorithm.
    pub(crate) algorithm: Algorithm,
    jwk: Value,
    verifier: ParsedPublicKey,
}

/// A key that signs tokens.
pub(crate) struct SigningKey {
    /// The `kid` header.
    pub(crate) id: String,
    /// The `alg` header.
    pub(crate) algorithm: Algorithm,
    spki: Vec<u8>,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl PublicKey {
    /// From a DER SubjectPublicKeyInfo.
    pub(crate) fn from_spki(der: &[u8]) -> Result<Self, String> {
        let (_, spki) = SubjectPublicKeyInfo::from_der(der).map_err(|e| format!("bad public key: {e}"))?;
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(der));
        let b64 = |b: &[u8]| URL_SAFE_NO_PAD.encode(b);
        let bytes: &[u8] = &spki.subject_public_key.data;
        let (algorithm, mut jwk) = match spki.parsed().map_err(|e| format!("bad public key: {e}"))? {
            Parsed::RSA(k) => {
                let strip = |b: &[u8]| b64(&b[b.iter().take_while(|x| **x == 0).count()..]);
                (
                    Algorithm::Rs256,
                    json!({"kty": "RSA", "n": strip(k.modulus), "e": strip(k.exponent)}),
                )
            }
            Parsed::EC(point) => {
                let (algorithm, curve) = match point.data().len() {
                    65 => (Algorithm::Es256, "P-256"),
                    97 => (Algorithm::Es384, "P-384"),
                    133 => (Algorithm::Es512, "P-521"),
                    n => return Err(format!("unsupported elliptic curve point of {n} bytes")),
                };
                let (x, y) = point.data()[1..].split_at((point.data().len() - 1) / 2);
                (algorithm, json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)}))
            }
            _ => return Err("unsupported public key type".to_owned()),
        };
        jwk["use"] = json!("sig");
        jwk["kid"] = json!(id);
        jwk["alg"] = json!(algorithm.name());
        let verifier = match algorithm {
            Algorithm::Rs256 => ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bytes),
            Algorithm::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes),
            Algorithm::Es384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, bytes),
            Algorithm::Es512 => ParsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, bytes),
        }
        .map_err(|e| format!("bad public key: {e}"))?;
        Ok(PublicKey {
            id,
            algorithm,
            jwk,
            verifier,
        })
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verifier.verify_sig(message, signature).is_ok()
    }

    /// The key as a JSON Web Key.
    pub(crate) fn jwk(&self) -> &Value {
        &self.jwk
    }
}

impl SigningKey {
    /// From the first private key of a PEM text (PKCS#1, PKCS#8 or SEC 1).
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, String> {
        for block in Pem::iter_from_buffer(pem) {
            let block = block.map_err(|e| format!("bad PEM: {e}"))?;
            if let Some(key) = Self::from_der(&block.label, &block.contents)? {
                return Ok(key);
            }
        }
        Err("data does not contain a valid RSA or ECDSA private key".to_owned())
    }

    fn from_der(label: &str, der: &[u8]) -> Result<Option<Self>, String> {
        let pair = match label {
            "RSA PRIVATE KEY" => Pair::Rsa(RsaKeyPair::from_der(der).map_err(|e| format!("bad RSA key: {e}"))?),
            "EC PRIVATE KEY" => Pair::Ec(ec_pair(der)?.0),
            "PRIVATE KEY" => match RsaKeyPair::from_pkcs8(der) {
                Ok(k) => Pair::Rsa(k),
                Err(_) => Pair::Ec(ec_pair(der)?.0),
            },
            _ => return Ok(None),
        };
        let unspecified = |_| "cannot encode the public key".to_owned();
        let spki: PublicKeyX509Der<'_> = match &pair {
            Pair::Rsa(k) => k.public_key().as_der().map_err(unspecified)?,
            Pair::Ec(k) => k.public_key().as_der().map_err(unspecified)?,
        };
        let spki = spki.as_ref().to_vec();
        let public = PublicKey::from_spki(&spki)?;
        Ok(Some(SigningKey {
            id: public.id,
            algorithm: public.algorithm,
            spki,
            pair,
        }))
    }

    /// The public half.
    pub(crate) fn public(&self) -> Result<PublicKey, String> {
        PublicKey::from_spki(&self.spki)
    }

    /// A JOSE signature over `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let rng = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(k) => {
                let mut out = vec![0; k.public_modulus_len()];
                k.sign(&RSA_PKCS1_SHA256, &rng, message, &mut out)
                    .map_err(|_| "signing failed".to_owned())?;
                Ok(out)
            }
            Pair::Ec(k) => k
                .sign(&rng, message)
                .map(|s: signature::Signature| s.as_ref().to_vec())
                .map_err(|_| "signing failed".to_owned()),
        }
    }
}

fn ec_pair(der: &[u8]) -> Result<(EcdsaKeyPair, &'static EcdsaSigningAlgorithm), String> {
    for alg in [
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &ECDSA_P384_SHA384_FIXED_SIGNING,
        &ECDSA_P521_SHA512_FIXED_SIGNING,
    ] {
        if let Ok(k) = EcdsaKeyPair::from_private_key_der(alg, der) {
            return Ok((k, alg));
        }
    }
    Err("unsupported or malformed private key".to_owned())
}

/// Every key of a PEM text, private ones by their public half (upstream `keyutil.ParsePublicKeysPEM`).
pub(crate) fn public_keys(pem: &[u8]) -> Result<Vec<PublicKey>, String> {
    let mut keys = Vec::new();
    for block in Pem::iter_from_buffer(pem) {
        let block = block.map_err(|e| format!("bad PEM: {e}"))?;
        match block.label.as_str() {
            "PUBLIC KEY" => keys.push(PublicKey::from_spki(&block.contents)?),
            "RSA PUBLIC KEY" => keys.push(PublicKey::from_spki(&rsa_spki(&block.contents)?)?),
            "CERTIFICATE" => {
                let (_, cert) =
                    X509Certificate::from_der(&block.contents).map_err(|e| format!("bad certificate: {e}"))?;
                keys.push(PublicKey::from_spki(cert.public_key().raw)?);
            }
            label => {
                if let Some(k) = SigningKey::from_der(label, &block.contents)? {
                    keys.push(k.public()?);
                }
            }
        }
    }
    if keys.is_empty() {
        return Err("data does not contain any valid RSA or ECDSA public keys".to_owned());
    }
    Ok(keys)
}

/// A PKCS#1 public key wrapped as SubjectPublicKeyInfo.
fn rsa_spki(pkcs1: &[u8]) -> Result<Vec<u8>, String> {
    let parsed = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pkcs1).map_err(|e| format!("bad RSA key: {e}"))?;
    let der: PublicKeyX509Der<'_> = parsed.as_der().map_err(|_| "cannot encode the public key".to_owned())?;
    Ok(der.as_ref().to_vec())
}

/// Reads all keys of several files; errors name the file.
pub(crate) fn load_public_keys<P: AsRef<Path>>(files: &[P]) -> Result<Vec<PublicKey>, String> {
    let mut keys: Vec<PublicKey> = Vec::new();
    for f in files {
        let f = f.as_ref();
        let pem = std::fs::read(f).map_err(|e| format!("unable to read {}: {e}", f.display()))?;
        let more = public_keys(&pem).map_err(|e| format!("error reading public key file {}: {e}", f.display()))?;
        for k in more {
            if !keys.iter().any(|have| have.id == k.id) {
                keys.push(k);
            }
        }
    }
    Ok(keys)
}
