//! serviceaccount-token-controller: Secrets of type `kubernetes.io/service-account-token` carry a
//! token of the account that they name, and go with it.
//!
//! Upstream: pkg/controller/serviceaccount/tokens_controller.go `TokensController`.
//! Key: `namespace/name` of the Secret.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context as _;
use client::{
    Api, Client, controller::Outcome, informer::Event, informer::Reader, object, params::delete_background,
    workqueue::WorkQueue,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use k8s_openapi::{
    ByteString,
    api::core::v1::{Secret, ServiceAccount},
};
use serde_json::json;

use super::{name, namespace, uid};
use crate::context::{ControllerContext, Work};

const TYPE: &str = "kubernetes.io/service-account-token";
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
const TOKEN: &str = "token";
const CA: &str = "ca.crt";
const NAMESPACE: &str = "namespace";
/// Index of Secrets by the account they name, as `namespace/account`.
const BY_ACCOUNT: &str = "service-account";

struct Controller {
    client: Client,
    signer: Signer,
    root_ca: Option<String>,
    secrets: Reader<Secret>,
    accounts: Reader<ServiceAccount>,
}

pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let signer = Signer::from_pem(ctx.config.service_account_key.as_deref()?)
        .inspect_err(|error| tracing::error!("--service-account-private-key-file: {error:#}"))
        .ok()?;
    let queue = WorkQueue::new("serviceaccount-token");
    let secrets = ctx.informers.informer::<Secret>();
    secrets.add_index(BY_ACCOUNT, |secret: &Secret| account_of(secret).into_iter().collect());
    secrets.add_handler({
        let queue = queue.clone();
        move |event| {
            if let Event::Added(secret) | Event::Updated { new: secret, .. } = event
                && secret.type_.as_deref() == Some(TYPE)
            {
                queue.add(object::key_of(&*secret));
            }
        }
    });
    let accounts = ctx.informers.informer::<ServiceAccount>();
    accounts.add_handler({
        let (queue, secrets) = (queue.clone(), secrets.reader());
        move |event| {
            for secret in secrets.by_index(BY_ACCOUNT, &object::key_of(&**event.object())) {
                queue.add(object::key_of(&*secret));
            }
        }
    });
    let controller = Arc::new(Controller {
        client: ctx.informers.client().clone(),
        signer,
        root_ca: ctx.config.root_ca.clone(),
        secrets: secrets.reader(),
        accounts: accounts.reader(),
    });
    let workers = ctx.config.workers.service_account_token;
    Some(ctx.work("serviceaccount-token-controller", queue, workers, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    }))
}

/// `namespace/account` that a token Secret names.
fn account_of(secret: &Secret) -> Option<String> {
    let account = secret.metadata.annotations.as_ref()?.get(ACCOUNT_NAME)?;
    (secret.type_.as_deref() == Some(TYPE)).then(|| object::key(namespace(secret), account))
}

/// What has to happen to one token Secret.
#[derive(Debug, PartialEq)]
enum Plan {
    Nothing,
    /// Its account is gone, or is another one of the same name.
    Delete,
    /// The Secret with its token, authority, namespace and UID filled in.
    Fill(Box<Secret>),
}

fn plan(
    secret: &Secret,
    account: Option<&ServiceAccount>,
    root_ca: Option<&str>,
    sign: impl FnOnce() -> anyhow::Result<String>,
) -> anyhow::Result<Plan> {
    let annotations = secret.metadata.annotations.clone().unwrap_or_default();
    let Some(account) = account else {
        return Ok(Plan::Delete);
    };
    let named = annotations.get(ACCOUNT_UID).map(String::as_str).unwrap_or_default();
    if !named.is_empty() && named != uid(account) {
        return Ok(Plan::Delete);
    }
    let data = secret.data.clone().unwrap_or_default();
    let mut wanted: BTreeMap<String, ByteString> = data.clone();
    if data.get(TOKEN).is_none_or(|token| token.0.is_empty()) {
        wanted.insert(TOKEN.to_owned(), ByteString(sign()?.into_bytes()));
    }
    if let Some(root_ca) = root_ca {
        wanted.insert(CA.to_owned(), ByteString(root_ca.as_bytes().to_vec()));
    }
    if data.get(NAMESPACE).is_none_or(|namespace| namespace.0.is_empty()) {
        wanted.insert(NAMESPACE.to_owned(), ByteString(namespace(secret).as_bytes().to_vec()));
    }
    if wanted == data && named == uid(account) {
        return Ok(Plan::Nothing);
    }
    let mut filled = secret.clone();
    filled.data = Some(wanted);
    filled
        .metadata
        .annotations
        .get_or_insert_default()
        .insert(ACCOUNT_UID.to_owned(), uid(account).to_owned());
    Ok(Plan::Fill(Box::new(filled)))
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let Some(secret) = self.secrets.get_by_key(key) else {
            return Ok(Outcome::Done);
        };
        let Some(account_key) = account_of(&secret) else {
            return Ok(Outcome::Done);
        };
        let account = self.accounts.get_by_key(&account_key);
        let api = Api::<Secret>::namespaced(self.client.clone(), namespace(&*secret));
        let plan = plan(&secret, account.as_deref(), self.root_ca.as_deref(), || {
            let account = account.as_deref().context("a token is only signed for an account")?;
            self.signer.sign(&secret, account)
        })?;
        let result = match plan {
            Plan::Nothing => return Ok(Outcome::Done),
            Plan::Delete => api.delete(name(&*secret), &delete_background(uid(&*secret))).await,
            Plan::Fill(filled) => api.update(&filled).await.map(drop),
        };
        match result {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(Outcome::Done),
        }
    }
}

