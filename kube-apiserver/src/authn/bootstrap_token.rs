//! Bootstrap tokens `id.secret`, kept as Secrets `kube-system/bootstrap-token-<id>`.
//!
//! Upstream: `plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go`.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use serde_json::Value;

use super::{Proven, TokenAuthenticator};
use crate::objects::{Objects, find, text};
use crate::request::UserInfo;

/// The `--enable-bootstrap-token-auth` authenticator.
pub(crate) struct BootstrapTokens {
    /// Where the Secrets are.
    pub(crate) objects: Arc<dyn Objects>,
    /// Now, Unix seconds.
    pub(crate) now: fn() -> i64,
}

#[async_trait]
impl TokenAuthenticator for BootstrapTokens {
    async fn authenticate(&self, token: &str, _audiences: &[String]) -> Result<Option<Proven>, String> {
        let Some((id, secret)) = split(token) else {
            return Ok(None);
        };
        let name = format!("bootstrap-token-{id}");
        let found = find(&*self.objects, "", "secrets", "kube-system", &name)
            .await
            .map_err(|e| e.message)?;
        let Some(s) = found else { return Ok(None) };
        let data = |key: &str| decode(&s, key);
        let usable = text(&s, "/metadata/deletionTimestamp").is_empty()
            && text(&s, "/type") == "bootstrap.kubernetes.io/token"
            && same(&data("token-secret"), secret)
            && data("token-id") == id
            && data("usage-bootstrap-authentication") == "true"
            && !self.expired(&data("expiration"));
        if !usable {
            return Ok(None);
        }
        let mut groups = vec!["system:bootstrappers".to_owned()];
        for g in data("auth-extra-groups").split(',').filter(|g| !g.is_empty()) {
            if !valid_group(g) {
                return Ok(None);
            }
            groups.push(g.to_owned());
        }
        let user = UserInfo {
            name: format!("system:bootstrap:{id}"),
            groups,
            ..Default::default()
        };
        Ok(Some(Proven {
            user,
            audiences: Vec::new(),
            warnings: vec![],
        }))
    }
}

impl BootstrapTokens {
    fn expired(&self, expiration: &str) -> bool {
        !expiration.is_empty()
            && !expiration
                .parse::<jiff::Timestamp>()
                .is_ok_and(|t| t.as_second() > (self.now)())
    }
}

/// `[a-z0-9]{6}.[a-z0-9]{16}`.
fn split(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.split_once('.')?;
    let ok = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (ok(id, 6) && ok(secret, 16)).then_some((id, secret))
}

/// `system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]`.
fn valid_group(group: &str) -> bool {
    group.strip_prefix("system:bootstrappers:").is_some_and(|rest| {
        let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        !rest.is_empty()
            && rest.len() <= 256
            && rest.bytes().all(|b| alnum(b) || b == b':' || b == b'-')
            && rest.bytes().last().is_some_and(alnum)
    })
}

/// Equality that takes the same time wherever the texts differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

fn decode(secret: &Value, key: &str) -> String {
    let encoded = secret
        .get("data")
        .and_then(|d| d.get(key))
        .and_then(Value::as_str)
        .unwrap_or("");
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
