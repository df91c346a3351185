//! TaintNodesByCondition: a new node takes no pods before the node controller has seen it healthy.
//!
//! Upstream: `plugin/pkg/admission/nodetaint/admission.go`.

use apimachinery::status::ApiError;
use async_trait::async_trait;
use rules::taints::{NO_SCHEDULE, NODE_NOT_READY};
use serde_json::{Value, json};

use super::{Attributes, Operation, Plugin};
use crate::objects::{items, text};

/// The plugin.
pub(crate) struct TaintNodesByCondition;

#[async_trait]
impl Plugin for TaintNodesByCondition {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    async fn admit(&self, a: &Attributes<'_>, node: &mut Value) -> Result<(), ApiError> {
        if !a.is("", "nodes", "") {
            return Ok(());
        }
        let has = |t: &Value| text(t, "/key") == NODE_NOT_READY && text(t, "/effect") == NO_SCHEDULE;
        if !items(node, "/spec/taints").iter().any(has) {
            let taint = json!({"key": NODE_NOT_READY, "effect": NO_SCHEDULE});
            match node["spec"].get_mut("taints").and_then(Value::as_array_mut) {
                Some(l) => l.push(taint),
                None => node["spec"]["taints"] = json!([taint]),
            }
        }
        Ok(())
    }
}
