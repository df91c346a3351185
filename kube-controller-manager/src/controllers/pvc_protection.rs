//! persistentvolumeclaim-protection-controller: a claim that is being deleted goes when no pod on a
//! node uses it any more.
//!
//! Upstream: pkg/controller/volume/pvcprotection/pvc_protection_controller.go. Key:
//! `namespace/name` of the claim.

use std::sync::Arc;

use client::{
    Api, Client,
    controller::Outcome,
    informer::{Event, Reader},
    object,
    workqueue::WorkQueue,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};

use super::{finalizers, name, namespace};
use crate::context::{ControllerContext, Work};

const FINALIZER: &str = "kubernetes.io/pvc-protection";
/// Index of pods by the claims that they name, as `namespace/claim`.
const BY_CLAIM: &str = "persistentVolumeClaim";

struct Controller {
    client: Client,
    claims: Reader<PersistentVolumeClaim>,
    pods: Reader<Pod>,
}

pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let queue = WorkQueue::new("pvcprotection");
    let claims = ctx.informers.informer::<PersistentVolumeClaim>();
    claims.add_handler({
        let queue = queue.clone();
        move |event| match event {
            Event::Added(claim) | Event::Updated { new: claim, .. } => queue.add(object::key_of(&*claim)),
            Event::Deleted(_) => {}
        }
    });
    let pods = ctx.informers.informer::<Pod>();
    pods.add_index(BY_CLAIM, claim_keys);
    pods.add_handler({
        let queue = queue.clone();
        // Only the end of a pod can free a claim.
        move |event| {
            if let Event::Deleted(pod) = event {
                claim_keys(&pod).into_iter().for_each(|key| queue.add(key));
            }
        }
    });
    let controller = Arc::new(Controller {
        client: ctx.client("pvc-protection-controller"),
        claims: claims.reader(),
        pods: pods.reader(),
    });
    Some(
        ctx.work("persistentvolumeclaim-protection-controller", queue, 1, move |key| {
            let controller = controller.clone();
            async move { controller.reconcile(&key).await }
        }),
    )
}

/// The claims that a pod names, its own ephemeral ones included (`<pod>-<volume>`).
fn claim_keys(pod: &Pod) -> Vec<String> {
    let volumes = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.volumes.as_deref())
        .unwrap_or_default();
    let claims = volumes
        .iter()
        .filter_map(|volume| match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(source), _) => Some(source.claim_name.clone()),
            (None, Some(_)) => Some(format!("{}-{}", name(pod), volume.name)),
            (None, None) => None,
        });
    claims.map(|claim| object::key(namespace(pod), &claim)).collect()
}

/// A pod without a node will not be started with a claim that is being deleted.
fn is_used(pods: &[Arc<Pod>]) -> bool {
    pods.iter().any(|pod| {
        pod.spec
            .as_ref()
            .and_then(|spec| spec.node_name.as_deref())
            .is_some_and(|node| !node.is_empty())
    })
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let Some(claim) = self.claims.get_by_key(key) else {
            return Ok(Outcome::Done);
        };
        let used = is_used(&self.pods.by_index(BY_CLAIM, key));
        let Some(wanted) = finalizers::protected(&claim.metadata, FINALIZER, used) else {
            return Ok(Outcome::Done);
        };
        let api = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), namespace(&*claim));
        let mut claim = (*claim).clone();
        claim.metadata.finalizers = Some(wanted);
        finalizers::written(api.update(&claim).await)
    }
}
