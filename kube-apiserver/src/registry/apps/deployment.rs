//! Deployments (pkg/registry/apps/deployment/strategy.go).

use api::apps::v1::{defaults, validation, warnings};
use k8s_openapi::api::apps::v1::Deployment;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// Deployments.
pub(crate) static STRATEGY: Typed<Rules<Deployment>> = Typed(Rules {
    recall: |raw, obj| {
        if let Some(spec) = &mut obj.spec {
            defaults::given_selector(raw, &mut spec.selector);
        }
    },
    default: defaults::deployment,
    prepare_create: |_, obj| {
        first_generation(obj);
        obj.status = Some(Default::default());
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let changed = differ(&new.spec, &old.spec) || differ(&new.metadata.annotations, &old.metadata.annotations);
        next_generation(new, old, changed);
    },
    warnings: Warnings::Change(warnings::deployment),
    status: Some(&STATUS),
    ..Rules::new(validation::deployment_create, validation::deployment_update)
});

/// `deployments/status`.
static STATUS: Typed<Rules<Deployment>> = Typed(Rules::updating(
    defaults::deployment,
    |_, new, old| {
        new.spec.clone_from(&old.spec);
        new.metadata.labels.clone_from(&old.metadata.labels);
    },
    validation::deployment_status_update,
));

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::strategy::Strategy as _;
    use crate::request::RequestContext;

    #[test]
    fn the_status_leaves_labels_alone() {
        let object = |label: &str| {
            json!({
                "metadata": {"name": "d", "labels": {"l": label}, "annotations": {"a": label}},
                "spec": {"selector": {}, "template": {}},
            })
        };
        let mut new = object("new");
        STATUS.prepare_for_update(&RequestContext::internal(), &mut new, &object("old"));
        assert_eq!(new["metadata"]["labels"]["l"], "old");
        assert_eq!(new["metadata"]["annotations"]["a"], "new");
    }
}
