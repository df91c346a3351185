//! Validation of apiextensions.k8s.io/v1 (apiextensions-apiserver
//! `pkg/apis/apiextensions/validation/validation.go`).
//!
//! Upstream checks its internal form: what all versions share stands at `spec.validation`,
//! `spec.subresources`, `spec.additionalPrinterColumns` and `spec.selectableFields`, a webhook at
//! `spec.conversion.webhookClientConfig`. The paths of errors are those, so [`form::Form`] has that shape.
//!
//! Not checked: what CEL expressions and patterns say, and defaults against their schemas.

mod conversion;
mod definition;
mod form;
mod options;
mod schema;
mod structural;
mod version;
mod walk;

pub use definition::{
    custom_resource_definition_create, custom_resource_definition_status_update, custom_resource_definition_update,
};
pub(crate) use walk::visit;

#[cfg(test)]
mod tests;
