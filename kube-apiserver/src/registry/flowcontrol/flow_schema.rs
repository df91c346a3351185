//! FlowSchemas (pkg/registry/flowcontrol/flowschema/strategy.go).

use api::flowcontrol::v1::{defaults, validation};
use k8s_openapi::api::flowcontrol::v1::FlowSchema;

use crate::registry::strategies::rules::{Rules, spec_status};
use crate::registry::strategy::Typed;

spec_status!(FlowSchema);

/// FlowSchemas.
pub(crate) static STRATEGY: Typed<Rules<FlowSchema>> = Typed(Rules {
    default: defaults::flow_schema,
    status: Some(&STATUS),
    ..Rules::counted(validation::flow_schema_create, validation::flow_schema_update)
});

/// The status subresource.
static STATUS: Typed<Rules<FlowSchema>> = Typed(Rules::of_status(
    defaults::flow_schema,
    validation::flow_schema_status_update,
));

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::strategy::Strategy as _;
    use crate::request::RequestContext;

    #[test]
    fn the_status_leaves_metadata_and_spec_alone() {
        let object = |text: &str| {
            json!({
                "metadata": {"name": "f", "labels": {"l": text}, "annotations": {"a": text}},
                "spec": {"priorityLevelConfiguration": {"name": text}},
            })
        };
        let mut new = object("new");
        STATUS.prepare_for_update(&RequestContext::internal(), &mut new, &object("old"));
        assert_eq!(new["metadata"]["labels"]["l"], "old");
        assert_eq!(new["metadata"]["annotations"]["a"], "old");
        assert_eq!(new["spec"]["priorityLevelConfiguration"]["name"], "old");
    }

    #[test]
    fn what_every_cluster_starts_with_is_valid() {
        let ctx = RequestContext::internal();
        for (resource, mut object) in crate::bootstrap::flow_control::all() {
            let strategy = crate::registry::strategies::strategy_for("flowcontrol.apiserver.k8s.io", resource);
            strategy.default(&mut object);
            strategy.prepare_for_create(&ctx, &mut object);
            let errors = strategy.validate_create(&ctx, &object);
            assert!(
                errors.is_empty(),
                "{resource} {}: {errors:?}",
                object["metadata"]["name"]
            );
        }
    }

    #[test]
    fn the_generation_counts_changes_of_the_spec() {
        let ctx = RequestContext::internal();
        let object =
            |level: &str| json!({"metadata": {"name": "f"}, "spec": {"priorityLevelConfiguration": {"name": level}}});
        let mut old = object("a");
        STRATEGY.prepare_for_create(&ctx, &mut old);
        assert_eq!(old["metadata"]["generation"], 1);
        let mut new = object("b");
        STRATEGY.prepare_for_update(&ctx, &mut new, &old);
        assert_eq!(new["metadata"]["generation"], 2);
        let mut same = object("a");
        STRATEGY.prepare_for_update(&ctx, &mut same, &old);
        assert_eq!(same["metadata"]["generation"], 1);
    }
}
