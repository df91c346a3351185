//! persistentvolume-protection-controller: a volume that is being deleted goes when it is bound to
//! no claim.
//!
//! Upstream: pkg/controller/volume/pvprotection/pv_protection_controller.go. Key: the volume.

use std::sync::Arc;

use client::{
    Api, Client,
    controller::Outcome,
    informer::{Event, Reader},
    workqueue::WorkQueue,
};
use k8s_openapi::api::core::v1::PersistentVolume;

use super::{finalizers, name};
use crate::context::{ControllerContext, Work};

const FINALIZER: &str = "kubernetes.io/pv-protection";

struct Controller {
    client: Client,
    volumes: Reader<PersistentVolume>,
}

pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let queue = WorkQueue::new("pvprotection");
    let volumes = ctx.informers.informer::<PersistentVolume>();
    volumes.add_handler({
        let queue = queue.clone();
        move |event| match event {
            Event::Added(volume) | Event::Updated { new: volume, .. } => queue.add(name(&*volume).to_owned()),
            Event::Deleted(_) => {}
        }
    });
    let controller = Arc::new(Controller {
        client: ctx.client("pv-protection-controller"),
        volumes: volumes.reader(),
    });
    Some(
        ctx.work("persistentvolume-protection-controller", queue, 1, move |key| {
            let controller = controller.clone();
            async move { controller.reconcile(&key).await }
        }),
    )
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let Some(volume) = self.volumes.get("", key) else {
            return Ok(Outcome::Done);
        };
        let bound = volume.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
        let Some(wanted) = finalizers::protected(&volume.metadata, FINALIZER, bound) else {
            return Ok(Outcome::Done);
        };
        let api = Api::<PersistentVolume>::all(self.client.clone());
        let mut volume = (*volume).clone();
        volume.metadata.finalizers = Some(wanted);
        finalizers::written(api.update(&volume).await)
    }
}
