//! Ingresses (pkg/registry/networking/ingress/strategy.go).

use api::networking::v1::{defaults, validation};
use k8s_openapi::api::networking::v1::Ingress;

use crate::registry::strategies::rules::{Rules, spec_status};
use crate::registry::strategy::Typed;

spec_status!(Ingress);

/// Ingresses.
pub(crate) static STRATEGY: Typed<Rules<Ingress>> = Typed(Rules {
    default: defaults::ingress,
    warnings: |obj, old| {
        const CLASS: &str = "kubernetes.io/ingress.class";
        let annotated = obj.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(CLASS));
        let class = obj.spec.as_ref().and_then(|s| s.ingress_class_name.as_ref());
        if old.is_some() || !annotated || class.is_some() {
            return vec![];
        }
        vec![format!(
            "annotation {CLASS:?} is deprecated, please use 'spec.ingressClassName' instead"
        )]
    },
    status: Some(&STATUS),
    ..Rules::counted(validation::ingress_create, validation::ingress_update)
});

/// `ingresses/status`.
static STATUS: Typed<Rules<Ingress>> = Typed(Rules::updating(
    defaults::ingress,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::ingress_status_update,
));
