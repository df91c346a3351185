//! EndpointSlices (pkg/registry/discovery/endpointslice/strategy.go).

use api::discovery::v1::{defaults, validation, warnings};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// EndpointSlices. The generation follows everything but the metadata, and of that the labels.
pub(crate) static STRATEGY: Typed<Rules<EndpointSlice>> = Typed(Rules {
    default: defaults::endpoint_slice,
    prepare_create: |_, obj| {
        first_generation(obj);
        drop_topology(obj, None);
    },
    prepare_update: |_, new, old| {
        let changed = differ(&new.endpoints, &old.endpoints)
            || differ(&new.ports, &old.ports)
            || new.address_type != old.address_type
            || differ(&new.metadata.labels, &old.metadata.labels);
        next_generation(new, old, changed);
        drop_topology(new, Some(old));
    },
    warnings: Warnings::Change(warnings::endpoint_slice),
    ..Rules::new(validation::endpoint_slice_create, validation::endpoint_slice_update)
});

/// The topology of retired versions stays only with endpoints that have not changed
/// (`dropTopologyOnV1`).
fn drop_topology(new: &mut EndpointSlice, old: Option<&EndpointSlice>) {
    if old.is_some_and(|old| !differ(&new.endpoints, &old.endpoints)) {
        return;
    }
    for endpoint in new.endpoints.iter_mut().flatten() {
        endpoint.deprecated_topology = None;
    }
}
