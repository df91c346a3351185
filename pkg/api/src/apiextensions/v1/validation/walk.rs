//! Every schema inside a schema (`SchemaHas`).

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinitionSpec, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
    JSONSchemaPropsOrStringArray,
};

use crate::check::list;

/// Calls `see` with the schema and all below it.
pub(crate) fn visit<'a>(schema: &'a JSONSchemaProps, see: &mut dyn FnMut(&'a JSONSchemaProps)) {
    see(schema);
    if let Some(item) = item(schema) {
        visit(item, see);
    }
    for s in items(schema) {
        visit(s, see);
    }
    let lists = [&schema.all_of, &schema.any_of, &schema.one_of];
    for s in lists.into_iter().flat_map(list) {
        visit(s, see);
    }
    if let Some(not) = &schema.not {
        visit(not, see);
    }
    for s in schema.properties.iter().flat_map(|p| p.values()) {
        visit(s, see);
    }
    if let Some(s) = additional(schema) {
        visit(s, see);
    }
    for s in schema.pattern_properties.iter().flat_map(|p| p.values()) {
        visit(s, see);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(s)) = &schema.additional_items {
        visit(s, see);
    }
    for s in schema.definitions.iter().flat_map(|p| p.values()) {
        visit(s, see);
    }
    for dependency in schema.dependencies.iter().flat_map(|d| d.values()) {
        if let JSONSchemaPropsOrStringArray::Schema(s) = dependency {
            visit(s, see);
        }
    }
}

/// Whether some schema of the definition is of a kind.
pub(super) fn any(spec: &CustomResourceDefinitionSpec, is: impl Fn(&JSONSchemaProps) -> bool) -> bool {
    let schemas = spec.versions.iter().filter_map(|v| v.schema.as_ref());
    let mut found = false;
    for schema in schemas.filter_map(|s| s.open_api_v3_schema.as_ref()) {
        visit(schema, &mut |s| found |= is(s));
    }
    found
}

/// The one schema of all items.
pub(super) fn item(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(s)) => Some(s),
        _ => None,
    }
}

/// The schemas of items by position, which are not supported.
pub(super) fn items(schema: &JSONSchemaProps) -> &[JSONSchemaProps] {
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schemas(all)) => all,
        _ => &[],
    }
}

/// The schema of a map's values.
pub(super) fn additional(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(s)) => Some(s),
        _ => None,
    }
}
