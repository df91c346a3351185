//! EndpointSlices (pkg/registry/discovery/endpointslice/strategy.go).

use api::discovery::v1::{defaults, validation};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::registry::strategies::rules::{Rules, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// EndpointSlices. The generation follows everything but the bookkeeping in the metadata.
pub(crate) static STRATEGY: Typed<Rules<EndpointSlice>> = Typed(Rules {
    default: defaults::endpoint_slice,
    prepare_create: |_, obj| first_generation(obj),
    prepare_update: |_, new, old| {
        let changed = differ(&new.endpoints, &old.endpoints)
            || differ(&new.ports, &old.ports)
            || new.address_type != old.address_type
            || differ(&new.metadata.labels, &old.metadata.labels)
            || differ(&new.metadata.annotations, &old.metadata.annotations);
        next_generation(new, old, changed);
    },
    ..Rules::new(validation::endpoint_slice_create, validation::endpoint_slice_update)
});
