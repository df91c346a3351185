//! CustomResourceDefinitions (apiextensions-apiserver `pkg/registry/customresourcedefinition/strategy.go`).

use api::apiextensions::v1::{defaults, formats, validation};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use crate::registry::strategies::rules::{
    Rules, SpecStatus as _, Warnings, differ, first_generation, next_generation, spec_status,
};
use crate::registry::strategy::Typed;

spec_status!(CustomResourceDefinition);

/// CustomResourceDefinitions. The storage version is among the stored ones from the start.
pub(crate) static STRATEGY: Typed<Rules<CustomResourceDefinition>> = Typed(Rules {
    default: defaults::custom_resource_definition,
    prepare_create: |_, obj| {
        obj.clear_status();
        first_generation(obj);
        defaults::add_stored_version(obj, false);
    },
    prepare_update: |_, new, old| {
        new.keep_status(old);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
        defaults::add_stored_version(new, false);
    },
    unconditional_update: false,
    warnings: Warnings::Change(|obj, old| {
        let before = old.map(formats::unrecognized_formats).unwrap_or_default();
        let found = formats::unrecognized_formats(obj).into_iter();
        let new = found.filter(|format| !before.contains(format));
        new.map(|format| format!("unrecognized format {format:?}")).collect()
    }),
    status: Some(&STATUS),
    ..Rules::new(
        validation::custom_resource_definition_create,
        validation::custom_resource_definition_update,
    )
});

/// `customresourcedefinitions/status`. It keeps the new metadata, as upstream does by a slip
/// (kubernetes/kubernetes#137681).
static STATUS: Typed<Rules<CustomResourceDefinition>> = Typed(Rules {
    unconditional_update: false,
    ..Rules::updating(
        defaults::custom_resource_definition,
        |_, new, old| new.keep_spec(old),
        validation::custom_resource_definition_status_update,
    )
});

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::strategy::Strategy as _;
    use crate::request::RequestContext;

    #[test]
    fn stored_versions_grow_with_the_storage_version() {
        let ctx = RequestContext::internal();
        let version = |name: &str, storage: bool| json!({"name": name, "served": true, "storage": storage});
        let mut old = json!({"metadata": {"name": "x"}, "spec": {"group": "g", "scope": "Cluster", "names": {"plural": "x", "kind": "X"},
            "versions": [version("v1", true)]}, "status": {"storedVersions": ["v0"]}});
        STRATEGY.prepare_for_create(&ctx, &mut old);
        assert_eq!(old["status"]["storedVersions"], json!(["v1"]));
        let mut new = old.clone();
        new["spec"]["versions"] = json!([version("v1", false), version("v2", true)]);
        STRATEGY.prepare_for_update(&ctx, &mut new, &old);
        assert_eq!(new["status"]["storedVersions"], json!(["v1", "v2"]));
        assert_eq!(new["metadata"]["generation"], 2);
    }

    #[test]
    fn new_formats_nobody_knows_are_warned_about() {
        let with = |format: &str| {
            json!({"metadata": {"name": "x"}, "spec": {"group": "g", "scope": "Cluster", "names": {"plural": "x", "kind": "X"}, "versions": [
                {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string", "format": format}}}}}]}})
        };
        assert_eq!(STRATEGY.warnings(&with("odd"), None), ["unrecognized format \"odd\""]);
        assert!(STRATEGY.warnings(&with("odd"), Some(&with("odd"))).is_empty());
        assert!(STRATEGY.warnings(&with("date-time"), None).is_empty());
    }
}
