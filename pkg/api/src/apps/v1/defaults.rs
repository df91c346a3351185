//! Defaults of apps/v1 (pkg/apis/apps/v1/defaults.go).

use k8s_openapi::api::apps::v1::{
    DaemonSet, Deployment, ReplicaSet, RollingUpdateStatefulSetStrategy, StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use crate::check::text;
use crate::core::v1::defaults::{or, persistent_volume_claim, pod_template_spec};
use crate::gates::{Gate, on};
use crate::meta::is_empty_selector;

/// Old ReplicaSets or ControllerRevisions kept for rollback.
const HISTORY: i32 = 10;

/// Keeps that an empty selector was given, which the type cannot say: it gets an empty `matchLabels`.
pub fn given_selector(raw: &Value, selector: &mut LabelSelector) {
    if raw.pointer("/spec/selector").is_some_and(Value::is_object) && is_empty_selector(selector) {
        selector.match_labels.get_or_insert_default();
    }
}

/// One replica, rolling update by quarters, ten revisions, ten minutes (`SetDefaults_Deployment`).
pub fn deployment(obj: &mut Deployment) {
    let spec = obj.spec.get_or_insert_default();
    pod_template_spec(&mut spec.template);
    spec.replicas.get_or_insert(1);
    let strategy = spec.strategy.get_or_insert_default();
    or(&mut strategy.type_, "RollingUpdate");
    if text(&strategy.type_) == "RollingUpdate" {
        let rolling = strategy.rolling_update.get_or_insert_default();
        for limit in [&mut rolling.max_unavailable, &mut rolling.max_surge] {
            limit.get_or_insert_with(|| IntOrString::String("25%".to_string()));
        }
    }
    spec.revision_history_limit.get_or_insert(HISTORY);
    spec.progress_deadline_seconds.get_or_insert(600);
    obj.status.get_or_insert_default();
}

/// One replica (`SetDefaults_ReplicaSet`).
pub fn replica_set(obj: &mut ReplicaSet) {
    let spec = obj.spec.get_or_insert_default();
    pod_template_spec(spec.template.get_or_insert_default());
    spec.replicas.get_or_insert(1);
    obj.status.get_or_insert_default();
}

/// Where a DaemonSet counts the changes of its template, since that is no field any more
/// (pkg/apis/apps/v1/conversion.go `Convert_apps_DaemonSet_To_v1_DaemonSet`).
pub const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Rolling update of one node at a time, ten revisions (`SetDefaults_DaemonSet`); the count of
/// templates is always there.
pub fn daemon_set(obj: &mut DaemonSet) {
    let annotations = obj.metadata.annotations.get_or_insert_default();
    annotations
        .entry(TEMPLATE_GENERATION.to_string())
        .or_insert_with(|| "0".to_string());
    let spec = obj.spec.get_or_insert_default();
    pod_template_spec(&mut spec.template);
    let strategy = spec.update_strategy.get_or_insert_default();
    or(&mut strategy.type_, "RollingUpdate");
    if text(&strategy.type_) == "RollingUpdate" {
        let rolling = strategy.rolling_update.get_or_insert_default();
        rolling.max_unavailable.get_or_insert(IntOrString::Int(1));
        rolling.max_surge.get_or_insert(IntOrString::Int(0));
    }
    spec.revision_history_limit.get_or_insert(HISTORY);
    obj.status.get_or_insert_default();
}

/// Ordered pods, rolling update of all, claims retained (`SetDefaults_StatefulSet`).
pub fn stateful_set(obj: &mut StatefulSet) {
    let spec = obj.spec.get_or_insert_default();
    // Go always writes these two.
    spec.service_name.get_or_insert_default();
    if let Some(ordinals) = &mut spec.ordinals {
        ordinals.start.get_or_insert(0);
    }
    pod_template_spec(&mut spec.template);
    spec.volume_claim_templates
        .iter_mut()
        .flatten()
        .for_each(persistent_volume_claim);
    or(&mut spec.pod_management_policy, "OrderedReady");
    let strategy = spec.update_strategy.get_or_insert_default();
    if text(&strategy.type_).is_empty() {
        or(&mut strategy.type_, "RollingUpdate");
        strategy
            .rolling_update
            .get_or_insert_with(RollingUpdateStatefulSetStrategy::default);
    }
    if text(&strategy.type_) == "RollingUpdate"
        && let Some(rolling) = &mut strategy.rolling_update
    {
        rolling.partition.get_or_insert(0);
        if on(Gate::MaxUnavailable) {
            rolling.max_unavailable.get_or_insert(IntOrString::Int(1));
        }
    }
    let retention = spec
        .persistent_volume_claim_retention_policy
        .get_or_insert_with(StatefulSetPersistentVolumeClaimRetentionPolicy::default);
    or(&mut retention.when_deleted, "Retain");
    or(&mut retention.when_scaled, "Retain");
    spec.replicas.get_or_insert(1);
    spec.revision_history_limit.get_or_insert(HISTORY);
    obj.status.get_or_insert_default().available_replicas.get_or_insert(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_minimal_deployment_gets_upstreams_defaults() {
        let mut obj: Deployment = serde_json::from_value(json!({"spec": {"selector": {},
            "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}}))
        .expect("a test object");
        deployment(&mut obj);
        let got = serde_json::to_value(&obj).expect("encodes");
        assert_eq!(got["spec"]["replicas"], 1);
        assert_eq!(
            got["spec"]["strategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}})
        );
        assert_eq!(got["spec"]["revisionHistoryLimit"], 10);
        assert_eq!(got["spec"]["progressDeadlineSeconds"], 600);
        assert_eq!(got["spec"]["template"]["spec"]["restartPolicy"], "Always");
        assert!(got["spec"]["template"]["spec"].get("enableServiceLinks").is_none());
    }
}
