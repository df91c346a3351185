//! volumeattributesclass-protection-controller: a class of volume attributes that is being deleted goes when no claim
//! and no volume names it.
//!
//! Upstream: pkg/controller/volume/vacprotection/vac_protection_controller.go. Key: the class.

use std::collections::BTreeSet;
use std::sync::Arc;

use client::informer::{Event, Reader, SharedInformer};
use client::workqueue::WorkQueue;
use client::{Api, Client, Object, controller::Outcome};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::VolumeAttributesClass;
use rules::volumes::attributes_classes_of_claim;

use super::{finalizers, name};
use crate::context::{ControllerContext, Work};

const FINALIZER: &str = "kubernetes.io/vac-protection";
/// Index of claims and volumes by the classes they name.
const BY_CLASS: &str = "volumeAttributesClass";

struct Controller {
    client: Client,
    classes: Reader<VolumeAttributesClass>,
    claims: Reader<PersistentVolumeClaim>,
    volumes: Reader<PersistentVolume>,
}

pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let queue = WorkQueue::new("vacprotection");
    let classes = ctx.informers.informer::<VolumeAttributesClass>();
    classes.add_handler({
        let queue = queue.clone();
        move |event| match event {
            Event::Added(class) | Event::Updated { new: class, .. } => queue.add(name(&*class).to_owned()),
            Event::Deleted(_) => {}
        }
    });
    let controller = Arc::new(Controller {
        client: ctx.client("volumeattributesclass-protection-controller"),
        classes: classes.reader(),
        claims: users(&ctx.informers.informer(), &queue, attributes_classes_of_claim),
        volumes: users(&ctx.informers.informer(), &queue, named_by_volume),
    });
    Some(
        ctx.work("volumeattributesclass-protection-controller", queue, 1, move |key| {
            let controller = controller.clone();
            async move { controller.reconcile(&key).await }
        }),
    )
}

/// The cache of what may use classes; a class that is named no more is looked at again.
fn users<K: Object>(
    informer: &SharedInformer<K>,
    queue: &WorkQueue<String>,
    named: fn(&K) -> BTreeSet<String>,
) -> Reader<K> {
    informer.add_index(BY_CLASS, move |user: &K| named(user).into_iter().collect());
    let queue = queue.clone();
    informer.add_handler(move |event| {
        let no_more = match &event {
            Event::Added(_) => BTreeSet::new(),
            Event::Updated { old, new } => &named(old) - &named(new),
            Event::Deleted(user) => named(user),
        };
        for class in no_more {
            queue.add(class);
        }
    });
    informer.reader()
}

fn named_by_volume(volume: &PersistentVolume) -> BTreeSet<String> {
    let class = volume
        .spec
        .as_ref()
        .and_then(|spec| spec.volume_attributes_class_name.clone());
    class.into_iter().filter(|class| !class.is_empty()).collect()
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let Some(class) = self.classes.get("", key) else {
            return Ok(Outcome::Done);
        };
        let used = !self.volumes.by_index(BY_CLASS, key).is_empty() || !self.claims.by_index(BY_CLASS, key).is_empty();
        let Some(wanted) = finalizers::protected(&class.metadata, FINALIZER, used) else {
            return Ok(Outcome::Done);
        };
        let api = Api::<VolumeAttributesClass>::all(self.client.clone());
        let mut class = (*class).clone();
        class.metadata.finalizers = Some(wanted);
        finalizers::written(api.update(&class).await)
    }
}
