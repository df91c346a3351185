//! namespace-controller: a namespace that is being deleted is emptied, pods first, and then released.
//!
//! Upstream: pkg/controller/namespace/deletion/namespaced_resources_deleter.go. Key: the namespace.

mod conditions;
mod content;

use std::{sync::Arc, time::Duration};

use client::{
    Api, Client,
    controller::Outcome,
    discovery::discover,
    informer::{Event, Reader},
    workqueue::WorkQueue,
};
use k8s_openapi::api::core::v1::{Namespace, Pod};

use super::{name, namespace as namespace_of};
use crate::context::{ControllerContext, Work};
use conditions::Findings;

/// The finalizer that this controller removes when nothing is left.
const FINALIZER: &str = "kubernetes";

struct Controller {
    client: Client,
    namespaces: Reader<Namespace>,
}

pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let queue = WorkQueue::new("namespace");
    let namespaces = ctx.informers.informer::<Namespace>();
    namespaces.add_handler({
        let queue = queue.clone();
        move |event| match event {
            Event::Added(object) | Event::Updated { new: object, .. } if is_terminating(&object) => {
                queue.add(name(&*object).to_owned());
            }
            _ => {}
        }
    });
    // Upstream looks again after half the grace period; the end of a pod tells sooner.
    ctx.informers.informer::<Pod>().add_handler({
        let (queue, namespaces) = (queue.clone(), namespaces.reader());
        move |event| {
            if let Event::Deleted(pod) = event
                && namespaces
                    .get("", namespace_of(&*pod))
                    .is_some_and(|namespace| is_terminating(&namespace))
            {
                queue.add(namespace_of(&*pod).to_owned());
            }
        }
    });
    let controller = Arc::new(Controller {
        client: ctx.busy_client("namespace-controller"),
        namespaces: namespaces.reader(),
    });
    Some(ctx.work(
        "namespace-controller",
        queue,
        ctx.config.workers.namespace,
        move |key| {
            let controller = controller.clone();
            async move { controller.reconcile(&key).await }
        },
    ))
}

fn is_terminating(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_some()
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let api = Api::<Namespace>::all(self.client.clone());
        let Some(cached) = self
            .namespaces
            .get("", key)
            .filter(|namespace| is_terminating(namespace))
        else {
            return Ok(Outcome::Done);
        };
        // The store may lag behind our own last write: the phase and the finalizers must be current.
        let Some(mut current) = api.get_opt(key).await? else {
            return Ok(Outcome::Done);
        };
        if current.metadata.uid != cached.metadata.uid || !is_terminating(&current) {
            return Ok(Outcome::Done);
        }
        if current.status.as_ref().and_then(|status| status.phase.as_deref()) != Some("Terminating") {
            current.status.get_or_insert_default().phase = Some("Terminating".to_owned());
            current = api.update_status(&current).await?;
        }
        let finalizers = current
            .spec
            .as_ref()
            .and_then(|spec| spec.finalizers.clone())
            .unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(Outcome::Done);
        }

        let findings = self.delete_content(key).await?;
        let now = k8s_openapi::jiff::Timestamp::now();
        let status = current.status.get_or_insert_default();
        if conditions::update(status.conditions.get_or_insert_default(), &findings, now) {
            current = api.update_status(&current).await?;
        }
        if let Some(seconds) = findings.look_again {
            // Upstream: `ResourcesRemainingError`, half the estimate and one second more.
            return Ok(Outcome::After(Duration::from_secs(seconds / 2 + 1)));
        }
        if !findings.is_empty() {
            return Ok(Outcome::Retry);
        }
        if let Some(finalizers) = current.spec.get_or_insert_default().finalizers.as_mut() {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        match api.update_subresource::<_, Namespace>(key, "finalize", &current).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(Outcome::Done),
        }
    }

    /// Pods first: what they use must outlive them. While any pod remains, nothing else is touched
    /// (upstream's OrderedNamespaceDeletion).
    async fn delete_content(&self, namespace: &str) -> anyhow::Result<Findings> {
        let mut findings = Findings::default();
        let discovery = discover(&self.client).await?;
        findings.undiscovered = discovery
            .failed
            .iter()
            .map(|(group, error)| format!("{group}: {error}"))
            .collect();
        let (pods, others): (Vec<_>, Vec<_>) = discovery
            .preferred()
            .filter(|found| found.resource.namespaced && found.supports(&["delete"]) && found.supports(&["list"]))
            .partition(|found| found.resource.group.is_empty() && found.resource.plural == "pods");
        for found in pods {
            content::delete(&self.client, found, namespace, &mut findings).await;
        }
        if findings.has_content() {
            return Ok(findings);
        }
        for found in others {
            content::delete(&self.client, found, namespace, &mut findings).await;
        }
        Ok(findings)
    }
}
