//! Secrets (pkg/registry/core/secret/strategy.go).

mod key_pair;

use api::core::v1::{defaults, validation};
use k8s_openapi::api::core::v1::Secret;

use crate::registry::strategies::rules::{Rules, Warnings, text_at};
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
    warnings: Warnings::Object(warnings),
    ..Rules::new(validation::secret_create, validation::secret_update)
});

/// A certificate that is none, or is another key's (`warningsForSecret`).
fn warnings(secret: &Secret) -> Vec<String> {
    if secret.type_.as_deref() != Some("kubernetes.io/tls") {
        return vec![];
    }
    let part = |name: &str| secret.data.as_ref().and_then(|data| data.get(name));
    let part = |name: &str| part(name).map_or(&[][..], |bytes| &bytes.0);
    let checked = key_pair::check(part("tls.crt"), part("tls.key"));
    checked.err().into_iter().collect()
}
