//! ValidatingWebhookConfigurations (pkg/registry/admissionregistration/validatingwebhookconfiguration/strategy.go).

use api::admissionregistration::v1::{defaults, validation, warnings};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// ValidatingWebhookConfigurations; the generation counts the webhooks' changes.
pub(crate) static STRATEGY: Typed<Rules<ValidatingWebhookConfiguration>> = Typed(Rules {
    default: defaults::validating_webhook_configuration,
    prepare_create: |_, obj| first_generation(obj),
    prepare_update: |_, new, old| {
        let changed = differ(&new.webhooks, &old.webhooks);
        next_generation(new, old, changed);
    },
    unconditional_update: false,
    warnings: Warnings::Object(|obj| warnings::static_suffix(&obj.metadata)),
    ..Rules::new(
        validation::validating_webhook_configuration_create,
        validation::validating_webhook_configuration_update,
    )
});
