//! FlowSchemas (pkg/registry/flowcontrol/flowschema/strategy.go): defaults and metadata.

use api::flowcontrol::v1::defaults;
use k8s_openapi::api::flowcontrol::v1::FlowSchema;

use crate::registry::strategies::rules::{Rules, differ, first_generation, keep_metadata, next_generation};
use crate::registry::strategy::Typed;

/// FlowSchemas.
pub(crate) static STRATEGY: Typed<Rules<FlowSchema>> = Typed(Rules {
    default: defaults::flow_schema,
    prepare_create: |_, obj| {
        first_generation(obj);
        obj.status = None;
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    status: Some(&STATUS),
    ..Rules::new(
        |obj| api::meta::create(&obj.metadata, false, api::meta::name_subdomain),
        |new, old| api::meta::update(&new.metadata, &old.metadata),
    )
});

/// The status subresource.
static STATUS: Typed<Rules<FlowSchema>> = Typed(Rules::updating(
    defaults::flow_schema,
    |_, new, old| {
        new.spec.clone_from(&old.spec);
        keep_metadata(new, old);
    },
    |new, old| api::meta::update(&new.metadata, &old.metadata),
));

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::strategy::Strategy as _;
    use crate::request::RequestContext;

    #[test]
    fn the_status_leaves_metadata_alone() {
        let object = |text: &str| {
            json!({
                "metadata": {"name": "f", "labels": {"l": text}, "annotations": {"a": text}},
                "spec": {"priorityLevelConfiguration": {"name": "p"}},
            })
        };
        let mut new = object("new");
        STATUS.prepare_for_update(&RequestContext::internal(), &mut new, &object("old"));
        assert_eq!(new["metadata"]["labels"]["l"], "old");
        assert_eq!(new["metadata"]["annotations"]["a"], "old");
    }
}
