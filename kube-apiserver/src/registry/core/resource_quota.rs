//! ResourceQuotas (pkg/registry/core/resourcequota/strategy.go).

use api::core::v1::{defaults, validation, warnings};
use k8s_openapi::api::core::v1::ResourceQuota;

use crate::registry::strategies::rules::{Rules, Warnings};
use crate::registry::strategy::Typed;

/// ResourceQuotas.
pub(crate) static STRATEGY: Typed<Rules<ResourceQuota>> = Typed(Rules {
    default: defaults::resource_quota,
    prepare_create: |_, obj| obj.status = Some(Default::default()),
    prepare_update: |_, new, old| new.status.clone_from(&old.status),
    warnings: Warnings::Create(warnings::resource_quota_create),
    status: Some(&STATUS),
    ..Rules::new(validation::resource_quota_create, validation::resource_quota_update)
});

/// `resourcequotas/status`.
static STATUS: Typed<Rules<ResourceQuota>> = Typed(Rules::updating(
    defaults::resource_quota,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::resource_quota_status_update,
));
