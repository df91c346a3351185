//! APIServices (pkg/registry/apiregistration/strategy.go): defaults and metadata.

use api::apiregistration::v1::defaults;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;

use crate::registry::strategies::rules::{Rules, keep_metadata};
use crate::registry::strategy::Typed;

/// APIServices.
pub(crate) static STRATEGY: Typed<Rules<APIService>> = Typed(Rules {
    default: defaults::api_service,
    prepare_create: |_, obj| {
        obj.status = None;
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
    },
    unconditional_update: false,
    status: Some(&STATUS),
    ..Rules::new(
        |obj| api::meta::create(&obj.metadata, false, api::meta::name_path_segment),
        |new, old| api::meta::update(&new.metadata, &old.metadata),
    )
});

/// The status subresource.
static STATUS: Typed<Rules<APIService>> = Typed(Rules::updating(
    defaults::api_service,
    |_, new, old| {
        new.spec.clone_from(&old.spec);
        keep_metadata(new, old);
    },
    |new, old| api::meta::update(&new.metadata, &old.metadata),
));
