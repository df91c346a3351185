//! Where pods come from: the apiserver ([`apiserver`]) and a directory of manifests ([`file`]). Both
//! say the same two things: this pod is (now so), this pod is no more.

pub(crate) mod apiserver;
pub(crate) mod file;

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

/// What a source has to say.
#[derive(Debug)]
pub(crate) enum Change {
    /// A pod is new or changed.
    Set(Arc<Pod>),
    /// A pod is gone.
    Gone(Arc<Pod>),
    /// The source has told all it had at the beginning.
    Synced,
}
