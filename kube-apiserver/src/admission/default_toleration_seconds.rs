//! DefaultTolerationSeconds: pods stay five minutes on a node that fails.
//!
//! Upstream: `plugin/pkg/admission/defaulttolerationseconds/admission.go`.

use apimachinery::status::ApiError;
use async_trait::async_trait;
use rules::taints::{NO_EXECUTE, NODE_NOT_READY, NODE_UNREACHABLE};
use serde_json::{Value, json};

use super::{Attributes, Operation, Plugin};
use crate::objects::{items, text};

/// How long pods stay, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TolerationSeconds {
    /// `--default-not-ready-toleration-seconds`.
    pub(crate) not_ready: i64,
    /// `--default-unreachable-toleration-seconds`.
    pub(crate) unreachable: i64,
}

impl Default for TolerationSeconds {
    fn default() -> Self {
        TolerationSeconds {
            not_ready: 300,
            unreachable: 300,
        }
    }
}

/// The plugin.
pub(crate) struct DefaultTolerationSeconds(pub(crate) TolerationSeconds);

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn admit(&self, a: &Attributes<'_>, pod: &mut Value) -> Result<(), ApiError> {
        if !a.is("", "pods", "") {
            return Ok(());
        }
        let seconds = [
            (NODE_NOT_READY, self.0.not_ready),
            (NODE_UNREACHABLE, self.0.unreachable),
        ];
        for (key, seconds) in seconds {
            let tolerated = items(pod, "/spec/tolerations").iter().any(|t| {
                let k = text(t, "/key");
                (k.is_empty() || k == key) && matches!(text(t, "/effect"), "" | NO_EXECUTE)
            });
            if tolerated {
                continue;
            }
            let toleration =
                json!({"key": key, "operator": "Exists", "effect": NO_EXECUTE, "tolerationSeconds": seconds});
            match pod["spec"].get_mut("tolerations").and_then(Value::as_array_mut) {
                Some(l) => l.push(toleration),
                None => pod["spec"]["tolerations"] = json!([toleration]),
            }
        }
        Ok(())
    }
}
