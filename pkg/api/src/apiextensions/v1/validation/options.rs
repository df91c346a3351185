//! Which rules an update is spared, because the stored definition broke them already.

use apimachinery::field::Path;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionSpec, JSONSchemaProps,
};

use super::schema::{TYPES, list_keys};
use super::structural;
use super::walk::{any, item};
use crate::check::{equal, is_ca_bundle, is_review_version, list, text};

/// Most selectable fields of a version (`MaxSelectableFields`).
pub(super) const SELECTABLE_MAX: usize = 8;

/// `validationOptions`; all true and empty for a new object.
pub(super) struct Options {
    pub(super) recognized_review_version: bool,
    pub(super) immutable_names: bool,
    pub(super) schema: bool,
    pub(super) valid_types: bool,
    pub(super) structural: bool,
    pub(super) atomic_sets: bool,
    pub(super) list_keys: bool,
    pub(super) invalid_ca_bundle: bool,
    /// Versions whose selectable fields stay as many as they are; empty text: those all share.
    pub(super) many_selectable: Vec<String>,
}

impl Options {
    /// For a new object (`ValidateCustomResourceDefinition`).
    pub(super) fn create() -> Self {
        Options {
            recognized_review_version: true,
            immutable_names: false,
            schema: true,
            valid_types: true,
            structural: true,
            atomic_sets: true,
            list_keys: true,
            invalid_ca_bundle: true,
            many_selectable: vec![],
        }
    }

    /// For a change (`ValidateCustomResourceDefinitionUpdate`).
    pub(super) fn update(new: &CustomResourceDefinition, old: &CustomResourceDefinition) -> Self {
        let spec = &old.spec;
        let webhook = spec.conversion.as_ref().and_then(|c| c.webhook.as_ref());
        let reviews = webhook
            .map(|w| w.conversion_review_versions.as_slice())
            .unwrap_or_default();
        let established = is_established(old);
        let bundle = webhook
            .and_then(|w| w.client_config.as_ref())
            .and_then(|c| c.ca_bundle.as_ref());
        Options {
            recognized_review_version: reviews.is_empty() || reviews.iter().any(|v| is_review_version(v)),
            immutable_names: established,
            schema: spec.versions.iter().all(|v| schema_of(v).is_some()),
            valid_types: !any(spec, |s| !text(&s.type_).is_empty() && !TYPES.contains(&text(&s.type_))),
            structural: schemas(spec).all(structural::is_structural),
            atomic_sets: !any(spec, has_loose_set),
            list_keys: !any(spec, |s| {
                let mut errs = vec![];
                list_keys(&mut errs, s, &Path::root());
                !errs.is_empty()
            }),
            invalid_ca_bundle: !established || bundle.is_some_and(|b| !b.0.is_empty() && !is_ca_bundle(b)),
            many_selectable: many_selectable(&new.spec, spec),
        }
    }
}

fn is_established(obj: &CustomResourceDefinition) -> bool {
    let conditions = obj.status.as_ref().map(|s| list(&s.conditions)).unwrap_or_default();
    conditions
        .iter()
        .any(|c| c.type_ == "Established" && c.status == "True")
}

fn schema_of(
    version: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion,
) -> Option<&JSONSchemaProps> {
    version.schema.as_ref()?.open_api_v3_schema.as_ref()
}

fn schemas(spec: &CustomResourceDefinitionSpec) -> impl Iterator<Item = &JSONSchemaProps> {
    spec.versions.iter().filter_map(schema_of)
}

/// `hasNonAtomicSetType`.
fn has_loose_set(schema: &JSONSchemaProps) -> bool {
    let Some(item) = item(schema).filter(|_| text(&schema.x_kubernetes_list_type) == "set") else {
        return false;
    };
    match text(&item.type_) {
        "array" => item.x_kubernetes_list_type.as_deref().is_some_and(|t| t != "atomic"),
        "object" => item.x_kubernetes_map_type.as_deref() != Some("atomic"),
        _ => false,
    }
}

/// `findTooManySelectableFieldsAllowed`.
fn many_selectable(new: &CustomResourceDefinitionSpec, old: &CustomResourceDefinitionSpec) -> Vec<String> {
    let kept = |name: &str| {
        let find = |spec: &'_ CustomResourceDefinitionSpec| {
            let version = spec.versions.iter().find(|v| v.name == name)?;
            version.selectable_fields.clone()
        };
        let before = find(old);
        list(&before).len() > SELECTABLE_MAX && equal(&before, &find(new))
    };
    let mut names: Vec<String> = new
        .versions
        .iter()
        .map(|v| v.name.clone())
        .filter(|n| kept(n))
        .collect();
    if !names.is_empty() && names.len() == new.versions.len() {
        names.push(String::new());
    }
    names
}
