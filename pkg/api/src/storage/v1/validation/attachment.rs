//! Attachments of volumes to nodes.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::storage::v1::{VolumeAttachment, VolumeAttachmentSource, VolumeError};

use crate::check::{IMMUTABLE, equal, invalid_each};
use crate::core::v1::validation::csi_driver_name;
use crate::meta;

/// Most bytes of metadata (`maxAttachedVolumeMetadataSize`).
const METADATA_MAX: usize = 256 * 1024;
/// Longest message of an error, in bytes (`maxVolumeErrorMessageSize`).
const MESSAGE_MAX: usize = 1024;

/// A new attachment (`ValidateVolumeAttachment`).
pub fn volume_attachment_create(obj: &VolumeAttachment) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    let path = Path::new("spec");
    csi_driver_name(&mut errs, &obj.spec.attacher, &path.child("attacher"));
    source(&mut errs, &obj.spec.source, &path.child("source"));
    let node = obj.spec.node_name.as_str();
    invalid_each(
        &mut errs,
        &path.child("nodeName"),
        node,
        meta::name_subdomain(node, false),
    );
    if let Some(status) = &obj.status {
        let path = Path::new("status");
        let metadata = status.attachment_metadata.iter().flatten();
        if metadata.map(|(k, v)| k.len() + v.len()).sum::<usize>() > METADATA_MAX {
            errs.push(Error::too_long(&path.child("attachmentMetadata"), METADATA_MAX));
        }
        volume_error(&mut errs, status.attach_error.as_ref(), &path.child("attachError"));
        volume_error(&mut errs, status.detach_error.as_ref(), &path.child("detachError"));
    }
    if let Some(name) = &obj.spec.source.persistent_volume_name {
        let path = path.child("source").child("persistentVolumeName");
        invalid_each(&mut errs, &path, name, meta::name_subdomain(name, false));
    }
    errs
}

/// A changed attachment or its status (`ValidateVolumeAttachmentUpdate`): the spec is fixed.
pub fn volume_attachment_update(new: &VolumeAttachment, old: &VolumeAttachment) -> ErrorList {
    let mut errs = volume_attachment_create(new);
    if !equal(&new.spec, &old.spec) {
        let value = crate::internal::shown("storage.VolumeAttachmentSpec", &new.spec);
        errs.push(Error::invalid(&Path::new("spec"), value, IMMUTABLE));
    }
    errs
}

/// `validateVolumeAttachmentSource`.
fn source(errs: &mut ErrorList, source: &VolumeAttachmentSource, path: &Path) {
    let rule = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (&source.inline_volume_spec, &source.persistent_volume_name) {
        (None, None) => errs.push(Error::required(path, rule)),
        (Some(_), Some(_)) => errs.push(Error::forbidden(path, rule)),
        (None, Some(name)) if name.is_empty() => {
            let rule = "must specify non empty persistentVolumeName";
            errs.push(Error::required(&path.child("persistentVolumeName"), rule));
        }
        _ => {}
    }
}

/// `validateVolumeError`.
fn volume_error(errs: &mut ErrorList, error: Option<&VolumeError>, path: &Path) {
    let Some(error) = error else { return };
    if error.message.as_ref().is_some_and(|m| m.len() > MESSAGE_MAX) {
        // Upstream names the other limit.
        errs.push(Error::too_long(&path.child("message"), METADATA_MAX));
    }
    if let Some(code) = error.error_code.filter(|c| *c < 0) {
        let rule = apimachinery::validation::inclusive_range_error(0, i64::from(i32::MAX));
        errs.push(Error::invalid(&path.child("errorCode"), code, rule));
    }
}
