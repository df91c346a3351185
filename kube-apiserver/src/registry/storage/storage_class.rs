//! StorageClasses (pkg/registry/storage/storageclass/strategy.go).

use api::node::v1::labels::deprecated_label;
use api::storage::v1::{defaults, validation};
use k8s_openapi::api::storage::v1::StorageClass;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// StorageClasses.
pub(crate) static STRATEGY: Typed<Rules<StorageClass>> = Typed(Rules {
    default: defaults::storage_class,
    warnings: |obj, _| warnings(obj),
    ..Rules::new(validation::storage_class_create, validation::storage_class_update)
});

/// Topologies by labels that have newer names (`GetWarningsForStorageClass`).
fn warnings(obj: &StorageClass) -> Vec<String> {
    let mut out = vec![];
    for (index, term) in obj.allowed_topologies.iter().flatten().enumerate() {
        for (at, expression) in term.match_label_expressions.iter().flatten().enumerate() {
            if let Some(text) = deprecated_label(&expression.key) {
                out.push(format!(
                    "allowedTopologies[{index}].matchLabelExpressions[{at}].key: {text}"
                ));
            }
        }
    }
    out
}
