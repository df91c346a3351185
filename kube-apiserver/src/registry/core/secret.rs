//! Secrets (pkg/registry/core/secret/strategy.go).

use api::core::v1::{defaults, validation};
use k8s_openapi::api::core::v1::Secret;

use crate::registry::strategies::rules::{Rules, text_at};
use crate::registry::strategy::Typed;

/// Secrets. An update without a type keeps the old one.
pub(crate) static STRATEGY: Typed<Rules<Secret>> = Typed(Rules {
    default: defaults::secret,
    prepare_update: |_, new, old| {
        if new.type_.as_deref().is_none_or(str::is_empty) {
            new.type_.clone_from(&old.type_);
        }
    },
    fields: |obj| vec![("type", text_at(obj, "/type"))],
    ..Rules::new(validation::secret_create, validation::secret_update)
});
