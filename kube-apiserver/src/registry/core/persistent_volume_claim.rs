//! PersistentVolumeClaims (pkg/registry/core/persistentvolumeclaim/strategy.go).

use api::core::v1::{defaults, validation, warnings};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus, TypedLocalObjectReference,
    TypedObjectReference,
};

use crate::registry::strategies::rules::{Rules, Warnings};
use crate::registry::strategy::Typed;

/// PersistentVolumeClaims.
pub(crate) static STRATEGY: Typed<Rules<PersistentVolumeClaim>> = Typed(Rules {
    default: defaults::persistent_volume_claim,
    prepare_create: |_, obj| {
        obj.status = Some(PersistentVolumeClaimStatus {
            phase: Some("Pending".to_string()),
            ..PersistentVolumeClaimStatus::default()
        });
        data_sources(obj.spec.get_or_insert_default(), None);
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        data_sources(new.spec.get_or_insert_default(), old.spec.as_ref());
    },
    warnings: Warnings::Object(warnings::persistent_volume_claim),
    status: Some(&STATUS),
    ..Rules::new(
        validation::persistent_volume_claim_create,
        validation::persistent_volume_claim_update,
    )
});

/// `persistentvolumeclaims/status`.
static STATUS: Typed<Rules<PersistentVolumeClaim>> = Typed(Rules::updating(
    defaults::persistent_volume_claim,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::persistent_volume_claim_status_update,
));

/// A source that the older field never took is forgotten unless the claim has one already; then each
/// of the two fields says what the other does (pkg/api/persistentvolumeclaim/util.go
/// `EnforceDataSourceBackwardsCompatibility`, `NormalizeDataSources`).
fn data_sources(spec: &mut PersistentVolumeClaimSpec, old: Option<&PersistentVolumeClaimSpec>) {
    let had = old.is_some_and(|old| old.data_source.is_some() || old.data_source_ref.is_some());
    if !had && spec.data_source_ref.is_none() {
        spec.data_source = spec.data_source.take().filter(|source| {
            matches!(
                (source.api_group.as_deref().unwrap_or(""), source.kind.as_str()),
                ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
            )
        });
    }
    match (&spec.data_source, &spec.data_source_ref) {
        (Some(source), None) => {
            spec.data_source_ref = Some(TypedObjectReference {
                api_group: source.api_group.clone(),
                kind: source.kind.clone(),
                name: source.name.clone(),
                namespace: None,
            });
        }
        (None, Some(source)) if source.namespace.as_deref().is_none_or(str::is_empty) => {
            spec.data_source = Some(TypedLocalObjectReference {
                api_group: source.api_group.clone(),
                kind: source.kind.clone(),
                name: source.name.clone(),
            });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn both_fields_say_where_the_data_comes_from() {
        let claim = json!({"kind": "PersistentVolumeClaim", "name": "a"});
        let other = json!({"apiGroup": "g", "kind": "K", "name": "a"});
        let far = json!({"kind": "PersistentVolumeClaim", "name": "a", "namespace": "n"});
        let none = json!(null);
        let cases = [
            ("the older field", &none, (&claim, &none), (&claim, &claim)),
            ("the newer field", &none, (&none, &other), (&other, &other)),
            ("both", &none, (&claim, &other), (&claim, &other)),
            ("what the older never took", &none, (&other, &none), (&none, &none)),
            (
                "that, but it is there already",
                &other,
                (&other, &none),
                (&other, &other),
            ),
            ("another namespace", &none, (&none, &far), (&none, &far)),
        ];
        let spec = |source: &Value, reference: &Value| {
            serde_json::from_value::<PersistentVolumeClaimSpec>(
                json!({"dataSource": source, "dataSourceRef": reference}),
            )
            .expect("a spec")
        };
        for (name, old, given, want) in cases {
            let mut new = spec(given.0, given.1);
            data_sources(&mut new, Some(&spec(old, &none)));
            assert_eq!(new, spec(want.0, want.1), "{name}");
        }
    }
}
