//! VolumeAttachments (pkg/registry/storage/volumeattachment/strategy.go).

use api::storage::v1::{defaults, validation};
use k8s_openapi::api::storage::v1::VolumeAttachment;

use crate::registry::strategies::rules::{Rules, SpecStatus as _, spec_status};
use crate::registry::strategy::Typed;

spec_status!(VolumeAttachment);

/// VolumeAttachments: no generation is counted.
pub(crate) static STRATEGY: Typed<Rules<VolumeAttachment>> = Typed(Rules {
    default: defaults::volume_attachment,
    prepare_create: |_, obj| obj.clear_status(),
    prepare_update: |_, new, old| new.keep_status(old),
    unconditional_update: false,
    status: Some(&STATUS),
    ..Rules::new(
        validation::volume_attachment_create,
        validation::volume_attachment_update,
    )
});

/// `volumeattachments/status`.
static STATUS: Typed<Rules<VolumeAttachment>> = Typed(Rules {
    unconditional_update: false,
    ..Rules::of_status(defaults::volume_attachment, validation::volume_attachment_update)
});
