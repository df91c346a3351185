//! What a version has, or all of them share: schema, subresources, columns, selectable fields.

use std::collections::BTreeSet;

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinitionVersion, CustomResourceSubresources,
    CustomResourceValidation, JSONSchemaProps, SelectableField,
};

use super::form::Parts;
use super::options::{Options, SELECTABLE_MAX};
use super::{schema, structural};
use crate::check::{list, text};

/// `printerColumnDatatypes`, sorted.
const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
/// `customResourceColumnDefinitionFormats`, sorted.
const COLUMN_FORMATS: [&str; 8] = [
    "byte",
    "date",
    "date-time",
    "double",
    "float",
    "int32",
    "int64",
    "password",
];
/// Longest deprecation warning, in bytes.
const WARNING_MAX: usize = 256;

/// What the place of a schema decides.
pub(super) struct Checks<'a> {
    pub(super) structural: bool,
    pub(super) has_status: bool,
    pub(super) options: &'a Options,
}

/// `validateCustomResourceDefinitionVersion`.
pub(super) fn version(
    errs: &mut ErrorList,
    version: &CustomResourceDefinitionVersion,
    parts: &Parts<'_>,
    checks: &Checks<'_>,
    path: &Path,
) {
    deprecation(errs, version, &path.child("deprecationWarning"));
    schema(errs, parts.schema, checks, &path.child("schema"));
    subresources(errs, parts.subresources, &path.child("subresources"));
    columns(errs, parts.columns, &path.child("additionalPrinterColumns"));
    if !parts.selectable.is_empty() {
        let at = path.child("selectableFields");
        match parts.schema.filter(|s| s.open_api_v3_schema.is_some()) {
            None => {
                let rule = "may only be set when `version.schema.openAPIV3Schema` is not included";
                errs.push(Error::invalid(&at, "", rule));
            }
            Some(schema) => {
                let many = checks.options.many_selectable.contains(&version.name);
                let broken = path.child("schema.openAPIV3Schema");
                selectable_fields(errs, parts.selectable, schema, many, &at, &broken);
            }
        }
    }
}

/// `validateDeprecationWarning`.
fn deprecation(errs: &mut ErrorList, version: &CustomResourceDefinitionVersion, path: &Path) {
    let Some(warning) = &version.deprecation_warning else {
        return;
    };
    let mut refuse = |rule: String| errs.push(Error::invalid(path, BadValue::named(warning), rule));
    if version.deprecated != Some(true) {
        refuse("can only be set for deprecated versions".to_string());
        return;
    }
    if warning.len() > WARNING_MAX {
        refuse("must be <= 256 characters long".to_string());
    }
    if warning.is_empty() {
        refuse("must not be an empty string".to_string());
    }
    // Go prints no space but the plain one.
    let hidden = |c: char| c.is_control() || (c.is_whitespace() && c != ' ');
    if let Some(at) = warning.find(hidden) {
        refuse(format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {at}"
        ));
    }
}

/// `validateCustomResourceDefinitionValidation`.
pub(super) fn schema(
    errs: &mut ErrorList,
    validation: Option<&CustomResourceValidation>,
    checks: &Checks<'_>,
    path: &Path,
) {
    let Some(schema) = validation.and_then(|v| v.open_api_v3_schema.as_ref()) else {
        return;
    };
    let at = path.child("openAPIV3Schema");
    let before = errs.len();
    if checks.has_status {
        root_beside_status(errs, schema, &at, path);
    }
    if schema.nullable == Some(true) {
        let path = path.child("openAPIV3Schema.nullable");
        errs.push(Error::forbidden(&path, "nullable cannot be true at the root"));
    }
    let unsupported = checks.structural.then(|| structural::unsupported(schema)).flatten();
    if checks.structural && unsupported.is_none() {
        structural::structural(errs, schema, &at);
    }
    schema::schema(errs, schema, checks.options, &at);
    // Told only where the rules above say nothing.
    if let Some(why) = unsupported.filter(|_| errs.len() == before) {
        errs.push(Error::invalid(&at, "", why));
    }
}

/// At the root of a schema whose status is taken out, only what loses nothing by that is allowed.
fn root_beside_status(errs: &mut ErrorList, s: &JSONSchemaProps, at: &Path, path: &Path) {
    const RULE: &str = "only [Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations] fields are allowed at the root of the schema if the status subresource is enabled";
    // In the order of Go's struct: the first field that is wrong is reported.
    let before_type = s.id.is_some() || s.schema.is_some() || s.ref_path.is_some();
    let type_ = text(&s.type_);
    if !before_type && !type_.is_empty() && type_ != "object" {
        let rule =
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        errs.push(Error::invalid(&path.child("openAPIV3Schema.type"), type_, rule));
        return;
    }
    let others = s.nullable == Some(true)
        || s.default.is_some()
        || s.enum_.is_some()
        || s.max_properties.is_some()
        || s.min_properties.is_some()
        || s.all_of.is_some()
        || s.one_of.is_some()
        || s.any_of.is_some()
        || s.not.is_some()
        || s.additional_properties.is_some()
        || s.pattern_properties.is_some()
        || s.dependencies.is_some()
        || s.additional_items.is_some()
        || s.definitions.is_some()
        || s.x_kubernetes_embedded_resource == Some(true)
        || s.x_kubernetes_int_or_string == Some(true)
        || s.x_kubernetes_list_map_keys.is_some()
        || s.x_kubernetes_list_type.is_some()
        || s.x_kubernetes_map_type.is_some();
    if before_type || others {
        let value = crate::internal::shown("apiextensions.JSONSchemaProps", s);
        errs.push(Error::invalid(at, value, RULE));
    }
}

