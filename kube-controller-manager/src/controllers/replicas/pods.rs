//! Making pods of a template, a few first. Upstream: pkg/controller/controller_utils.go `GetPodFromTemplate`,
//! pkg/controller/replicaset/replica_set.go `slowStartBatch`.

use std::future::Future;

use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Creations of the first batch; each batch that goes well is followed by one twice its size.
const FIRST_BATCH: usize = 1;

/// The pod to create for an owner of kind `K`.
pub(super) fn from_template<K: k8s_openapi::Resource>(owner: &ObjectMeta, template: Option<&PodTemplateSpec>) -> Pod {
    let template = template.cloned().unwrap_or_default();
    let metadata = template.metadata.unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", owner.name.as_deref().unwrap_or_default())),
            namespace: owner.namespace.clone(),
            labels: metadata.labels,
            annotations: metadata.annotations,
            finalizers: metadata.finalizers,
            owner_references: Some(vec![rules::owners::new_controller_ref::<K>(owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

/// How a slow start went.
pub(super) struct Started {
    /// Calls made.
    pub(super) attempted: usize,
    /// The first error, after which no further batch was started.
    pub(super) result: anyhow::Result<()>,
}

/// Calls `create` `count` times in batches of 1, 2, 4 ... so that a quota or a broken template is not hammered.
pub(super) async fn slow_start<F>(count: usize, create: impl Fn() -> F) -> Started
where
    F: Future<Output = anyhow::Result<()>>,
{
    let (mut attempted, mut batch) = (0, FIRST_BATCH);
    while attempted < count {
        let size = batch.min(count - attempted);
        let results = futures::future::join_all((0..size).map(|_| create())).await;
        attempted += size;
        if let Some(error) = results.into_iter().find_map(Result::err) {
            return Started {
                attempted,
                result: Err(error),
            };
        }
        batch *= 2;
    }
    Started {
        attempted,
        result: Ok(()),
    }
}
