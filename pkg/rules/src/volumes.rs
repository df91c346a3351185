//! What claims of volumes name (component-helpers storage/volume `GetPersistentVolumeClaimClass`).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

/// The storage class of a claim, `""` when it has none; the old annotation comes first.
pub fn storage_class_of_claim(claim: &PersistentVolumeClaim) -> &str {
    let notes = claim.metadata.annotations.as_ref();
    let class = notes
        .and_then(|notes| notes.get("volume.beta.kubernetes.io/storage-class"))
        .or_else(|| claim.spec.as_ref()?.storage_class_name.as_ref());
    class.map_or("", String::as_str)
}

/// The volume attributes classes that a claim wants, has or is getting (`getReferencedVolumeAttributesClassNames`).
pub fn attributes_classes_of_claim(claim: &PersistentVolumeClaim) -> BTreeSet<String> {
    let (spec, status) = (claim.spec.as_ref(), claim.status.as_ref());
    let modified = status.and_then(|status| status.modify_volume_status.as_ref());
    [
        spec.and_then(|spec| spec.volume_attributes_class_name.clone()),
        status.and_then(|status| status.current_volume_attributes_class_name.clone()),
        modified.and_then(|modified| modified.target_volume_attributes_class_name.clone()),
    ]
    .into_iter()
    .flatten()
    .filter(|class| !class.is_empty())
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_names_the_classes_it_wants_has_and_gets() {
        let claim = serde_json::from_value(json!({"spec": {"volumeAttributesClassName": "wanted"}, "status": {
            "currentVolumeAttributesClassName": "had",
            "modifyVolumeStatus": {"targetVolumeAttributesClassName": "target", "status": "InProgress"}}}))
        .unwrap();
        let names: Vec<String> = attributes_classes_of_claim(&claim).into_iter().collect();
        assert_eq!(names, ["had", "target", "wanted"]);
        assert!(attributes_classes_of_claim(&PersistentVolumeClaim::default()).is_empty());
    }

    #[test]
    fn the_old_annotation_names_the_storage_class_first() {
        for (claim, class) in [
            (json!({}), ""),
            (json!({"spec": {"storageClassName": "new"}}), "new"),
            (
                json!({"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}},
                    "spec": {"storageClassName": "new"}}),
                "old",
            ),
        ] {
            let claim = serde_json::from_value(claim).unwrap();
            assert_eq!(storage_class_of_claim(&claim), class);
        }
    }
}