/// The key that signs legacy tokens.
struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
}

impl Signer {
    fn from_pem(pem: &[u8]) -> anyhow::Result<Self> {
        if let Ok(key) = EncodingKey::from_rsa_pem(pem) {
            return Ok(Self {
                key,
                algorithm: Algorithm::RS256,
            });
        }
        let key = EncodingKey::from_ec_pem(pem).context("neither an RSA nor an EC private key")?;
        Ok(Self {
            key,
            algorithm: Algorithm::ES256,
        })
    }

    /// A token without expiry, bound to the Secret by its name (pkg/serviceaccount/legacy.go `LegacyClaims`).
    fn sign(&self, secret: &Secret, account: &ServiceAccount) -> anyhow::Result<String> {
        let (namespace, account_name) = (namespace(secret), name(account));
        let claims = json!({
            "iss": "kubernetes/serviceaccount",
            "kubernetes.io/serviceaccount/namespace": namespace,
            "kubernetes.io/serviceaccount/secret.name": name(secret),
            "kubernetes.io/serviceaccount/service-account.name": account_name,
            "kubernetes.io/serviceaccount/service-account.uid": uid(account),
            "sub": format!("system:serviceaccount:{namespace}:{account_name}"),
        });
        jsonwebtoken::encode(&Header::new(self.algorithm), &claims, &self.key).context("signing the token")
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn secret(annotations: &[(&str, &str)]) -> Secret {
        let annotations = annotations.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        Secret {
            metadata: ObjectMeta {
                name: Some("s".into()),
                namespace: Some("ns".into()),
                annotations: Some(annotations),
                ..ObjectMeta::default()
            },
            type_: Some(TYPE.to_owned()),
            ..Secret::default()
        }
    }

    fn account(uid: &str) -> ServiceAccount {
        let metadata = ObjectMeta {
            name: Some("a".into()),
            uid: Some(uid.to_owned()),
            ..ObjectMeta::default()
        };
        ServiceAccount {
            metadata,
            ..ServiceAccount::default()
        }
    }

    fn planned(secret: &Secret, account: Option<&ServiceAccount>) -> Plan {
        plan(secret, account, Some("CA"), || Ok("signed".to_owned())).unwrap()
    }

    #[test]
    fn secret_is_filled_once() {
        let new = secret(&[(ACCOUNT_NAME, "a")]);
        let Plan::Fill(filled) = planned(&new, Some(&account("u1"))) else {
            panic!("a new secret is filled")
        };
        let data = filled.data.as_ref().unwrap();
        assert_eq!(
            (&*data[TOKEN].0, &*data[CA].0, &*data[NAMESPACE].0),
            (&b"signed"[..], &b"CA"[..], &b"ns"[..])
        );
        assert_eq!(filled.metadata.annotations.as_ref().unwrap()[ACCOUNT_UID], "u1");
        assert_eq!(planned(&filled, Some(&account("u1"))), Plan::Nothing);
    }

    #[test]
    fn secret_goes_with_its_account() {
        assert_eq!(planned(&secret(&[(ACCOUNT_NAME, "a")]), None), Plan::Delete);
        let of_another = secret(&[(ACCOUNT_NAME, "a"), (ACCOUNT_UID, "old")]);
        assert_eq!(planned(&of_another, Some(&account("new"))), Plan::Delete);
    }
}
