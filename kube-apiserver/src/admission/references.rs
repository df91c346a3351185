//! What API objects a pod refers to: a mirror pod may refer to none (upstream `podutil.HasAPIObjectReference`).

use serde_json::Value;

use crate::objects::{items, text};

const CONTAINERS: [&str; 3] = ["/spec/containers", "/spec/initContainers", "/spec/ephemeralContainers"];

/// Volumes by what of the API they need; those not named need nothing.
const VOLUMES: [(&str, &str); 7] = [
    ("configMap", "configmaps (via configmap volumes)"),
    ("secret", "secrets (via secret volumes)"),
    ("csi", "csidrivers (via CSI volumes)"),
    ("glusterfs", "endpoints (via glusterFS volumes)"),
    ("persistentVolumeClaim", "persistentvolumeclaims"),
    ("ephemeral", "persistentvolumeclaims (via ephemeral volumes)"),
    ("azureFile", "secrets (via azureFile volumes)"),
];

/// Sources of projected volumes.
const PROJECTED: [(&str, &str); 5] = [
    ("configMap", "configmaps (via projected volumes)"),
    ("secret", "secrets (via projected volumes)"),
    ("serviceAccountToken", "serviceaccounts (via projected volumes)"),
    ("clusterTrustBundle", "clustertrustbundles"),
    ("podCertificate", "podcertificates"),
];

/// Where a volume names a Secret, other than by being one.
const VOLUME_SECRETS: [&str; 10] = [
    "/azureFile/secretName",
    "/cephfs/secretRef/name",
    "/cinder/secretRef/name",
    "/csi/nodePublishSecretRef/name",
    "/flexVolume/secretRef/name",
    "/iscsi/secretRef/name",
    "/rbd/secretRef/name",
    "/scaleIO/secretRef/name",
    "/secret/secretName",
    "/storageos/secretRef/name",
];

fn has(object: &Value, pointer: &str) -> bool {
    !text(object, pointer).is_empty()
}

fn sources(volume: &Value) -> std::slice::Iter<'_, Value> {
    items(volume, "/projected/sources").iter()
}

fn projected(pod: &Value, kind: &str) -> bool {
    let volumes = items(pod, "/spec/volumes").iter();
    volumes.flat_map(sources).any(|s| has(s, &format!("/{kind}/name")))
}

fn in_containers(pod: &Value, from: &str, key: &str) -> bool {
    let (from, key) = (format!("/{from}/name"), format!("/valueFrom/{key}/name"));
    let mut containers = CONTAINERS.iter().flat_map(|list| items(pod, list));
    containers.any(|container| {
        items(container, "/envFrom").iter().any(|e| has(e, &from))
            || items(container, "/env").iter().any(|e| has(e, &key))
    })
}

/// Whether a pod refers to a Secret anywhere (upstream `podutil.VisitPodSecretNames`).
pub(super) fn to_secrets(pod: &Value) -> bool {
    let volumes = items(pod, "/spec/volumes");
    items(pod, "/spec/imagePullSecrets").iter().any(|s| has(s, "/name"))
        || volumes.iter().any(|v| VOLUME_SECRETS.iter().any(|p| has(v, p)))
        || projected(pod, "secret")
        || in_containers(pod, "secretRef", "secretKeyRef")
}

/// The first kind of API object a pod refers to, in the words of the refusal.
pub(super) fn references(pod: &Value) -> Option<&'static str> {
    if has(pod, "/spec/serviceAccountName") {
        return Some("serviceaccounts");
    }
    if to_secrets(pod) {
        return Some("secrets");
    }
    let volumes = items(pod, "/spec/volumes");
    if volumes.iter().any(|v| has(v, "/configMap/name"))
        || projected(pod, "configMap")
        || in_containers(pod, "configMapRef", "configMapKeyRef")
    {
        return Some("configmaps");
    }
    if !items(pod, "/spec/resourceClaims").is_empty() {
        return Some("resourceclaims");
    }
    let find = |object: &Value, table: &[(&str, &'static str)]| {
        let found = table
            .iter()
            .find(|(field, _)| object.get(field).is_some_and(Value::is_object));
        found.map(|(_, what)| *what)
    };
    volumes
        .iter()
        .find_map(|volume| find(volume, &VOLUMES).or_else(|| sources(volume).find_map(|s| find(s, &PROJECTED))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_of_the_api_a_pod_uses_is_named() {
        let volume = |source: Value| json!({"volumes": [source]});
        for (spec, what) in [
            (json!({}), None),
            (volume(json!({"hostPath": {"path": "/"}})), None),
            (volume(json!({"projected": {"sources": [{"downwardAPI": {}}]}})), None),
            (json!({"serviceAccountName": "a"}), Some("serviceaccounts")),
            (json!({"imagePullSecrets": [{"name": "a"}]}), Some("secrets")),
            (
                json!({"containers": [{"envFrom": [{"secretRef": {"name": "a"}}]}]}),
                Some("secrets"),
            ),
            (volume(json!({"cephfs": {"secretRef": {"name": "a"}}})), Some("secrets")),
            (
                json!({"initContainers": [{"env": [{"valueFrom": {"configMapKeyRef": {"name": "a"}}}]}]}),
                Some("configmaps"),
            ),
            (json!({"resourceClaims": [{"name": "a"}]}), Some("resourceclaims")),
            (
                volume(json!({"csi": {"driver": "d"}})),
                Some("csidrivers (via CSI volumes)"),
            ),
            (
                volume(json!({"ephemeral": {}})),
                Some("persistentvolumeclaims (via ephemeral volumes)"),
            ),
            (
                volume(json!({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}})),
                Some("serviceaccounts (via projected volumes)"),
            ),
        ] {
            assert_eq!(references(&json!({"spec": spec})), what, "{spec}");
        }
    }
}
