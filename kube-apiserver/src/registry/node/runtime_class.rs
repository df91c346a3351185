//! RuntimeClasses (pkg/registry/node/runtimeclass/strategy.go).

use api::node::v1::labels::deprecated_label;
use api::node::v1::validation;
use k8s_openapi::api::node::v1::RuntimeClass;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// RuntimeClasses.
pub(crate) static STRATEGY: Typed<Rules<RuntimeClass>> = Typed(Rules {
    unconditional_update: false,
    warnings: |obj, _| {
        let selector = obj.scheduling.as_ref().and_then(|s| s.node_selector.as_ref());
        let labels = selector.into_iter().flat_map(|s| s.keys());
        let texts = labels.filter_map(|label| deprecated_label(label));
        texts.map(|text| format!("scheduling.nodeSelector: {text}")).collect()
    },
    ..Rules::new(validation::runtime_class_create, validation::runtime_class_update)
});
