//! DenyServiceExternalIPs: no new external addresses for services.
//!
//! Upstream: `plugin/pkg/admission/network/denyserviceexternalips/admission.go`.

use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::Value;

use super::{Attributes, Operation, Plugin};
use crate::objects::items;

const ADDRESSES: &str = "/spec/externalIPs";

/// The plugin.
pub(crate) struct DenyServiceExternalIps;

#[async_trait]
impl Plugin for DenyServiceExternalIps {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn validate(&self, a: &Attributes<'_>, service: &Value) -> Result<(), ApiError> {
        if !a.is("", "services", "") {
            return Ok(());
        }
        let had = a.old.map(|old| items(old, ADDRESSES)).unwrap_or_default();
        if items(service, ADDRESSES).iter().all(|address| had.contains(address)) {
            return Ok(());
        }
        Err(a.forbidden(service, "Use of external IPs is denied by admission control"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::RequestContext;

    #[tokio::test]
    async fn addresses_stay_or_go_and_none_come() {
        let ctx = RequestContext::internal_for("create", "", "v1", "services", "ns", "s");
        let service = |addresses: &[&str]| json!({"metadata": {"name": "s"}, "spec": {"externalIPs": addresses}});
        for (old, new, fine) in [
            (None, &[][..], true),
            (None, &["1.1.1.1"], false),
            (Some(&["1.1.1.1", "2.2.2.2"][..]), &["2.2.2.2"], true),
            (Some(&["1.1.1.1"]), &["1.1.1.1", "2.2.2.2"], false),
            (Some(&[]), &["2.2.2.2"], false),
        ] {
            let old = old.map(service);
            let operation = if old.is_some() {
                Operation::Update
            } else {
                Operation::Create
            };
            let attrs = Attributes {
                ctx: &ctx,
                operation,
                old: old.as_ref(),
            };
            let outcome = DenyServiceExternalIps.validate(&attrs, &service(new)).await;
            let wanted = "services \"s\" is forbidden: Use of external IPs is denied by admission control";
            assert_eq!(
                outcome.err().map(|e| e.message),
                (!fine).then(|| wanted.to_owned()),
                "{new:?}"
            );
        }
    }
}
