//! core/v1.

pub mod defaults;
pub mod validation;
pub mod warnings;

/// Annotation: the pod stands in the API for a static one of a kubelet (core `MirrorPodAnnotationKey`).
pub const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";
