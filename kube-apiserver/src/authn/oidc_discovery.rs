//! `/.well-known/openid-configuration` and `/openid/v1/jwks`: how others verify our tokens.
//!
//! Upstream: `pkg/serviceaccount/openidmetadata.go`, `pkg/routes/openidmetadata.go`.

use serde_json::{Value, json};

use super::keys::PublicKey;

/// Path of the key set.
pub(crate) const JWKS_PATH: &str = "/openid/v1/jwks";
/// Path of the discovery document.
pub(crate) const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";
/// Content type of the key set.
pub(crate) const JWKS_CONTENT_TYPE: &str = "application/jwk-set+json";
/// Cache header of both documents.
pub(crate) const CACHE_CONTROL: &str = "public, max-age=3600";

/// Both documents, made once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// The discovery document.
    pub(crate) configuration: Vec<u8>,
    /// The key set.
    pub(crate) jwks: Vec<u8>,
}

impl Metadata {
    /// `None` when the issuer is not an https URL: then upstream does not serve the documents.
    pub(crate) fn new(issuer: &str, jwks_uri: &str, external_address: &str, keys: &[PublicKey]) -> Option<Self> {
        if !issuer.starts_with("https://") || issuer.contains(['?', '#']) {
            return None;
        }
        let jwks_uri = if jwks_uri.is_empty() {
            format!("https://{external_address}{JWKS_PATH}")
        } else {
            jwks_uri.to_owned()
        };
        let mut algorithms: Vec<&str> = Vec::new();
        for k in keys {
            if !algorithms.contains(&k.algorithm.name()) {
                algorithms.push(k.algorithm.name());
            }
        }
        algorithms.sort_unstable();
        let configuration = json!({
            "issuer": issuer,
            "jwks_uri": jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        });
        let jwks: Vec<&Value> = keys.iter().map(PublicKey::jwk).collect();
        Some(Metadata {
            configuration: configuration.to_string().into_bytes(),
            jwks: json!({ "keys": jwks }).to_string().into_bytes(),
        })
    }
}
