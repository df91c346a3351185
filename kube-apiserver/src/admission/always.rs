//! AlwaysAdmit and AlwaysDeny: deprecated, for whoever still names them.
//!
//! Upstream: `plugin/pkg/admission/{admit,deny}/admission.go`.

use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::Value;

use super::{Attributes, Operation, Plugin};

/// Has nothing against anything.
pub(crate) struct AlwaysAdmit;

#[async_trait]
impl Plugin for AlwaysAdmit {
    fn handles(&self, _: Operation) -> bool {
        true
    }
}

/// Refuses every write.
pub(crate) struct AlwaysDeny;

#[async_trait]
impl Plugin for AlwaysDeny {
    fn handles(&self, _: Operation) -> bool {
        true
    }

    async fn admit(&self, a: &Attributes<'_>, obj: &mut Value) -> Result<(), ApiError> {
        self.validate(a, obj).await
    }

    async fn validate(&self, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        Err(a.forbidden(obj, "admission control is denying all modifications"))
    }
}
