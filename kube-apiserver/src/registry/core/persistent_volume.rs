//! PersistentVolumes (pkg/registry/core/persistentvolume/strategy.go).

use api::core::v1::{defaults, validation, warnings};
use apimachinery::time::now_time;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeStatus};

use crate::registry::strategies::rules::{Rules, Warnings};
use crate::registry::strategy::Typed;

/// PersistentVolumes.
pub(crate) static STRATEGY: Typed<Rules<PersistentVolume>> = Typed(Rules {
    default: defaults::persistent_volume,
    prepare_create: |_, obj| {
        obj.status = Some(PersistentVolumeStatus {
            phase: Some("Pending".to_string()),
            last_phase_transition_time: Some(now_time()),
            ..PersistentVolumeStatus::default()
        });
    },
    prepare_update: |_, new, old| new.status.clone_from(&old.status),
    warnings: Warnings::Object(warnings::persistent_volume),
    status: Some(&STATUS),
    ..Rules::new(
        validation::persistent_volume_create,
        validation::persistent_volume_update,
    )
});

/// `persistentvolumes/status`.
static STATUS: Typed<Rules<PersistentVolume>> = Typed(Rules::updating(
    defaults::persistent_volume,
    |_, new, old| {
        new.spec.clone_from(&old.spec);
        tell_transition(new, old);
    },
    validation::persistent_volume_status_update,
));

/// When the phase changed, unless the client says when (`persistentvolumeStatusStrategy.PrepareForUpdate`).
fn tell_transition(new: &mut PersistentVolume, old: &PersistentVolume) {
    let before = old.status.clone().unwrap_or_default();
    let status = new.status.get_or_insert_default();
    let (told, known) = (
        &mut status.last_phase_transition_time,
        before.last_phase_transition_time,
    );
    if status.phase != before.phase {
        if told.is_none() || *told == known {
            *told = Some(now_time());
        }
    } else if told.is_none() {
        *told = known;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::strategy::Strategy as _;
    use crate::request::RequestContext;

    #[test]
    fn the_time_of_a_change_of_phase_is_told() {
        const BEFORE: &str = "2020-01-01T00:00:00Z";
        const OTHER: &str = "2021-01-01T00:00:00Z";
        let volume = |phase: &str, at: Value| json!({"metadata": {"name": "v"}, "spec": {}, "status": {"phase": phase, "lastPhaseTransitionTime": at}});
        let old = volume("Available", json!(BEFORE));
        let after = |new: Value| {
            let mut new = new;
            STATUS.prepare_for_update(&RequestContext::internal(), &mut new, &old);
            new["status"]["lastPhaseTransitionTime"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(after(volume("Available", Value::Null)), BEFORE);
        assert_eq!(after(volume("Bound", json!(OTHER))), OTHER);
        for told in [Value::Null, json!(BEFORE)] {
            assert!(after(volume("Bound", told)).as_str() > OTHER);
        }
        let mut new = volume("Bound", Value::Null);
        STRATEGY.prepare_for_create(&RequestContext::internal(), &mut new);
        assert_eq!(new["status"]["phase"], "Pending");
        assert!(new["status"]["lastPhaseTransitionTime"].as_str() > Some(OTHER));
    }
}
