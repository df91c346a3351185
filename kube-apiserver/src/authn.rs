//! Authentication: who is asking?
//!
//! Order as upstream (`pkg/kubeapiserver/authenticator/config.go`): front-proxy headers, client
//! certificate, bearer tokens (service account, bootstrap), anonymous. Credentials that are present
//! but wrong give 401 with the body `Unauthorized`; they never fall through to anonymous.

use std::sync::Arc;

use apimachinery::status::ApiError;
use async_trait::async_trait;
use http::HeaderMap;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use rustls_pki_types::CertificateDer;

use crate::request::UserInfo;

pub(crate) mod bootstrap_token;
pub(crate) mod cert_pool;
pub(crate) mod config;
pub(crate) mod config_file;
pub(crate) mod issuer;
pub(crate) mod jwt;
pub(crate) mod keys;
pub(crate) mod oidc_discovery;
pub(crate) mod request_header;
pub(crate) mod reviews;
pub(crate) mod service_account;
pub(crate) mod token_cache;
mod token_file;
pub(crate) mod token_request;
mod websocket;
pub(crate) mod x509;

/// Every authenticated user is in this group.
pub(crate) const ALL_AUTHENTICATED: &str = "system:authenticated";
/// The anonymous user's group.
pub(crate) const ALL_UNAUTHENTICATED: &str = "system:unauthenticated";
/// The anonymous user.
pub(crate) const ANONYMOUS: &str = "system:anonymous";

/// What a token proves: a user, and which of the asked audiences it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proven {
    /// The user, without the group all authenticated users get.
    pub(crate) user: UserInfo,
    /// The audiences asked for that the token is good for; empty when it names none.
    pub(crate) audiences: Vec<String>,
    /// What to tell whoever uses it.
    pub(crate) warnings: Vec<String>,
}

/// One kind of bearer token.
#[async_trait]
pub(crate) trait TokenAuthenticator: Send + Sync {
    /// `Ok(None)`: not a token of this kind. `Err`: of this kind and wrong; the text is for the log.
    async fn authenticate(&self, token: &str, audiences: &[String]) -> Result<Option<Proven>, String>;
}

/// Which requests may come without credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Anonymous {
    /// Any at all.
    pub(crate) enabled: bool,
    /// Only those for these paths; empty: all.
    pub(crate) paths: Vec<String>,
}

impl Anonymous {
    fn admits(&self, path: &str) -> bool {
        self.enabled && (self.paths.is_empty() || self.paths.iter().any(|p| p == path))
    }
}

/// All the ways to authenticate that the flags turned on.
#[derive(Default)]
pub(crate) struct Authenticator {
    /// `--requestheader-*`.
    pub(crate) request_header: Option<request_header::RequestHeader>,
    /// `--client-ca-file`.
    pub(crate) client_certificates: Option<x509::ClientCertificates>,
    /// Bearer tokens, in order.
    pub(crate) tokens: Vec<Arc<dyn TokenAuthenticator>>,
    /// Requests without credentials.
    pub(crate) anonymous: Anonymous,
    /// `--api-audiences`, by default the service account issuer.
    pub(crate) api_audiences: Vec<String>,
    /// Successful token checks of the last seconds.
    pub(crate) cache: token_cache::TokenCache,
}

impl Authenticator {
    /// Authenticates one request by its headers and the peer's certificates (leaf first), and takes
    /// the credentials out of the headers so that nothing behind sees them. What is to be told of them goes to
    /// `warnings`.
    pub(crate) async fn authenticate(
        &self,
        path: &str,
        headers: &mut HeaderMap,
        certificates: &[CertificateDer<'static>],
        warnings: &mut Vec<String>,
    ) -> Result<UserInfo, ApiError> {
        let mut failed = false;
        if let Some(rh) = &self.request_header {
            let found = rh.authenticate(headers, certificates);
            rh.strip(headers);
            match found {
                Ok(Some(user)) => return Ok(authenticated(user)),
                Ok(None) => {}
                // Usual for clients of the other CA: only counts when nothing else accepts.
                Err(e) => {
                    tracing::debug!(error = %e, "front-proxy certificate not accepted");
                    failed |= self.client_certificates.is_none();
                }
            }
        }
        if let Some(x) = &self.client_certificates {
            match x.authenticate(certificates) {
                Ok(Some(user)) => return Ok(authenticated(user)),
                Ok(None) => {}
                Err(e) => {
                    tracing::info!(error = %e, "client certificate not accepted");
                    failed = true;
                }
            }
        }
        if let Some(token) = bearer_token(headers) {
            match Box::pin(self.authenticate_token(&token, &self.api_audiences)).await {
                Ok(Some(proven)) => {
                    headers.remove(AUTHORIZATION);
                    warnings.extend(proven.warnings);
                    return Ok(authenticated(proven.user));
                }
                Ok(None) => failed = true,
                Err(e) => {
                    tracing::info!(error = %e, "bearer token not accepted");
                    failed = true;
                }
            }
        }
        match websocket::token(headers) {
            Ok(None) => {}
            Ok(Some(offer)) => match Box::pin(self.authenticate_token(&offer.token, &self.api_audiences)).await {
                Ok(Some(proven)) => {
                    headers.insert(SEC_WEBSOCKET_PROTOCOL, offer.others);
                    warnings.extend(proven.warnings);
                    return Ok(authenticated(proven.user));
                }
                Ok(None) => failed = true,
                Err(e) => {
                    tracing::info!(error = %e, "bearer token in a sub-protocol not accepted");
                    failed = true;
                }
            },
            Err(e) => {
                tracing::info!(error = e, "bearer token in a sub-protocol not accepted");
                failed = true;
            }
        }
        if failed || !self.anonymous.admits(path) {
            return Err(ApiError::unauthorized("Unauthorized"));
        }
        Ok(UserInfo::new(ANONYMOUS, &[ALL_UNAUTHENTICATED]))
    }

    /// Authenticates a bare token for `audiences`. `Ok(None)`: nobody knows this token.
    pub(crate) async fn authenticate_token(&self, token: &str, audiences: &[String]) -> Result<Option<Proven>, String> {
        if let Some(hit) = self.cache.get(token, audiences) {
            return Ok(Some(hit));
        }
        let mut errors = Vec::new();
        for t in &self.tokens {
            match t.authenticate(token, audiences).await {
                Ok(Some(proven)) => {
                    self.cache.put(token, audiences, &proven);
                    return Ok(Some(proven));
                }
                Ok(None) => {}
                Err(e) => errors.push(e),
            }
        }
        match errors.as_slice() {
            [] => Ok(None),
            [one] => Err(one.clone()),
            many => Err(format!("[{}]", many.join(", "))),
        }
    }
}

/// Adds the group of all authenticated users (upstream `authentication/group`).
pub(crate) fn authenticated(mut user: UserInfo) -> UserInfo {
    if user.name != ANONYMOUS
        && !user
            .groups
            .iter()
            .any(|g| g == ALL_AUTHENTICATED || g == ALL_UNAUTHENTICATED)
    {
        user.groups.push(ALL_AUTHENTICATED.to_owned());
    }
    user
}

/// The token of `Authorization: Bearer`.
fn bearer_token(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.trim().split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests;
