//! PersistentVolumeClaimResize: a claim grows only when its class says that its volumes can.
//!
//! Upstream: `plugin/pkg/admission/storage/persistentvolume/resize/admission.go`.

use std::cmp::Ordering;
use std::sync::Arc;

use apimachinery::meta;
use apimachinery::quantity::Quantity;
use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::Value;

use super::{Attributes, Operation, Plugin, World};
use crate::objects::{Objects, text};

const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// The plugin.
pub(crate) struct PersistentVolumeClaimResize {
    objects: Arc<dyn Objects>,
}

impl PersistentVolumeClaimResize {
    /// Looks storage classes up in `world`.
    pub(crate) fn new(world: &World) -> Self {
        PersistentVolumeClaimResize {
            objects: world.objects.clone(),
        }
    }

    async fn can_grow(&self, new: &Value, old: &Value) -> bool {
        let (class, before) = (class(new), class(old));
        if class.is_empty() || class != before {
            return false;
        }
        let class = self.objects.get("storage.k8s.io", "storageclasses", "", class).await;
        class.is_ok_and(|class| class["allowVolumeExpansion"] == true)
    }
}

#[async_trait]
impl Plugin for PersistentVolumeClaimResize {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    async fn validate(&self, a: &Attributes<'_>, claim: &Value) -> Result<(), ApiError> {
        let Some(old) = a.old.filter(|_| a.is("", "persistentvolumeclaims", "")) else {
            return Ok(());
        };
        if size(claim).cmp(&size(old)) != Ordering::Greater {
            return Ok(());
        }
        if text(old, "/status/phase") != "Bound" {
            return Err(a.forbidden(claim, "Only bound persistent volume claims can be expanded"));
        }
        if self.can_grow(claim, old).await {
            return Ok(());
        }
        let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must \
                   support resize";
        Err(a.forbidden(claim, why))
    }
}

fn size(claim: &Value) -> Quantity {
    let size = text(claim, "/spec/resources/requests/storage");
    size.parse().unwrap_or(Quantity::ZERO)
}

fn class(claim: &Value) -> &str {
    meta::annotation(claim, CLASS_ANNOTATION).unwrap_or_else(|| text(claim, "/spec/storageClassName"))
}
