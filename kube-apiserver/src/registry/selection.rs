//! Which objects a list or watch wants: namespace comes with the key, labels and fields from here.

use apimachinery::{fields, labels};

use super::entry::Index;
use super::options::ListOptions;

/// A label selector and a field selector on one kind.
#[derive(Clone)]
pub(crate) struct Selection {
    labels: Option<labels::Selector>,
    fields: Option<fields::Selector>,
}

impl Selection {
    /// What the options choose; their labels are the hub's (see `field_labels.rs`).
    pub(crate) fn new(options: &ListOptions) -> Self {
        Selection {
            labels: options.labels.clone().filter(|s| !s.is_everything()),
            fields: options.fields.clone().filter(|s| !s.is_everything()),
        }
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
