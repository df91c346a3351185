//! ServiceAccount: every pod runs as one, with its token mounted.
//!
//! Upstream: `plugin/pkg/admission/serviceaccount/admission.go`.

use std::sync::Arc;
use std::time::Duration;

use api::core::v1::MIRROR_ANNOTATION;
use apimachinery::meta;
use apimachinery::status::ApiError;
use async_trait::async_trait;
use rand::Rng as _;
use serde_json::{Value, json};

use super::{Attributes, Operation, Plugin, World, references};
use crate::objects::{Objects, items, text};

mod mountable;

/// Where the token is mounted.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Prefix of the volume's name.
const VOLUME_PREFIX: &str = "kube-api-access-";
/// Lifetime asked for: with the matching rule in `authn::token_request` it is extended to a year.
const TOKEN_SECONDS: i64 = 60 * 60 + 7;
/// A service account may be a moment younger than its first pod.
const LOOKUPS: u32 = 10;
const LOOKUP_PAUSE: Duration = Duration::from_millis(150);
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The plugin.
pub(crate) struct ServiceAccount {
    objects: Arc<dyn Objects>,
}

impl ServiceAccount {
    /// Looks service accounts up in `world`.
    pub(crate) fn new(world: &World) -> Self {
        ServiceAccount {
            objects: world.objects.clone(),
        }
    }

    async fn account(&self, a: &Attributes<'_>, pod: &Value, name: &str) -> Result<Arc<Value>, ApiError> {
        let namespace = a.namespace();
        let missing = |why: &str| {
            a.forbidden(
                pod,
                format!("error looking up service account {namespace}/{name}: {why}"),
            )
        };
        let mut tries = 1;
        loop {
            match self.objects.get("", "serviceaccounts", namespace, name).await {
                Err(e) if e.is_not_found() && tries < LOOKUPS => tries += 1,
                Err(e) if e.is_not_found() => return Err(missing(&format!("serviceaccount {name:?} not found"))),
                Err(e) => return Err(missing(&e.message)),
                found => return found,
            }
            // Upstream waits the same way only where absence is likely to be a race: the default account.
            if name != "default" {
                tries = LOOKUPS;
            }
            tokio::time::sleep(LOOKUP_PAUSE).await;
        }
    }
}

#[async_trait]
impl Plugin for ServiceAccount {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn admit(&self, a: &Attributes<'_>, pod: &mut Value) -> Result<(), ApiError> {
        if a.operation != Operation::Create || !a.is("", "pods", "") || is_mirror(pod) {
            return Ok(());
        }
        let mut name = text(pod, "/spec/serviceAccountName").to_owned();
        if name.is_empty() {
            name = "default".to_owned();
        }
        pod["spec"]["serviceAccountName"] = json!(name);
        pod["spec"]["serviceAccount"] = json!(name);
        let account = self.account(a, pod, &name).await?;
        if automount(&account, pod) {
            mount_token(pod);
        }
        if items(pod, "/spec/imagePullSecrets").is_empty() && !items(&account, "/imagePullSecrets").is_empty() {
            let secrets: Vec<Value> = items(&account, "/imagePullSecrets")
                .iter()
                .map(|s| json!({"name": text(s, "/name")}))
                .collect();
            pod["spec"]["imagePullSecrets"] = json!(secrets);
        }
        Ok(())
    }

    async fn validate(&self, a: &Attributes<'_>, pod: &Value) -> Result<(), ApiError> {
        let grown = a.operation == Operation::Update && a.is("", "pods", "ephemeralcontainers");
        if !grown && (a.operation != Operation::Create || !a.is("", "pods", "")) {
            return Ok(());
        }
        if !grown && is_mirror(pod) {
            return match wrong_in_mirror(pod) {
                Some(why) => Err(a.forbidden(pod, why)),
                None => Ok(()),
            };
        }
        let name = text(pod, "/spec/serviceAccountName");
        if name.is_empty() {
            let why = format!(
                "no service account specified for pod {}/{}",
                a.namespace(),
                text(pod, "/metadata/name")
            );
            return Err(a.forbidden(pod, why));
        }
        let account = self.account(a, pod, name).await?;
        let why = mountable::beyond(&account, pod, grown);
        why.map_or(Ok(()), |why| Err(a.forbidden(pod, why)))
    }
}

/// What a mirror pod may not have.
fn wrong_in_mirror(pod: &Value) -> Option<&'static str> {
    if !text(pod, "/spec/serviceAccountName").is_empty() {
        return Some("a mirror pod may not reference service accounts");
    }
    if references::to_secrets(pod) {
        return Some("a mirror pod may not reference secrets");
    }
    let mut sources = items(pod, "/spec/volumes")
        .iter()
        .flat_map(|v| items(v, "/projected/sources"));
    sources
        .any(|s| s.get("serviceAccountToken").is_some())
        .then_some("a mirror pod may not use ServiceAccountToken volume projections")
}

/// Whether the pod stands for a static pod.
pub(crate) fn is_mirror(pod: &Value) -> bool {
    meta::annotation(pod, MIRROR_ANNOTATION).is_some()
}

fn automount(account: &Value, pod: &Value) -> bool {
    let choice = |v: Option<&Value>| v.and_then(Value::as_bool);
    choice(pod.pointer("/spec/automountServiceAccountToken"))
        .or_else(|| choice(account.get("automountServiceAccountToken")))
        .unwrap_or(true)
}

/// Adds the projected volume and its mounts to the containers that do not mount something there.
fn mount_token(pod: &mut Value) {
    let existing = items(pod, "/spec/volumes")
        .iter()
        .map(|v| text(v, "/name"))
        .find(|n| n.starts_with(VOLUME_PREFIX))
        .map(str::to_owned);
    let name = existing.clone().unwrap_or_else(volume_name);
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        for c in pod["spec"]
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if items(c, "/volumeMounts")
                .iter()
                .any(|m| text(m, "/mountPath") == MOUNT_PATH)
            {
                continue;
            }
            push(
                c,
                "volumeMounts",
                json!({"name": name, "readOnly": true, "mountPath": MOUNT_PATH}),
            );
            mounted = true;
        }
    }
    if mounted && existing.is_none() {
        push(&mut pod["spec"], "volumes", token_volume(&name));
    }
}

fn volume_name() -> String {
    let mut rng = rand::rng();
    let suffix: String = (0..5)
        .map(|_| ALPHABET[rng.random_range(0..ALPHABET.len())] as char)
        .collect();
    format!("{VOLUME_PREFIX}{suffix}")
}

fn push(obj: &mut Value, list: &str, item: Value) {
    match obj.get_mut(list).and_then(Value::as_array_mut) {
        Some(l) => l.push(item),
        None => obj[list] = json!([item]),
    }
}

fn token_volume(name: &str) -> Value {
    json!({
        "name": name,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [
                    {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                ]}}
            ]
        }
    })
}
