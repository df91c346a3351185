//! How pods and containers are marked in the runtime, so that a kubelet, this or upstream's, finds
//! them again after a restart (upstream: pkg/kubelet/kuberuntime/labels.go).

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::pods::PodExt;

pub(crate) const POD_NAME: &str = "io.kubernetes.pod.name";
pub(crate) const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
pub(crate) const POD_UID: &str = "io.kubernetes.pod.uid";
pub(crate) const CONTAINER_NAME: &str = "io.kubernetes.container.name";

pub(crate) const CONTAINER_HASH: &str = "io.kubernetes.container.hash";
pub(crate) const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
pub(crate) const TERMINATION_MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
pub(crate) const TERMINATION_MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
pub(crate) const PRE_STOP_HANDLER: &str = "io.kubernetes.container.preStopHandler";
const CONTAINER_PORTS: &str = "io.kubernetes.container.ports";
const POD_DELETION_GRACE: &str = "io.kubernetes.pod.deletionGracePeriod";
pub(crate) const POD_TERMINATION_GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";

/// Labels of a sandbox: the pod's and its identity.
pub(crate) fn sandbox_labels(pod: &Pod) -> HashMap<String, String> {
    let mut labels: HashMap<String, String> = pod.metadata.labels.clone().unwrap_or_default().into_iter().collect();
    labels.extend(identity(pod));
    labels
}

/// Labels of a container: the pod's identity and the container's name.
pub(crate) fn container_labels(pod: &Pod, container: &Container) -> HashMap<String, String> {
    let mut labels = identity(pod);
    labels.insert(CONTAINER_NAME.to_owned(), container.name.clone());
    labels
}

fn identity(pod: &Pod) -> HashMap<String, String> {
    HashMap::from([
        (POD_NAME.to_owned(), pod.name().to_owned()),
        (POD_NAMESPACE.to_owned(), pod.namespace().to_owned()),
        (POD_UID.to_owned(), pod.uid().to_owned()),
    ])
}

/// Annotations of a container: what is needed to stop it or report on it without its pod.
pub(crate) fn container_annotations(pod: &Pod, container: &Container, restart_count: u32) -> HashMap<String, String> {
    let mut annotations = HashMap::from([
        (CONTAINER_HASH.to_owned(), hash(container)),
        (RESTART_COUNT.to_owned(), restart_count.to_string()),
        (
            TERMINATION_MESSAGE_PATH.to_owned(),
            container.termination_message_path.clone().unwrap_or_default(),
        ),
        (
            TERMINATION_MESSAGE_POLICY.to_owned(),
            container.termination_message_policy.clone().unwrap_or_default(),
        ),
    ]);
    let mut add = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            annotations.insert(key.to_owned(), value);
        }
    };
    let grace = pod.spec().termination_grace_period_seconds;
    add(POD_TERMINATION_GRACE, grace.map(|s| s.to_string()));
    let deletion = pod.metadata.deletion_grace_period_seconds;
    add(POD_DELETION_GRACE, deletion.map(|s| s.to_string()));
    let pre_stop = container.lifecycle.as_ref().and_then(|l| l.pre_stop.as_ref());
    add(PRE_STOP_HANDLER, pre_stop.and_then(|h| serde_json::to_string(h).ok()));
    let ports = container.ports.as_ref().filter(|ports| !ports.is_empty());
    add(CONTAINER_PORTS, ports.and_then(|p| serde_json::to_string(p).ok()));
    annotations
}

/// The hash that decides whether a running container is still the one the spec asks for.
pub(crate) fn hash(container: &Container) -> String {
    rules::hash::container_hash(&container.name, container.image.as_deref().unwrap_or_default())
}
