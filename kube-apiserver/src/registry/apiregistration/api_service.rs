//! APIServices (kube-aggregator `pkg/registry/apiservice/strategy.go`).

use api::apiregistration::v1::{defaults, validation};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceCondition};

use crate::registry::strategies::rules::{Rules, SpecStatus as _, spec_status};
use crate::registry::strategy::Typed;

spec_status!(APIService);

/// APIServices: no generation is counted; those of this server are available from the start.
pub(crate) static STRATEGY: Typed<Rules<APIService>> = Typed(Rules {
    default: defaults::api_service,
    prepare_create: |_, obj| {
        obj.clear_status();
        if obj.spec.as_ref().is_none_or(|s| s.service.is_none()) {
            let condition = APIServiceCondition {
                type_: "Available".to_string(),
                status: "True".to_string(),
                last_transition_time: Some(apimachinery::time::now_time()),
                reason: Some("Local".to_string()),
                message: Some("Local APIServices are always available".to_string()),
            };
            obj.status.get_or_insert_default().conditions = Some(vec![condition]);
        }
    },
    prepare_update: |_, new, old| new.keep_status(old),
    unconditional_update: false,
    status: Some(&STATUS),
    ..Rules::new(validation::api_service_create, validation::api_service_update)
});

/// `apiservices/status`.
static STATUS: Typed<Rules<APIService>> = Typed(Rules {
    unconditional_update: false,
    ..Rules::of_status(defaults::api_service, validation::api_service_status_update)
});
