//! The internal form of a definition (`Convert_v1_CustomResourceDefinitionSpec_To_apiextensions_...`).

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinitionSpec, CustomResourceDefinitionVersion,
    CustomResourceSubresources, CustomResourceValidation, SelectableField,
};

use crate::check::{equal, list};

/// What a version has, or all of them share.
#[derive(Clone, Copy, Default)]
pub(super) struct Parts<'a> {
    pub(super) schema: Option<&'a CustomResourceValidation>,
    pub(super) subresources: Option<&'a CustomResourceSubresources>,
    pub(super) columns: &'a [CustomResourceColumnDefinition],
    pub(super) selectable: &'a [SelectableField],
}

/// A definition's parts where upstream looks for them.
pub(super) struct Form<'a> {
    pub(super) spec: &'a CustomResourceDefinitionSpec,
    /// What all versions share.
    pub(super) shared: Parts<'a>,
    /// What the versions have each for itself, in their order.
    pub(super) versions: Vec<Parts<'a>>,
}

impl<'a> Form<'a> {
    pub(super) fn of(spec: &'a CustomResourceDefinitionSpec) -> Self {
        let mut versions: Vec<Parts<'a>> = spec.versions.iter().map(parts).collect();
        let mut shared = Parts::default();
        if let Some(first) = versions.first().copied() {
            if versions.iter().all(|v| equal(&v.schema, &first.schema)) {
                shared.schema = first.schema;
                versions.iter_mut().for_each(|v| v.schema = None);
            }
            if versions.iter().all(|v| equal(&v.subresources, &first.subresources)) {
                shared.subresources = first.subresources;
                versions.iter_mut().for_each(|v| v.subresources = None);
            }
            if versions.iter().all(|v| equal(&v.columns, &first.columns)) {
                shared.columns = first.columns;
                versions.iter_mut().for_each(|v| v.columns = &[]);
            }
            if versions.iter().all(|v| equal(&v.selectable, &first.selectable)) {
                shared.selectable = first.selectable;
                versions.iter_mut().for_each(|v| v.selectable = &[]);
            }
        }
        Form { spec, shared, versions }
    }

    /// Whether a version has the status subresource (`getSubresourcesForVersion`).
    pub(super) fn has_status(&self, index: usize) -> bool {
        let own = self.versions[index].subresources;
        let found = if self.versions.iter().all(|v| v.subresources.is_none()) {
            self.shared.subresources
        } else {
            own
        };
        found.is_some_and(|s| s.status.is_some())
    }

    /// Whether any version has the status subresource (`hasAnyStatusEnabled`).
    pub(super) fn has_any_status(&self) -> bool {
        let mut all = self.spec.versions.iter().filter_map(|v| v.subresources.as_ref());
        all.any(|s| s.status.is_some())
    }
}

fn parts(version: &CustomResourceDefinitionVersion) -> Parts<'_> {
    Parts {
        schema: version.schema.as_ref(),
        subresources: version.subresources.as_ref(),
        columns: list(&version.additional_printer_columns),
        selectable: list(&version.selectable_fields),
    }
}
