//! TaintNodesByCondition: a new node takes no pods before the node controller has seen it healthy.
//!
//! Upstream: `plugin/pkg/admission/nodetaint/admission.go`.

use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Attributes, Operation, Plugin};
use crate::objects::{items, text};

const NOT_READY: &str = "node.kubernetes.io/not-ready";

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
        let has = |t: &Value| text(t, "/key") == NOT_READY && text(t, "/effect") == "NoSchedule";
        if !items(node, "/spec/taints").iter().any(has) {
            let taint = json!({"key": NOT_READY, "effect": "NoSchedule"});
            match node["spec"].get_mut("taints").and_then(Value::as_array_mut) {
                Some(l) => l.push(taint),
                None => node["spec"]["taints"] = json!([taint]),
            }
        }
        Ok(())
    }
}
