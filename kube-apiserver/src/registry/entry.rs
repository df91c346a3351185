//! One version of one object as readers share it: encoded bytes plus a small index.
//!
//! An object is decoded when it is written and when nobody has read this version yet. From then on
//! GET, LIST and WATCH copy its JSON; selectors look at the index. [`Entry::value`] decodes again,
//! for the few readers that need the tree.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use apimachinery::meta;
use apimachinery::status::Result;
use bytes::Bytes;
use serde_json::{Value, json};

use super::codec;
use super::strategy::Strategy;
use crate::resources::Resource;

/// What selectors and keys need of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// Namespace, empty for cluster-scoped kinds.
    pub(crate) namespace: String,
    /// Name.
    pub(crate) name: String,
    /// Labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// The kind's selectable fields.
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Index {
    /// Reads the index off an object.
    pub(crate) fn of(obj: &Value, strategy: &dyn Strategy) -> Self {
        Index {
            namespace: meta::namespace(obj).to_owned(),
            name: meta::name(obj).to_owned(),
            labels: meta::labels(obj)
                .iter()
                .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
                .collect(),
            fields: strategy.selectable_fields(obj),
        }
    }
}

/// The object's encodings: made once per version, shared by all who send it.
#[derive(Debug)]
struct Encoded {
    json: Bytes,
    /// The message without envelope, once somebody has asked for it.
    protobuf: OnceLock<Bytes>,
}

/// One version of one object, defaulted, in the hub version; shared by all readers.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its revision: `metadata.resourceVersion`.
    pub(crate) rev: i64,
    /// What selectors look at.
    pub(crate) index: Arc<Index>,
    row: &'static Resource,
    encoded: Arc<Encoded>,
    /// The tree, while whoever decoded it still holds this.
    value: Option<Arc<Value>>,
    /// The stored bytes that say the same, while whoever wrote them still holds this.
    stored: Option<Bytes>,
}

impl Entry {
    /// Encodes an object as of a revision.
    pub(crate) fn new(row: &'static Resource, strategy: &dyn Strategy, rev: i64, value: Value) -> Arc<Self> {
        let json = value.as_object().map(|map| {
            let fields: BTreeMap<&String, &Value> =
                map.iter().filter(|(k, _)| *k != "apiVersion" && *k != "kind").collect();
            serde_json::to_vec(&fields).unwrap_or_default()
        });
        Arc::new(Entry {
            rev,
            index: Arc::new(Index::of(&value, strategy)),
            row,
            encoded: Arc::new(Encoded {
                json: json.unwrap_or_else(|| b"{}".to_vec()).into(),
                protobuf: OnceLock::new(),
            }),
            value: Some(Arc::new(value)),
            stored: None,
        })
    }

    /// As [`Entry::new`]; reading `stored` gives `value`, but for its revision.
    pub(crate) fn written(
        row: &'static Resource,
        strategy: &dyn Strategy,
        rev: i64,
        value: Value,
        stored: Bytes,
    ) -> Arc<Self> {
        let mut entry = Arc::unwrap_or_clone(Entry::new(row, strategy, rev, value));
        entry.stored = Some(stored);
        Arc::new(entry)
    }

    /// The same without the tree, to be kept.
    pub(crate) fn slim(&self) -> Arc<Self> {
        Arc::new(Entry {
            rev: self.rev,
            index: self.index.clone(),
            row: self.row,
            encoded: self.encoded.clone(),
            value: None,
            stored: None,
        })
    }

    /// The object as JSON without apiVersion and kind, as it stands in a list.
    pub(crate) fn item_json(&self) -> &Bytes {
        &self.encoded.json
    }

    /// The object as a protobuf message of the hub's type, without envelope.
    pub(crate) fn message(&self) -> Result<Bytes> {
        if let Some(done) = self.encoded.protobuf.get() {
            return Ok(done.clone());
        }
        let stored = self
            .stored
            .as_ref()
            .and_then(|bytes| codec::message_at(bytes, self.rev));
        let message = match stored {
            Some(message) => message,
            None => codec::message(self.row, &self.value())?,
        };
        Ok(self.encoded.protobuf.get_or_init(|| message.into()).clone())
    }

    /// The object with nothing but its metadata: its readers are many, and the rest is not even parsed.
    pub(crate) fn head(&self) -> Value {
        #[derive(serde::Deserialize)]
        struct Head {
            #[serde(default)]
            metadata: Value,
        }
        let head = serde_json::from_slice::<Head>(&self.encoded.json);
        json!({"metadata": head.map(|h| h.metadata).unwrap_or_default()})
    }

    /// The object with apiVersion, kind and resourceVersion.
    pub(crate) fn value(&self) -> Arc<Value> {
        if let Some(value) = &self.value {
            return value.clone();
        }
        let mut value: Value = serde_json::from_slice(&self.encoded.json).unwrap_or_default();
        meta::set_gvk(&mut value, &self.row.api_version(), self.row.kind);
        Arc::new(value)
    }

    /// Bytes it keeps alive, about.
    pub(crate) fn size(&self) -> usize {
        const FIXED: usize = 200;
        let labels: usize = self.index.labels.iter().map(|(k, v)| k.len() + v.len() + 60).sum();
        // Protobuf, when there is one, takes about half as much again.
        self.encoded.json.len() * 3 / 2 + labels + FIXED
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::registry::strategy::RAW;

    #[test]
    fn encodings_are_of_the_object_and_made_once() {
        let row = crate::resources::find("", "v1", "configmaps").unwrap();
        let cm = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "\u{e9}\"}"}, "metadata": {
            "name": "a", "labels": {"metadata": "x"}, "resourceVersion": "7"}});
        let entry = Entry::new(row, &RAW, 7, cm.clone());
        assert_eq!(entry.head(), json!({"metadata": cm["metadata"]}));
        let kept = entry.slim();
        let message = entry.message().unwrap();
        // The copy that is kept has what the one that was read has made.
        assert_eq!(kept.message().unwrap().as_ptr(), message.as_ptr());
        assert_eq!(*kept.value(), cm);
    }

    #[test]
    fn the_message_of_what_was_written_is_its_bytes_with_the_revision() {
        let row = crate::resources::find("", "v1", "configmaps").unwrap();
        for metadata in [
            json!({"name": "a", "namespace": "n", "uid": "u", "labels": {"x": "y"}, "creationTimestamp": null}),
            json!({"name": "a"}),
            json!({"labels": {"long": "x".repeat(300)}}),
            json!({}),
        ] {
            let mut cm = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}, "metadata": metadata});
            let stored = codec::encode(row, codec::Form::Protobuf, &mut cm).unwrap().bytes;
            meta::set_resource_version(&mut cm, "77");
            let made = Entry::new(row, &RAW, 77, cm.clone());
            let spliced = Entry::written(row, &RAW, 77, cm, stored.clone());
            assert_eq!(spliced.message().unwrap(), made.message().unwrap());
            assert!(codec::message_at(&stored, 77).is_some());
        }
        assert_eq!(codec::message_at(b"{}", 1), None);
        assert_eq!(codec::message_at(b"k8s\0\x0a\xff", 1), None);
    }
}
