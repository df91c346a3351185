//! Pods this kubelet should run: what is known of them ([`manager`]), their mirror in the API
//! ([`mirror`]) and the task each of them has ([`worker`]).

pub(crate) mod manager;
pub(crate) mod mirror;
pub(crate) mod worker;

use std::sync::OnceLock;

// On a mirror pod: the hash of the static pod it stands for.
pub(crate) use api::core::v1::MIRROR_ANNOTATION as CONFIG_MIRROR;
use k8s_openapi::api::core::v1::{Container, EphemeralContainer, ObjectReference, Pod, PodSpec};

/// Annotation: which source a pod came from (`api`, `file`).
pub(crate) const CONFIG_SOURCE: &str = "kubernetes.io/config.source";
/// Annotation: hash of a static pod's manifest, its UID.
pub(crate) const CONFIG_HASH: &str = "kubernetes.io/config.hash";
/// Annotation: when the kubelet first saw a pod.
pub(crate) const CONFIG_SEEN: &str = "kubernetes.io/config.seen";

/// Shorthands for what every part of the kubelet asks of a pod.
pub(crate) trait PodExt {
    fn name(&self) -> &str;
    fn namespace(&self) -> &str;
    fn uid(&self) -> &str;
    fn spec(&self) -> &PodSpec;
    fn annotation(&self, key: &str) -> Option<&str>;
    /// From a file or URL, not from the API.
    fn is_static(&self) -> bool;
    /// Stands in the API for a static pod.
    fn is_mirror(&self) -> bool;
    fn host_network(&self) -> bool;
    fn init_containers(&self) -> &[Container];
    fn ephemeral_containers(&self) -> &[EphemeralContainer];
    /// The pod for events.
    fn reference(&self) -> ObjectReference;
    /// `namespace/name`.
    fn key(&self) -> String;
    /// The phase the API has.
    fn phase(&self) -> &str;
}

impl PodExt for Pod {
    fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    fn spec(&self) -> &PodSpec {
        static EMPTY: OnceLock<PodSpec> = OnceLock::new();
        self.spec
            .as_ref()
            .unwrap_or_else(|| EMPTY.get_or_init(PodSpec::default))
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    fn is_static(&self) -> bool {
        self.annotation(CONFIG_SOURCE).is_some_and(|source| source != "api") && !self.is_mirror()
    }

    fn is_mirror(&self) -> bool {
        self.annotation(CONFIG_MIRROR).is_some()
    }

    fn host_network(&self) -> bool {
        self.spec().host_network.unwrap_or(false)
    }

    fn init_containers(&self) -> &[Container] {
        self.spec().init_containers.as_deref().unwrap_or_default()
    }

    fn ephemeral_containers(&self) -> &[EphemeralContainer] {
        self.spec().ephemeral_containers.as_deref().unwrap_or_default()
    }

    fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: self.metadata.name.clone(),
            namespace: self.metadata.namespace.clone(),
            uid: self.metadata.uid.clone(),
            resource_version: self.metadata.resource_version.clone(),
            field_path: None,
        }
    }

    fn key(&self) -> String {
        format!("{}/{}", self.namespace(), self.name())
    }

    fn phase(&self) -> &str {
        self.status
            .as_ref()
            .and_then(|s| s.phase.as_deref())
            .unwrap_or_default()
    }
}

/// An ephemeral container as an ordinary one; its fields are the same but for its target.
pub(crate) fn as_container(ephemeral: &EphemeralContainer) -> Container {
    serde_json::to_value(ephemeral)
        .and_then(serde_json::from_value)
        .unwrap_or_default()
}

/// The container of a name, of whichever of the three kinds.
pub(crate) fn find_container(pod: &Pod, name: &str) -> Option<Container> {
    let spec = pod.spec();
    spec.containers
        .iter()
        .chain(pod.init_containers())
        .find(|c| c.name == name)
        .cloned()
        .or_else(|| {
            pod.ephemeral_containers()
                .iter()
                .find(|c| c.name == name)
                .map(as_container)
        })
}

/// Where a container is in its pod, for events (upstream: container/ref.go `fieldPath`).
pub(crate) fn container_reference(pod: &Pod, name: &str) -> ObjectReference {
    let field = if pod.spec().containers.iter().any(|c| c.name == name) {
        "spec.containers"
    } else if pod.init_containers().iter().any(|c| c.name == name) {
        "spec.initContainers"
    } else {
        "spec.ephemeralContainers"
    };
    ObjectReference {
        field_path: Some(format!("{field}{{{name}}}")),
        ..pod.reference()
    }
}
