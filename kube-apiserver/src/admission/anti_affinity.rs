//! LimitPodHardAntiAffinityTopology: a pod keeps others off its node, not off whole zones.
//!
//! Upstream: `plugin/pkg/admission/antiaffinity/admission.go`.

use apimachinery::gvk::GroupResource;
use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::Value;

use super::{Attributes, Operation, Plugin};
use crate::objects::{items, text};

const TERMS: &str = "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// The plugin.
pub(crate) struct LimitPodHardAntiAffinityTopology;

#[async_trait]
impl Plugin for LimitPodHardAntiAffinityTopology {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn validate(&self, a: &Attributes<'_>, pod: &Value) -> Result<(), ApiError> {
        if !a.is("", "pods", "") {
            return Ok(());
        }
        let keys = items(pod, TERMS).iter().map(|term| text(term, "/topologyKey"));
        match keys.into_iter().find(|key| *key != HOSTNAME) {
            None => Ok(()),
            Some(key) => {
                let why = format!(
                    "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {key} but only key {HOSTNAME} is \
                     allowed"
                );
                let name = text(pod, "/metadata/name");
                Err(ApiError::forbidden(&GroupResource::new("", "pods"), name, why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::RequestContext;

    #[tokio::test]
    async fn pods_may_keep_others_off_their_node_only() {
        let ctx = RequestContext::internal_for("create", "", "v1", "pods", "ns", "p");
        let attrs = Attributes {
            ctx: &ctx,
            operation: Operation::Create,
            old: None,
        };
        let pod = |keys: &[&str]| {
            let terms: Vec<Value> = keys.iter().map(|key| json!({"topologyKey": key})).collect();
            json!({"metadata": {"name": "p"}, "spec": {"affinity": {"podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": terms}}}})
        };
        for keys in [&[][..], &[HOSTNAME]] {
            assert!(
                LimitPodHardAntiAffinityTopology
                    .validate(&attrs, &pod(keys))
                    .await
                    .is_ok()
            );
        }
        let error = LimitPodHardAntiAffinityTopology
            .validate(&attrs, &pod(&[HOSTNAME, "zone"]))
            .await;
        let wanted = "pods \"p\" is forbidden: affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone \
            but only key kubernetes.io/hostname is allowed";
        assert_eq!(error.err().map(|e| e.message).as_deref(), Some(wanted));
    }
}
