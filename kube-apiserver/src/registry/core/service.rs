//! Services (pkg/registry/core/service/strategy.go). Addresses and ports are given out by
//! `crate::services` before validation.

use api::core::v1::{defaults, validation};
use k8s_openapi::api::core::v1::{Service, ServiceStatus};
use serde_json::Value;

use crate::registry::strategies::rules::{Fields, Rules, text_at};
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
    prepare_update: |_, new, old| new.status.clone_from(&old.status),
    fields,
    status: Some(&STATUS),
    ..Rules::new(validation::service_create, validation::service_update)
});

/// `services/status`.
static STATUS: Typed<Rules<Service>> = Typed(Rules::updating(
    defaults::service,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::service_status_update,
));

/// `SelectableFields`.
fn fields(obj: &Value) -> Fields {
    vec![
        ("spec.clusterIP", text_at(obj, "/spec/clusterIP")),
        ("spec.type", text_at(obj, "/spec/type")),
    ]
}
