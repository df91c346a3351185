//! StorageObjectInUseProtection: claims and volumes get finalizers that controllers remove when unused.
//!
//! Upstream: `plugin/pkg/admission/storage/storageobjectinuseprotection/admission.go`.

use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Attributes, Operation, Plugin};
use crate::objects::items;

/// Group, resource, finalizer.
const FINALIZERS: [(&str, &str, &str); 3] = [
    ("", "persistentvolumeclaims", "kubernetes.io/pvc-protection"),
    ("", "persistentvolumes", "kubernetes.io/pv-protection"),
    (
        "storage.k8s.io",
        "volumeattributesclasses",
        "kubernetes.io/vac-protection",
    ),
];

/// The plugin.
pub(crate) struct StorageObjectInUseProtection;

#[async_trait]
impl Plugin for StorageObjectInUseProtection {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    async fn admit(&self, a: &Attributes<'_>, obj: &mut Value) -> Result<(), ApiError> {
        let Some((.., finalizer)) = FINALIZERS.iter().find(|(g, r, _)| a.is(g, r, "")) else {
            return Ok(());
        };
        if !items(obj, "/metadata/finalizers").iter().any(|f| f == finalizer) {
            match obj["metadata"].get_mut("finalizers").and_then(Value::as_array_mut) {
                Some(l) => l.push(json!(finalizer)),
                None => obj["metadata"]["finalizers"] = json!([finalizer]),
            }
        }
        Ok(())
    }
}
