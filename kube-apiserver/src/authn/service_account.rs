//! Service account tokens: signature, times, audience, and that everything they are bound to still exists.
//!
//! Upstream: `pkg/serviceaccount/{jwt,claims,legacy}.go`.

mod legacy;

use std::sync::Arc;

use apimachinery::validation::{is_dns1123_label, is_dns1123_subdomain};
use async_trait::async_trait;
use serde_json::Value;

use super::jwt::Unverified;
use super::keys::PublicKey;
use super::x509::CREDENTIAL_ID;
use super::{Proven, TokenAuthenticator};
use crate::metrics::identity as metrics;
use crate::objects::{Objects, find, text};
use crate::request::UserInfo;

/// Issuer of tokens in Secrets.
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";
/// Clock skew allowed for `exp` and `nbf`, and life of a token after its pod's deletion: seconds.
const LEEWAY: i64 = 60;

/// Verifies tokens of the configured issuers.
pub(crate) struct ServiceAccountTokens {
    /// Keys of `--service-account-key-file`.
    pub(crate) keys: Arc<Vec<PublicKey>>,
    /// All `--service-account-issuer`s.
    pub(crate) issuers: Vec<String>,
    /// `--api-audiences`.
    pub(crate) api_audiences: Vec<String>,
    /// Where the bound objects are.
    pub(crate) objects: Arc<dyn Objects>,
    /// `--service-account-lookup`: whether tokens of Secrets end with their Secret and account. Others always end
    /// with what they are bound to.
    pub(crate) lookup: bool,
    /// Now, Unix seconds.
    pub(crate) now: fn() -> i64,
}

/// The user name of a service account.
pub(crate) fn user_name(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// Namespace and name of a service account's user name (upstream `SplitUsername`).
pub(crate) fn split_user_name(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?
        .split_once(':')
        .filter(|(ns, name)| is_dns1123_label(ns).is_empty() && is_dns1123_subdomain(name).is_empty())
}

/// The groups of a service account of `namespace`.
pub(crate) fn groups(namespace: &str) -> Vec<String> {
    vec![
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
    ]
}

#[async_trait]
impl TokenAuthenticator for ServiceAccountTokens {
    async fn authenticate(&self, token: &str, audiences: &[String]) -> Result<Option<Proven>, String> {
        let Some(unverified) = Unverified::parse(token) else {
            return Ok(None);
        };
        let issuer = unverified.issuer().to_owned();
        let legacy = issuer == LEGACY_ISSUER;
        if !legacy && !self.issuers.contains(&issuer) {
            return Ok(None);
        }
        let claims = unverified
            .verify(&self.keys)
            .ok_or("no key verifies the token's signature")?;
        let granted = self.audiences(&claims, audiences, legacy)?;
        let (user, warnings) = if legacy {
            metrics::legacy_token();
            self.legacy_user(token, &claims).await?
        } else {
            (self.bound_user(&claims).await?, vec![])
        };
        Ok(Some(Proven {
            user,
            audiences: granted,
            warnings,
        }))
    }
}

impl ServiceAccountTokens {
    fn audiences(&self, claims: &Value, wanted: &[String], legacy: bool) -> Result<Vec<String>, String> {
        let mut token: Vec<&str> = match &claims["aud"] {
            Value::String(s) => vec![s],
            Value::Array(a) => a.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if token.is_empty() && legacy {
            token = self.api_audiences.iter().map(String::as_str).collect();
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let both: Vec<String> = wanted.iter().filter(|w| token.contains(&w.as_str())).cloned().collect();
        if both.is_empty() {
            return Err(format!(
                "token audiences {token:?} is invalid for the target audiences {wanted:?}"
            ));
        }
        Ok(both)
    }

    pub(super) fn check_times(&self, claims: &Value) -> Result<(), String> {
        let now = (self.now)();
        let number = |k: &str| claims[k].as_f64().map(|f| f as i64);
        if number("exp").is_some_and(|t| now - LEEWAY > t) {
            return Err("service account token has expired".to_owned());
        }
        if number("nbf").is_some_and(|t| now + LEEWAY < t) {
            return Err("service account token is not valid yet".to_owned());
        }
        if number("iat").is_some_and(|t| now + LEEWAY < t) {
            return Err("service account token is issued in the future".to_owned());
        }
        Ok(())
    }

    async fn bound_user(&self, claims: &Value) -> Result<UserInfo, String> {
        self.check_times(claims)?;
        let private = &claims["kubernetes.io"];
        let (namespace, name, uid) = (
            text(private, "/namespace"),
            text(private, "/serviceaccount/name"),
            text(private, "/serviceaccount/uid"),
        );
        if name.is_empty() || text(claims, "/sub") != user_name(namespace, name) {
            return Err("service account token has invalid claims".to_owned());
        }
        let bound_to_pod = private.get("pod").is_some();
        self.alive("serviceaccounts", namespace, name, uid).await?;
        for (key, resource, ns) in [
            ("secret", "secrets", namespace),
            ("pod", "pods", namespace),
            ("node", "nodes", ""),
        ] {
            // A pod's node is only informative: the token lives as long as the pod.
            if let Some(r) = private.get(key).filter(|_| key != "node" || !bound_to_pod) {
                self.alive(resource, ns, text(r, "/name"), text(r, "/uid")).await?;
            }
        }
        // Of a token that was let live longer than asked, while its client catches up.
        if let Some(after) = private["warnafter"].as_i64().filter(|t| *t != 0) {
            metrics::extended_token((self.now)() > after);
        }
        let mut user = UserInfo {
            name: user_name(namespace, name),
            uid: uid.to_owned(),
            groups: groups(namespace),
            ..Default::default()
        };
        for (key, pointer) in [
            ("authentication.kubernetes.io/pod-name", "/pod/name"),
            ("authentication.kubernetes.io/pod-uid", "/pod/uid"),
            ("authentication.kubernetes.io/node-name", "/node/name"),
            ("authentication.kubernetes.io/node-uid", "/node/uid"),
        ] {
            let value = text(private, pointer);
            if !value.is_empty() {
                user.extra.insert(key.to_owned(), vec![value.to_owned()]);
            }
        }
        let jti = text(claims, "/jti");
        if !jti.is_empty() {
            user.extra.insert(CREDENTIAL_ID.to_owned(), vec![format!("JTI={jti}")]);
        }
        Ok(user)
    }

    /// The object exists with that uid and was not deleted long ago.
    async fn alive(&self, resource: &str, namespace: &str, name: &str, uid: &str) -> Result<Arc<Value>, String> {
        let invalid = || format!("service account token has been invalidated: {resource} {name:?} is gone or another");
        let obj = find(&*self.objects, "", resource, namespace, name)
            .await
            .map_err(|e| e.message)?
            .ok_or_else(invalid)?;
        let deleted = text(&obj, "/metadata/deletionTimestamp");
        if !deleted.is_empty()
            && deleted
                .parse::<jiff::Timestamp>()
                .is_ok_and(|t| t.as_second() < (self.now)() - LEEWAY)
        {
            return Err(invalid());
        }
        if text(&obj, "/metadata/uid") != uid {
            return Err(invalid());
        }
        Ok(obj)
    }
}
