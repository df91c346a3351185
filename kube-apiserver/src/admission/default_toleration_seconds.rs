//! DefaultTolerationSeconds: pods stay five minutes on a node that fails.
//!
//! Upstream: `plugin/pkg/admission/defaulttolerationseconds/admission.go`.

use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Attributes, Operation, Plugin};
use crate::objects::{items, text};

/// `--default-not-ready-toleration-seconds` and `--default-unreachable-toleration-seconds`.
const SECONDS: i64 = 300;
const KEYS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// The plugin.
pub(crate) struct DefaultTolerationSeconds;

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn admit(&self, a: &Attributes<'_>, pod: &mut Value) -> Result<(), ApiError> {
        if !a.is("", "pods", "") {
            return Ok(());
        }
        for key in KEYS {
            let tolerated = items(pod, "/spec/tolerations").iter().any(|t| {
                let k = text(t, "/key");
                (k.is_empty() || k == key) && matches!(text(t, "/effect"), "" | "NoExecute")
            });
            if tolerated {
                continue;
            }
            let toleration =
                json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS});
            match pod["spec"].get_mut("tolerations").and_then(Value::as_array_mut) {
                Some(l) => l.push(toleration),
                None => pod["spec"]["tolerations"] = json!([toleration]),
            }
        }
        Ok(())
    }
}
