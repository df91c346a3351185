//! One client per controller, each with the token of its own service account, so that the audit log
//! and RBAC tell controllers apart. Upstream: controller-manager `pkg/clientbuilder`
//! `DynamicControllerClientBuilder`.

use std::time::Duration;

use anyhow::Context as _;
use client::{
    Api, Client,
    config::{SharedToken, Token},
};
use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::ServiceAccount,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "kube-system";
/// Asked for; the answer tells when it really ends.
const TOKEN_SECONDS: i64 = 3600;
const RETRY: Duration = Duration::from_secs(2);

/// Makes the controllers' clients.
#[derive(Clone)]
pub(crate) struct Clients {
    own: Client,
    per_account: bool,
    shutdown: CancellationToken,
}

impl Clients {
    pub(crate) fn new(own: Client, per_account: bool, shutdown: CancellationToken) -> Self {
        Self {
            own,
            per_account,
            shutdown,
        }
    }

    /// A client for `kube-system/<account>`. Until its first token is there, its requests are refused
    /// and retried by the work queue.
    pub(crate) fn get(&self, account: &'static str) -> Client {
        if !self.per_account {
            return self.own.clone();
        }
        self.get_with_rate(account, 1.0)
    }

    /// As [`Self::get`], with a multiple of the rate limit.
    pub(crate) fn get_with_rate(&self, account: &'static str, factor: f32) -> Client {
        let token = SharedToken::default();
        let mut config = self.own.config().clone();
        config.qps *= factor;
        config.burst = config.burst.saturating_mul(factor as u32);
        if self.per_account {
            config = config.anonymous();
            config.token = Some(Token::Shared(token.clone()));
        }
        let client = match Client::new(config) {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(account, %error, "no client for the service account, using the process's own");
                return self.own.clone();
            }
        };
        if self.per_account {
            tokio::spawn(keep_fresh(self.own.clone(), account, token, self.shutdown.clone()));
        }
        client
    }
}

/// Replaces the token after four fifths of its life.
async fn keep_fresh(own: Client, account: &'static str, token: SharedToken, shutdown: CancellationToken) {
    loop {
        let pause = match request(&own, account).await {
            Ok((fresh, life)) => {
                token.set(fresh);
                life * 4 / 5
            }
            Err(error) => {
                tracing::warn!(account, error = %format!("{error:#}"), "no token for the service account");
                RETRY
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn request(own: &Client, account: &str) -> anyhow::Result<(String, Duration)> {
    let accounts: Api<ServiceAccount> = Api::namespaced(own.clone(), NAMESPACE);
    let body = TokenRequest {
        spec: Some(TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let answer = accounts
        .create_subresource::<_, TokenRequest>(account, "token", &body)
        .await;
    let answer = match answer {
        Err(error) if error.is_not_found() => {
            let metadata = ObjectMeta {
                name: Some(account.to_owned()),
                namespace: Some(NAMESPACE.to_owned()),
                ..ObjectMeta::default()
            };
            let created = accounts
                .create(&ServiceAccount {
                    metadata,
                    ..ServiceAccount::default()
                })
                .await;
            if let Err(error) = created
                && !error.is_already_exists()
            {
                return Err(error).context("creating the service account");
            }
            accounts.create_subresource(account, "token", &body).await
        }
        other => other,
    };
    let status = answer
        .context("requesting a token")?
        .status
        .context("the token request has no status")?;
    let expires = status.expiration_timestamp.context("the token has no end")?;
    let life = expires.0.duration_since(k8s_openapi::jiff::Timestamp::now());
    let token = status.token.context("the token request has no token")?;
    Ok((token, life.try_into().unwrap_or(RETRY).max(RETRY)))
}
