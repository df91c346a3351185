//! ResourceClaimTemplates (pkg/registry/resource/resourceclaimtemplate/strategy.go).

use api::resource::v1::{defaults, validation};
use k8s_openapi::api::resource::v1::ResourceClaimTemplate;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// ResourceClaimTemplates.
pub(crate) static STRATEGY: Typed<Rules<ResourceClaimTemplate>> = Typed(Rules {
    default: defaults::resource_claim_template,
    ..Rules::new(
        validation::resource_claim_template_create,
        validation::resource_claim_template_update,
    )
});
