//! Lease `kube-system/apiserver-<hash>`: this server's identity, renewed while it lives, for those who
//! need to know which API servers there are.
//!
//! Upstream: `pkg/controlplane/apiserver/server.go` (`labelAPIServerHeartbeatFunc`),
//! `apiserver/pkg/server/config.go` (the hash), `controller/apiserverleasegc`.

use apimachinery::status::ApiError;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::objects::{Objects, find, text};

const GROUP: &str = "coordination.k8s.io";
const NAMESPACE: &str = "kube-system";
/// Marks the leases of this kind, by component.
const COMPONENT_LABEL: &str = "apiserver.kubernetes.io/identity";
const COMPONENT: &str = "kube-apiserver";
const DURATION_SECONDS: i64 = 3600;

/// Who this server is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    hostname: String,
    lease: String,
    holder: String,
}

impl Identity {
    /// This process on this host.
    pub(crate) fn of_this_process() -> Self {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self::new(hostname.trim())
    }

    /// The same for every start on a host.
    pub(crate) fn id(&self) -> &str {
        &self.lease
    }

    fn new(hostname: &str) -> Self {
        let lease = server_id(hostname);
        Identity {
            hostname: hostname.to_owned(),
            holder: format!("{lease}_{}", apimachinery::names::new_uid()),
            lease,
        }
    }
}

/// `apiserver-` and the hash of host and component, the same for every start on a host.
fn server_id(hostname: &str) -> String {
    let mut data = vec![];
    for part in [hostname, COMPONENT] {
        data.extend((part.len() as u16).to_be_bytes());
        data.extend(part.as_bytes());
    }
    let hash = Sha256::digest(&data);
    format!("apiserver-{}", base32(&hash[..16]))
}

/// RFC 4648 in lower case, without padding.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let (mut out, mut buffer, mut bits) = (String::new(), 0u32, 0);
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(ALPHABET[(buffer >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        out.push(char::from(ALPHABET[(buffer << (5 - bits) & 31) as usize]));
    }
    out
}

/// Takes away what an earlier process of this host left: nobody must take it for us.
pub(crate) async fn begin(objects: &dyn Objects, me: &Identity) -> Result<(), ApiError> {
    end(objects, me).await?;
    renew(objects, me).await
}

/// Says that this server lives.
pub(crate) async fn renew(objects: &dyn Objects, me: &Identity) -> Result<(), ApiError> {
    let labels = json!({COMPONENT_LABEL: COMPONENT, "kubernetes.io/hostname": me.hostname});
    let now = apimachinery::time::now_rfc3339_micro();
    let result = match find(objects, GROUP, "leases", NAMESPACE, &me.lease).await? {
        None => {
            let lease = json!({
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": me.lease, "namespace": NAMESPACE, "labels": labels},
                "spec": {"holderIdentity": me.holder, "leaseDurationSeconds": DURATION_SECONDS, "renewTime": now},
            });
            objects.create(GROUP, "leases", NAMESPACE, lease).await
        }
        Some(have) => {
            let mut new = (*have).clone();
            for (k, v) in labels.as_object().into_iter().flatten() {
                new["metadata"]["labels"][k] = v.clone();
            }
            new["spec"]["holderIdentity"] = json!(me.holder);
            new["spec"]["leaseDurationSeconds"] = json!(DURATION_SECONDS);
            new["spec"]["renewTime"] = json!(now);
            objects.update(GROUP, "leases", NAMESPACE, new).await
        }
    };
    match result {
        // The next renewal sees the object as it is then.
        Err(e) if !e.is_already_exists() && !e.is_conflict() => Err(e),
        _ => Ok(()),
    }
}

/// Takes this server's lease away.
pub(crate) async fn end(objects: &dyn Objects, me: &Identity) -> Result<(), ApiError> {
    match objects.delete(GROUP, "leases", NAMESPACE, &me.lease).await {
        Err(e) if !e.is_not_found() => Err(e),
        _ => Ok(()),
    }
}

/// Deletes the leases of servers that did not renew theirs, at `now`.
pub(crate) async fn sweep(objects: &dyn Objects, now: jiff::Timestamp) -> Result<(), ApiError> {
    for lease in objects.list(GROUP, "leases", NAMESPACE).await? {
        if lease["metadata"]["labels"][COMPONENT_LABEL] == COMPONENT && expired(&lease, now) {
            match objects
                .delete(GROUP, "leases", NAMESPACE, text(&lease, "/metadata/name"))
                .await
            {
                Err(e) if !e.is_not_found() => return Err(e),
                _ => {}
            }
        }
    }
    Ok(())
}

fn expired(lease: &Value, now: jiff::Timestamp) -> bool {
    let renewed = apimachinery::time::parse(text(lease, "/spec/renewTime"));
    match (renewed, lease["spec"]["leaseDurationSeconds"].as_i64()) {
        (Ok(at), Some(seconds)) => now.as_second() - at.as_second() > seconds,
        _ => true,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::objects::memory::MemoryObjects;

    #[test]
    fn the_id_is_the_hash_of_host_and_component() {
        // SHA-256 of 0x0001 "a" 0x000e "kube-apiserver", its first half in base 32.
        let id = server_id("a");
        assert_eq!(id.len(), "apiserver-".len() + 26);
        assert_eq!((server_id("a"), server_id("b") == id), (id.clone(), false));
        assert_eq!(base32(b"foobar"), "mzxw6ytboi");
    }

    #[tokio::test]
    async fn the_lease_lives_with_the_server() {
        let objects = MemoryObjects::default();
        let (old, me) = (Identity::new("host"), Identity::new("host"));
        begin(&objects, &old).await.unwrap();
        begin(&objects, &me).await.unwrap();
        renew(&objects, &me).await.unwrap();
        let lease = objects.get(GROUP, "leases", NAMESPACE, &me.lease).await.unwrap();
        assert_eq!(text(&lease, "/spec/holderIdentity"), me.holder);
        assert_eq!(
            lease["metadata"]["labels"],
            json!({COMPONENT_LABEL: COMPONENT, "kubernetes.io/hostname": "host"})
        );
        let now = apimachinery::time::now();
        sweep(&objects, now).await.unwrap();
        assert_eq!(objects.names(GROUP, "leases").len(), 1);
        sweep(&objects, now + jiff::SignedDuration::from_secs(2 * DURATION_SECONDS))
            .await
            .unwrap();
        assert!(objects.names(GROUP, "leases").is_empty());
        end(&objects, &me).await.unwrap();
    }
}
