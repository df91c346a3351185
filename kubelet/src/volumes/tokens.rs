//! Service-account tokens for pods, asked of the apiserver and renewed in time
//! (upstream: pkg/kubelet/token/token_manager.go).

use std::collections::HashMap;

use client::{Api, Client};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;

use crate::pods::PodExt;

/// A token older than this is renewed even when it lives longer.
const MAX_AGE_SECONDS: i64 = 24 * 3600;

/// Tokens by what they were asked for.
#[derive(Default)]
pub(crate) struct Tokens {
    cache: Mutex<HashMap<Key, Issued>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    pod: String,
    account: String,
    audience: String,
    seconds: i64,
}

struct Issued {
    token: String,
    expires: Timestamp,
    at: Timestamp,
    seconds: i64,
}

impl Tokens {
    /// A token for the pod's service account; `audience` empty means the apiserver.
    pub(crate) async fn get(&self, client: &Client, pod: &Pod, audience: &str, seconds: i64) -> Result<String, String> {
        let account = pod
            .spec()
            .service_account_name
            .clone()
            .unwrap_or_else(|| "default".to_owned());
        let key = Key {
            pod: pod.uid().to_owned(),
            account: account.clone(),
            audience: audience.to_owned(),
            seconds,
        };
        let now = Timestamp::now();
        if let Some(issued) = self.cache.lock().get(&key)
            && !issued.needs_renewal(now)
        {
            return Ok(issued.token.clone());
        }
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: if audience.is_empty() {
                    None
                } else {
                    Some(vec![audience.to_owned()])
                },
                expiration_seconds: Some(seconds),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: pod.metadata.name.clone(),
                    uid: pod.metadata.uid.clone(),
                }),
            }),
            ..TokenRequest::default()
        };
        let api = Api::<ServiceAccount>::namespaced(client.clone(), pod.namespace());
        let answer: client::Result<TokenRequest> = api.create_subresource(&account, "token", &request).await;
        let status = match answer {
            Ok(answer) => answer.status.ok_or("token request answered without a token")?,
            Err(error) => {
                // An old token is better than none while it still holds.
                let cache = self.cache.lock();
                let old = cache.get(&key).filter(|i| i.expires > now);
                return match old {
                    Some(issued) => Ok(issued.token.clone()),
                    None => Err(format!("failed to fetch token: {error}")),
                };
            }
        };
        let token = status.token.unwrap_or_default();
        let expires = status.expiration_timestamp.map_or(now, |time| time.0);
        let issued = Issued {
            token: token.clone(),
            expires,
            at: now,
            seconds,
        };
        self.cache.lock().insert(key, issued);
        Ok(token)
    }

    /// Forgets the tokens of a pod.
    pub(crate) fn forget(&self, uid: &str) {
        self.cache.lock().retain(|key, _| key.pod != uid);
    }
}

impl Issued {
    /// From 80 % of its life on, or after a day.
    fn needs_renewal(&self, now: Timestamp) -> bool {
        let left = self.expires.as_second() - now.as_second();
        left <= self.seconds / 5 || now.as_second() - self.at.as_second() > MAX_AGE_SECONDS
    }
}
