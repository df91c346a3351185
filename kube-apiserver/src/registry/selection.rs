//! Which objects a list or watch wants: namespace comes with the key, labels and fields from here.

use apimachinery::labels::Operator;
use apimachinery::{fields, labels};

use super::entry::Index;
use super::options::ListOptions;
use crate::storage::Term;

/// What paths of [`Selection::terms`] begin with.
const FIELD: &str = "field:";
const LABEL: &str = "label:";

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
        fields.matches(|label| field(index, label))
    }

    /// What every selected object has: the terms that name the values of a field or a label.
    pub(crate) fn terms(&self) -> Vec<Term> {
        let fields = self.fields.iter().flat_map(fields::Selector::requirements);
        let fields = fields.filter(|r| !r.negated).map(|r| Term {
            path: format!("{FIELD}{}", r.field),
            values: vec![r.value.clone()],
        });
        let labels = self.labels.iter().flat_map(labels::Selector::requirements);
        let labels =
            labels.filter(|r| matches!(r.operator(), Operator::Equals | Operator::DoubleEquals | Operator::In));
        let labels = labels.map(|r| Term {
            path: format!("{LABEL}{}", r.key()),
            values: r.values().to_vec(),
        });
        fields.chain(labels).collect()
    }
}

/// What an object has at the path of a term.
pub(crate) fn value<'a>(index: &'a Index, path: &str) -> Option<&'a str> {
    match path.strip_prefix(LABEL) {
        Some(label) => index.labels.get(label).map(String::as_str),
        None => path.strip_prefix(FIELD).map(|label| field(index, label)),
    }
}

/// A field by its label; one that the object does not have is empty.
fn field<'a>(index: &'a Index, label: &str) -> &'a str {
    match label {
        "metadata.name" => index.name.as_str(),
        "metadata.namespace" => index.namespace.as_str(),
        other => index
            .fields
            .iter()
            .find(|(k, _)| *k == other)
            .map_or("", |(_, v)| v.as_str()),
    }
}
