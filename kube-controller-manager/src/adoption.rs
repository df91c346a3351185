//! Which objects an owner has, takes or lets go, by selector and controller reference.
//!
//! Upstream: pkg/controller/controller_ref_manager.go `BaseControllerRefManager.ClaimObject`.

use std::future::Future;
use std::sync::Arc;

use apimachinery::labels::Selector;
use client::{Api, Object, Patch};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::json;

/// What to do with the objects that an owner may have.
#[derive(Debug)]
pub(crate) struct Claim<K> {
    /// Has them and they match.
    pub(crate) owned: Vec<Arc<K>>,
    /// Orphans that match.
    pub(crate) adopt: Vec<Arc<K>>,
    /// Has them and they match no more.
    pub(crate) release: Vec<Arc<K>>,
}

/// Sorts the candidates. `owner` being deleted keeps what it has and takes nothing.
pub(crate) fn claim<K: Object>(owner: &ObjectMeta, selector: &Selector, candidates: Vec<Arc<K>>) -> Claim<K> {
    let uid = owner.uid.as_deref().unwrap_or_default();
    let mut claim = Claim {
        owned: Vec::new(),
        adopt: Vec::new(),
        release: Vec::new(),
    };
    for object in candidates {
        let meta = object.metadata();
        let matches = selector.matches_optional(meta.labels.as_ref());
        match rules::owners::controller_of(meta) {
            Some(reference) if reference.uid != uid => {}
            Some(_) if matches => claim.owned.push(object),
            Some(_) if owner.deletion_timestamp.is_none() => claim.release.push(object),
            Some(_) => {}
            None if matches && owner.deletion_timestamp.is_none() && meta.deletion_timestamp.is_none() => {
                claim.adopt.push(object);
            }
            None => {}
        }
    }
    claim
}

/// Carries a claim out and returns what the owner has then. `fresh` reads the owner's metadata from the API, once
/// and only before an adoption, so that a deleted owner's stale copy adopts nothing.
pub(crate) async fn apply<O, K, F>(
    owner: &ObjectMeta,
    claim: Claim<K>,
    api: &Api<K>,
    fresh: impl FnOnce() -> F,
) -> anyhow::Result<Vec<Arc<K>>>
where
    O: k8s_openapi::Resource,
    K: Object + DeserializeOwned,
    F: Future<Output = client::Result<ObjectMeta>>,
{
    let uid = owner.uid.as_deref().unwrap_or_default();
    let mut owned = claim.owned;
    if !claim.adopt.is_empty() {
        let now = fresh().await?;
        anyhow::ensure!(
            now.uid.as_deref() == Some(uid),
            "the owner was replaced by one of the same name"
        );
        anyhow::ensure!(now.deletion_timestamp.is_none(), "the owner is being deleted");
        let reference = rules::owners::new_controller_ref::<O>(owner);
        for object in claim.adopt {
            let patch = json!({"metadata": {"ownerReferences": [reference], "uid": object.metadata().uid}});
            match api.patch(name_of(&*object), &Patch::Strategic(patch), None).await {
                Ok(adopted) => owned.push(Arc::new(adopted)),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    for object in claim.release {
        let patch = json!({"metadata": {"ownerReferences": [{"$patch": "delete", "uid": uid}],
            "uid": object.metadata().uid}});
        match api.patch(name_of(&*object), &Patch::Strategic(patch), None).await {
            // Invalid: it has no owner references any more, or another UID.
            Err(error) if !error.is_not_found() && !error.is_invalid() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(owned)
}

fn name_of<K: Object>(object: &K) -> &str {
    object.metadata().name.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
    use k8s_openapi::jiff::Timestamp;

    fn pod(name: &str, app: &str, owner: Option<&str>) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.into());
        pod.metadata.labels = Some([("app".to_owned(), app.to_owned())].into());
        pod.metadata.owner_references = owner.map(|uid| {
            vec![OwnerReference {
                uid: uid.into(),
                controller: Some(true),
                ..OwnerReference::default()
            }]
        });
        Arc::new(pod)
    }

    fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
        pods.iter().map(|p| name_of(&**p)).collect()
    }

    #[test]
    fn matching_orphans_are_taken_and_strayed_ones_let_go() {
        let selector = Selector::parse("app=web").unwrap();
        let mut owner = ObjectMeta {
            uid: Some("me".into()),
            ..ObjectMeta::default()
        };
        let pods = || {
            vec![
                pod("mine", "web", Some("me")),
                pod("strayed", "other", Some("me")),
                pod("orphan", "web", None),
                pod("foreign", "web", Some("you")),
                pod("unrelated", "other", None),
            ]
        };
        let c = claim(&owner, &selector, pods());
        assert_eq!(
            (names(&c.owned), names(&c.adopt), names(&c.release)),
            (vec!["mine"], vec!["orphan"], vec!["strayed"])
        );
        owner.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let c = claim(&owner, &selector, pods());
        assert_eq!((names(&c.owned), c.adopt.len(), c.release.len()), (vec!["mine"], 0, 0));
    }
}
