//! Namespaces (pkg/registry/core/namespace/strategy.go).

use api::core::v1::{defaults, validation};
use k8s_openapi::api::core::v1::{Namespace, NamespaceStatus};

use crate::registry::strategies::rules::{Rules, text_at};
use crate::registry::strategy::Typed;

/// Keeps a namespace until its content is gone (core/v1 `FinalizerKubernetes`).
const FINALIZER: &str = "kubernetes";

/// Namespaces.
pub(crate) static STRATEGY: Typed<Rules<Namespace>> = Typed(Rules {
    default: defaults::namespace,
    prepare_create: |_, obj| {
        // A generated name is known only now.
        defaults::namespace(obj);
        obj.status = Some(NamespaceStatus {
            phase: Some("Active".to_string()),
            ..NamespaceStatus::default()
        });
        let finalizers = obj.spec.get_or_insert_default().finalizers.get_or_insert_default();
        if !finalizers.iter().any(|f| f == FINALIZER) {
            finalizers.push(FINALIZER.to_string());
        }
    },
    prepare_update: |_, new, old| {
        new.spec.clone_from(&old.spec);
        new.status.clone_from(&old.status);
    },
    fields: |obj| vec![("status.phase", text_at(obj, "/status/phase"))],
    status: Some(&STATUS),
    ..Rules::new(validation::namespace_create, validation::namespace_update)
});

/// `namespaces/status`.
static STATUS: Typed<Rules<Namespace>> = Typed(Rules::updating(
    defaults::namespace,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::namespace_status_update,
));

/// `namespaces/finalize`: only the spec's finalizers change (`namespaceFinalizeStrategy`).
pub(crate) static FINALIZE: Typed<Rules<Namespace>> = Typed(Rules::updating(
    defaults::namespace,
    |_, new, old| new.status.clone_from(&old.status),
    validation::namespace_finalize_update,
));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::strategy::Strategy;
    use crate::request::RequestContext;
    use serde_json::json;

    #[test]
    fn a_new_namespace_is_active_labelled_and_finalized() {
        let ctx = RequestContext::internal();
        let mut obj = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"},
            "status": {"phase": "Terminating"}});
        STRATEGY.default(&mut obj);
        STRATEGY.prepare_for_create(&ctx, &mut obj);
        assert_eq!(obj["spec"]["finalizers"], json!(["kubernetes"]));
        assert_eq!(obj["status"]["phase"], "Active");
        assert_eq!(obj["metadata"]["labels"]["kubernetes.io/metadata.name"], "a");
        assert!(STRATEGY.validate_create(&ctx, &obj).is_empty());
    }
}
