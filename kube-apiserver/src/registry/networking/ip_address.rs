//! IPAddresses (pkg/registry/networking/ipaddress/strategy.go).

use api::networking::v1::validation;
use k8s_openapi::api::networking::v1::IPAddress;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// IPAddresses.
pub(crate) static STRATEGY: Typed<Rules<IPAddress>> =
    Typed(Rules::new(validation::ip_address_create, validation::ip_address_update));
