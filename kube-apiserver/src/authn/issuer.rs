//! Minting service account tokens.
//!
//! Claims as upstream's `pkg/serviceaccount/claims.go` `Claims`.

use serde_json::{Value, json};

use super::jwt;
use super::keys::SigningKey;

/// What signs tokens: `--service-account-signing-key-file` and the first `--service-account-issuer`.
pub(crate) struct Issuer {
    /// The key.
    pub(crate) key: SigningKey,
    /// The `iss` claim.
    pub(crate) url: String,
}

/// Name and uid of an object a token speaks of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// Object name.
    pub(crate) name: String,
    /// Object uid.
    pub(crate) uid: String,
}

/// What goes into one token. Times are Unix seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct TokenSpec {
    /// Namespace of the service account.
    pub(crate) namespace: String,
    /// The service account.
    pub(crate) service_account: Named,
    /// The pod it is bound to.
    pub(crate) pod: Option<Named>,
    /// The secret it is bound to.
    pub(crate) secret: Option<Named>,
    /// The node it is bound to, or the node of its pod (whose uid may be unknown).
    pub(crate) node: Option<Named>,
    /// Audiences.
    pub(crate) audiences: Vec<String>,
    /// Now.
    pub(crate) issued_at: i64,
    /// Lifetime in seconds.
    pub(crate) expires_in: i64,
    /// After this many seconds a use is reported as stale.
    pub(crate) warn_after: Option<i64>,
    /// Token id, a UUID.
    pub(crate) id: String,
}

/// The claims of a token.
pub(crate) fn claims(issuer: &str, spec: &TokenSpec) -> Value {
    let named = |n: &Named| {
        if n.uid.is_empty() {
            json!({"name": n.name})
        } else {
            json!({"name": n.name, "uid": n.uid})
        }
    };
    let mut private = json!({
        "namespace": spec.namespace,
        "serviceaccount": {"name": spec.service_account.name, "uid": spec.service_account.uid},
    });
    for (key, object) in [("pod", &spec.pod), ("secret", &spec.secret), ("node", &spec.node)] {
        if let Some(o) = object {
            private[key] = named(o);
        }
    }
    if let Some(after) = spec.warn_after {
        private["warnafter"] = json!(spec.issued_at + after);
    }
    json!({
        "iss": issuer,
        "sub": format!("system:serviceaccount:{}:{}", spec.namespace, spec.service_account.name),
        "aud": spec.audiences,
        "iat": spec.issued_at,
        "nbf": spec.issued_at,
        "exp": spec.issued_at + spec.expires_in,
        "jti": spec.id,
        "kubernetes.io": private,
    })
}

/// A signed token.
pub(crate) fn issue_token(issuer: &Issuer, spec: &TokenSpec) -> Result<String, String> {
    jwt::sign(&issuer.key, &claims(&issuer.url, spec))
}
