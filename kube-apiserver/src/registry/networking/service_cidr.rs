//! ServiceCIDRs (pkg/registry/networking/servicecidr/strategy.go).

use api::networking::v1::{defaults, validation};
use k8s_openapi::api::networking::v1::ServiceCIDR;

use crate::registry::strategies::rules::{Rules, SpecStatus as _, spec_status};
use crate::registry::strategy::Typed;

spec_status!(ServiceCIDR);

/// ServiceCIDRs: no generation is counted.
pub(crate) static STRATEGY: Typed<Rules<ServiceCIDR>> = Typed(Rules {
    default: defaults::service_cidr,
    prepare_create: |_, obj| obj.clear_status(),
    prepare_update: |_, new, old| new.keep_status(old),
    status: Some(&STATUS),
    ..Rules::new(validation::service_cidr_create, validation::service_cidr_update)
});

/// `servicecidrs/status`.
static STATUS: Typed<Rules<ServiceCIDR>> = Typed(Rules::of_status(
    defaults::service_cidr,
    validation::service_cidr_status_update,
));
