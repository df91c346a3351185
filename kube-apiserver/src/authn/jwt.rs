//! JSON Web Tokens as service accounts use them: compact form, one signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::keys::{PublicKey, SigningKey};

/// Signs `claims`.
pub(crate) fn sign(key: &SigningKey, claims: &Value) -> Result<String, String> {
    let header = json!({"alg": key.algorithm.name(), "kid": key.id});
    let encode = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
    let mut token = format!("{}.{}", encode(&header), encode(claims));
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Ok(token)
}

/// A token taken apart, its signature not yet checked.
pub(crate) struct Unverified<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    header: Value,
    claims: Value,
}

impl<'a> Unverified<'a> {
    /// `None` when the text is not a JWT.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        if claims.contains('.') {
            return None;
        }
        let json = |s: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(s).ok()?).ok();
        Some(Unverified {
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
            header: json(header)?,
            claims: json(claims)?,
        })
    }

    /// The issuer the token claims to have: decides who may verify it, proves nothing.
    pub(crate) fn issuer(&self) -> &str {
        self.claims["iss"].as_str().unwrap_or("")
    }

    /// The claims, when one of `keys` signed them. A `kid` narrows the choice.
    pub(crate) fn verify(self, keys: &[PublicKey]) -> Option<Value> {
        let algorithm = self.header["alg"].as_str()?;
        let kid = self.header["kid"].as_str().unwrap_or("");
        let named: Vec<&PublicKey> = keys.iter().filter(|k| k.id == kid).collect();
        let candidates: Vec<&PublicKey> = if named.is_empty() { keys.iter().collect() } else { named };
        candidates
            .into_iter()
            .filter(|k| k.algorithm.name() == algorithm)
            .any(|k| k.verify(self.signed.as_bytes(), &self.signature))
            .then_some(self.claims)
    }
}
