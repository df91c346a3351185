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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::RequestContext;

    #[tokio::test]
    async fn one_lets_everything_pass_and_the_other_nothing() {
        for (operation, object, name) in [
            (Operation::Create, json!({"metadata": {"generateName": "p-"}}), "p-"),
            (Operation::Delete, Value::Null, "Unknown"),
            (Operation::Connect, json!({}), "Unknown"),
        ] {
            let ctx = RequestContext::internal_for("create", "", "v1", "pods", "ns", "");
            let attrs = Attributes {
                ctx: &ctx,
                operation,
                old: None,
            };
            let mut changed = object.clone();
            assert!(AlwaysAdmit.handles(operation) && AlwaysDeny.handles(operation));
            assert_eq!(AlwaysAdmit.admit(&attrs, &mut changed).await, Ok(()));
            assert_eq!(AlwaysAdmit.validate(&attrs, &changed).await, Ok(()));
            let why = format!("pods {name:?} is forbidden: admission control is denying all modifications");
            for refusal in [
                AlwaysDeny.admit(&attrs, &mut changed).await,
                AlwaysDeny.validate(&attrs, &changed).await,
            ] {
                assert_eq!(
                    refusal.map_err(|error| (error.code, error.message)),
                    Err((403, why.clone()))
                );
            }
            assert_eq!(changed, object);
        }
    }
}
