//! Services (pkg/registry/core/service/strategy.go). Addresses and ports are given out by
//! `crate::services` before validation.

use api::core::v1::{defaults, validation, warnings};
use k8s_openapi::api::core::v1::{Service, ServiceStatus};
use serde_json::Value;

use crate::registry::strategies::rules::{Fields, Rules, Warnings, text_at};
use crate::registry::strategy::Typed;

/// Services.
pub(crate) static STRATEGY: Typed<Rules<Service>> = Typed(Rules {
    default: defaults::service,
    prepare_create: |_, obj| {
        obj.status = Some(ServiceStatus {
            load_balancer: Some(Default::default()),
            ..ServiceStatus::default()
        });
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let balanced = new.spec.as_ref().and_then(|s| s.type_.as_deref()) == Some("LoadBalancer");
        if let Some(status) = new.status.as_mut().filter(|_| !balanced) {
            // What a former load balancer was reached by (upstream `dropTypeDependentFields`).
            status.load_balancer = Some(Default::default());
        }
    },
    fields,
    warnings: Warnings::Object(warnings::service),
    status: Some(&STATUS),
    ..Rules::new(validation::service_create, validation::service_update)
});

/// `services/status`.
static STATUS: Typed<Rules<Service>> = Typed(Rules {
    warnings: Warnings::Object(warnings::service_status),
    ..Rules::updating(
        defaults::service,
        |_, new, old| new.spec.clone_from(&old.spec),
        validation::service_status_update,
    )
});

/// `SelectableFields`.
fn fields(obj: &Value) -> Fields {
    vec![
        ("spec.clusterIP", text_at(obj, "/spec/clusterIP")),
        ("spec.type", text_at(obj, "/spec/type")),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::strategy::Strategy as _;
    use crate::request::RequestContext;

    #[test]
    fn a_former_load_balancer_is_reached_by_no_ingress() {
        let old = json!({
            "metadata": {"name": "s"},
            "spec": {"type": "LoadBalancer"},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
        });
        for (kind, ingress) in [("LoadBalancer", true), ("ClusterIP", false)] {
            let mut new = json!({"metadata": {"name": "s"}, "spec": {"type": kind}});
            STRATEGY.prepare_for_update(&RequestContext::internal(), &mut new, &old);
            assert_eq!(new.pointer("/status/loadBalancer/ingress").is_some(), ingress, "{kind}");
        }
    }
}
