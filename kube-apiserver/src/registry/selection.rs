//! Which objects a list or watch wants: namespace comes with the key, labels and fields from here.

use apimachinery::status::{ApiError, Result};
use apimachinery::{fields, labels};
use serde_json::Value;

use super::entry::Index;
use super::options::ListOptions;
use super::strategy::Strategy;

/// A label selector and a field selector on one kind.
#[derive(Clone)]
pub(crate) struct Selection {
    labels: Option<labels::Selector>,
    fields: Option<fields::Selector>,
}

impl Selection {
    /// Checks that the kind knows the selected fields.
    pub(crate) fn new(options: &ListOptions, strategy: &dyn Strategy) -> Result<Self> {
        if let Some(selector) = &options.fields {
            let known = strategy.selectable_fields(&Value::Object(serde_json::Map::new()));
            for r in selector.requirements() {
                let field = r.field.as_str();
                if matches!(field, "metadata.name" | "metadata.namespace") || known.iter().any(|(k, _)| *k == field) {
                    continue;
                }
                // Kinds without fields of their own answer with the generic conversion's text.
                return Err(ApiError::bad_request(if known.is_empty() {
                    format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
                } else {
                    format!("field label not supported: {field}")
                }));
            }
        }
        Ok(Selection {
            labels: options.labels.clone().filter(|s| !s.is_everything()),
            fields: options.fields.clone().filter(|s| !s.is_everything()),
        })
    }

    /// Whether nothing is left out.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_none() && self.fields.is_none()
    }

    /// The one name this selection can match, if it names one.
    pub(crate) fn single_name(&self) -> Option<&str> {
        self.fields.as_ref()?.requires_exact_match("metadata.name")
    }

    /// Whether an object with this index is wanted.
    pub(crate) fn matches(&self, index: &Index) -> bool {
        if let Some(labels) = &self.labels
            && !labels.matches(&index.labels)
        {
            return false;
        }
        let Some(fields) = &self.fields else { return true };
        fields.matches(|field| match field {
            "metadata.name" => index.name.as_str(),
            "metadata.namespace" => index.namespace.as_str(),
            other => index
                .fields
                .iter()
                .find(|(k, _)| *k == other)
                .map_or("", |(_, v)| v.as_str()),
        })
    }
}