/// `ValidateCustomResourceDefinitionSubresources`.
pub(super) fn subresources(errs: &mut ErrorList, subresources: Option<&CustomResourceSubresources>, path: &Path) {
    let Some(scale) = subresources.and_then(|s| s.scale.as_ref()) else {
        return;
    };
    for (field, value, root) in [
        ("specReplicasPath", &scale.spec_replicas_path, ".spec"),
        ("statusReplicasPath", &scale.status_replicas_path, ".status"),
    ] {
        let path = path.child(&format!("scale.{field}"));
        if value.is_empty() {
            errs.push(Error::required(&path, ""));
        } else if simple_path(errs, value, &path) && !value.starts_with(&format!("{root}.")) {
            errs.push(Error::invalid(
                &path,
                value,
                format!("should be a json path under {root}"),
            ));
        }
    }
    if let Some(value) = scale.label_selector_path.as_ref().filter(|v| !v.is_empty()) {
        let path = path.child("scale.labelSelectorPath");
        if simple_path(errs, value, &path) && !value.starts_with(".spec.") && !value.starts_with(".status.") {
            let rule = "should be a json path under either .spec or .status";
            errs.push(Error::invalid(&path, value, rule));
        }
    }
}

/// `validateSimpleJSONPath`.
fn simple_path(errs: &mut ErrorList, value: &str, path: &Path) -> bool {
    if !value.starts_with('.') {
        errs.push(Error::invalid(
            path,
            value,
            "must be a simple json path starting with .",
        ));
    }
    value.starts_with('.')
}

/// `ValidateCustomResourceColumnDefinition` for each column.
pub(super) fn columns(errs: &mut ErrorList, columns: &[CustomResourceColumnDefinition], path: &Path) {
    for (index, column) in columns.iter().enumerate() {
        let path = path.index(index);
        crate::check::required(errs, &path.child("name"), &column.name);
        let rule = format!("must be one of {}", COLUMN_TYPES.join(","));
        let type_ = column.type_.as_str();
        if type_.is_empty() {
            errs.push(Error::required(&path.child("type"), rule));
        } else if !COLUMN_TYPES.contains(&type_) {
            errs.push(Error::invalid(&path.child("type"), type_, rule));
        }
        let format = text(&column.format);
        if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
            let rule = format!("must be one of {}", COLUMN_FORMATS.join(","));
            errs.push(Error::invalid(&path.child("format"), format, rule));
        }
        let path = path.child("JSONPath");
        if column.json_path.is_empty() {
            errs.push(Error::required(&path, ""));
        } else {
            simple_path(errs, &column.json_path, &path);
        }
    }
}

/// `ValidateCustomResourceSelectableFields`; a schema that is not structural is reported at `broken`.
pub(super) fn selectable_fields(
    errs: &mut ErrorList,
    fields: &[SelectableField],
    validation: &CustomResourceValidation,
    many: bool,
    path: &Path,
    broken: &Path,
) {
    let schema = validation.open_api_v3_schema.as_ref();
    if let Some(why) = schema.and_then(structural::unsupported) {
        errs.push(Error::invalid(broken, "", why));
    }
    let mut seen = BTreeSet::new();
    for (index, field) in fields.iter().enumerate() {
        let at = path.index(index).child("jsonPath");
        let value = field.json_path.as_str();
        if value.is_empty() {
            errs.push(Error::required(&at, ""));
            continue;
        }
        let found = match schema.ok_or("does not refer to a valid field".to_string()) {
            Ok(schema) => structural::field_at(schema, value, false),
            Err(why) => Err(why),
        };
        let (steps, found) = match found {
            Ok(found) => found,
            Err(why) => {
                errs.push(Error::invalid(&at, value, format!("is an invalid path: {why}")));
                continue;
            }
        };
        if steps.first().is_some_and(|s| s == "metadata") {
            errs.push(Error::invalid(&at, value, "must not point to fields in metadata"));
        }
        if !matches!(text(&found.type_), "string" | "boolean" | "integer") {
            let rule = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            errs.push(Error::invalid(&at, value, rule));
        }
        if !seen.insert(steps) {
            errs.push(Error::duplicate(&at, value));
        }
    }
    if seen.len() > SELECTABLE_MAX && !many {
        errs.push(Error::too_many(path, seen.len(), SELECTABLE_MAX));
    }
}

/// Keys of a list of maps, as rules need them.
pub(super) fn map_keys(schema: &JSONSchemaProps) -> &[String] {
    list(&schema.x_kubernetes_list_map_keys)
}
