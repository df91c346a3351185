//! Authentication by certificate here and by TokenReview at the API server (upstream
//! `apiserver/pkg/authentication/authenticatorfactory` `DelegatingAuthenticatorConfig`). Order: front
//! proxy headers, client certificate, bearer token, anonymous. Credentials that are shown and
//! refused are never anonymous.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Api, Client};
use http::{HeaderMap, Request, header};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};

use super::User;
use super::trust::Trust;
use crate::answers::Answers;
use crate::serving::PeerCerts;

/// The group of everybody who proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";

/// No credentials, or refused ones: 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Unauthorized")]
pub struct Unauthorized;

/// An authenticator that asks the API server about tokens.
pub struct Delegated {
    trust: Arc<Trust>,
    client: Option<Client>,
    anonymous: bool,
    audiences: Option<Vec<String>>,
    tokens: Answers<Arc<str>, Option<User>>,
}

impl Delegated {
    /// `client` reviews tokens (none: every token is refused); answers are kept for `ttl`;
    /// `anonymous` lets requests without credentials through as `system:anonymous`.
    #[must_use]
    pub fn new(trust: Arc<Trust>, client: Option<Client>, ttl: Duration, anonymous: bool) -> Self {
        Self {
            trust,
            client,
            anonymous,
            audiences: None,
            tokens: Answers::new(ttl, ttl),
        }
    }

    /// Who sends this request?
    ///
    /// # Errors
    /// [`Unauthorized`]: answer 401.
    pub async fn authenticate<B>(&self, request: &Request<B>) -> Result<User, Unauthorized> {
        let certs = request.extensions().get::<PeerCerts>().cloned();
        self.authenticate_parts(certs.as_ref(), request.headers()).await
    }

    /// The same, of a request's parts.
    ///
    /// # Errors
    /// [`Unauthorized`]: answer 401.
    pub async fn authenticate_parts(
        &self,
        certs: Option<&PeerCerts>,
        headers: &HeaderMap,
    ) -> Result<User, Unauthorized> {
        if let Some(user) = self.trust.header_user(certs, headers) {
            return Ok(known(user));
        }
        let mut refused = false;
        if let Some(certs) = certs {
            match self.trust.cert_user(certs) {
                Some(Ok(user)) => return Ok(known(user)),
                Some(Err(error)) => {
                    tracing::debug!(%error, "client certificate refused");
                    refused = true;
                }
                None => {}
            }
        }
        if let Some(token) = bearer(headers) {
            match self.review(token).await {
                Some(user) => return Ok(known(user)),
                None => refused = true,
            }
        }
        if refused || !self.anonymous {
            return Err(Unauthorized);
        }
        Ok(User::anonymous())
    }

    async fn review(&self, token: &str) -> Option<User> {
        let client = self.client.clone()?;
        let key: Arc<str> = token.into();
        if let Some(answer) = self.tokens.get(&key) {
            return answer;
        }
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: token.to_owned(),
                audiences: self.audiences.clone(),
            },
            ..TokenReview::default()
        };
        let answer = match Api::<TokenReview>::all(client).create(&review).await {
            Ok(review) => review
                .status
                .filter(|status| status.authenticated == Some(true))
                .and_then(|s| s.user),
            Err(error) => {
                // Not an answer: ask again next time.
                tracing::warn!(%error, "token review failed");
                return None;
            }
        };
        let user = answer.map(|info| User {
            name: info.username.unwrap_or_default(),
            uid: info.uid.unwrap_or_default(),
            groups: info.groups.unwrap_or_default(),
            extra: info.extra.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
        });
        self.tokens.put(key, user.clone(), user.is_some());
        user
    }
}

/// The token of `Authorization: Bearer ...`.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn known(mut user: User) -> User {
    if !user.groups.iter().any(|group| group == AUTHENTICATED) {
        user.groups.push(AUTHENTICATED.to_owned());
    }
    user
}
