//! Pods bound to this node, watched at the apiserver (upstream: pkg/kubelet/config/apiserver.go).

use client::Client;
use client::informer::{Event, SharedInformer};
use client::reflector::Source;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Change;

/// Tells of all pods with `spec.nodeName` equal to `node`.
pub(crate) fn watch(client: Client, node: &str, changes: mpsc::UnboundedSender<Change>, shutdown: &CancellationToken) {
    let source = Source::of::<Pod>(client).fields(&format!("spec.nodeName={node}"));
    let informer = SharedInformer::<Pod>::new(source);
    let sender = changes.clone();
    let mut registration = informer.add_handler(move |event| {
        let send = |change| {
            // The loop ends before its sources only when the kubelet stops.
            let _ = sender.send(change);
        };
        match event {
            Event::Added(pod) => send(Change::Set(pod)),
            Event::Updated { old, new } => {
                if old.metadata.uid != new.metadata.uid {
                    send(Change::Gone(old));
                }
                send(Change::Set(new));
            }
            Event::Deleted(pod) => send(Change::Gone(pod)),
        }
    });
    informer.start(shutdown);
    tokio::spawn(async move {
        registration.wait_synced().await;
        let _ = changes.send(Change::Synced);
        // The informer lives as long as its handler is wanted.
        drop(informer);
    });
}
