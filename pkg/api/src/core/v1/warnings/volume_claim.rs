//! Claims (pkg/api/persistentvolumeclaim/util.go).

use apimachinery::field::Path;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};

use super::has_annotation;
use super::pod::fractions;

/// The annotation that `storageClassName` replaced.
pub(super) const STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Of a PersistentVolumeClaim (`GetWarningsForPersistentVolumeClaim`).
pub fn persistent_volume_claim(claim: &PersistentVolumeClaim) -> Vec<String> {
    let mut out = vec![];
    if has_annotation(&claim.metadata, STORAGE_CLASS) {
        out.push(format!(
            "metadata.annotations[{STORAGE_CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"
        ));
    }
    if let Some(spec) = &claim.spec {
        volume_claim_spec(&mut out, &Path::new("spec"), spec);
    }
    out
}

/// Of the spec at `path`: amounts that are no whole bytes (`GetWarningsForPersistentVolumeClaimSpec`).
pub fn volume_claim_spec(out: &mut Vec<String>, path: &Path, spec: &PersistentVolumeClaimSpec) {
    let Some(resources) = &spec.resources else { return };
    let path = path.child("resources");
    fractions(out, &path.child("requests"), resources.requests.as_ref(), &["storage"]);
    fractions(out, &path.child("limits"), resources.limits.as_ref(), &["storage"]);
}
