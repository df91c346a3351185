//! Owner references (apimachinery `pkg/apis/meta/v1/controller_ref.go`).

use k8s_openapi::Resource;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The reference to the managing controller, if any (`GetControllerOf`).
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references
        .iter()
        .flatten()
        .find(|r| r.controller == Some(true))
}

/// Whether the object is managed by the controller with this UID (`IsControlledBy`).
pub fn is_controlled_by(meta: &ObjectMeta, owner_uid: &str) -> bool {
    controller_of(meta).is_some_and(|r| r.uid == owner_uid)
}

/// A controller reference to an owner of kind `K`, with `controller` and `blockOwnerDeletion` set
/// (`NewControllerRef`). Owner name and UID must be known: an object read from the API has them.
pub fn new_controller_ref<K: Resource>(owner: &ObjectMeta) -> OwnerReference {
    controller_ref(K::API_VERSION, K::KIND, owner)
}

/// [`new_controller_ref`] for owners whose kind is known at run time only.
pub fn controller_ref(api_version: &str, kind: &str, owner: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: api_version.to_string(),
        kind: kind.to_string(),
        name: owner.name.clone().unwrap_or_default(),
        uid: owner.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Whether `meta` has an owner with this UID, controller or not.
pub fn has_owner(meta: &ObjectMeta, owner_uid: &str) -> bool {
    meta.owner_references.iter().flatten().any(|r| r.uid == owner_uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::ReplicaSet;

    #[test]
    fn controller_reference_names_the_owner_and_is_found_again() {
        let owner = ObjectMeta {
            name: Some("rs".into()),
            uid: Some("u1".into()),
            ..ObjectMeta::default()
        };
        let reference = new_controller_ref::<ReplicaSet>(&owner);
        assert_eq!(
            (reference.api_version.as_str(), reference.kind.as_str()),
            ("apps/v1", "ReplicaSet")
        );
        let plain = OwnerReference {
            controller: None,
            uid: "u0".into(),
            ..reference.clone()
        };
        let child = ObjectMeta {
            owner_references: Some(vec![plain, reference]),
            ..ObjectMeta::default()
        };
        assert_eq!(controller_of(&child).map(|r| r.uid.as_str()), Some("u1"));
        assert!(is_controlled_by(&child, "u1") && !is_controlled_by(&child, "u0"));
        assert!(has_owner(&child, "u0") && !has_owner(&child, "u2"));
    }
}
