//! Stored bytes: `k8s\0` protobuf in the storage version, or JSON with a newline, or YAML, as
//! `--storage-media-type` says; some kinds are always JSON. Reading sniffs: every form is understood for every kind,
//! so that a store may hold all of them. Upstream: `apiserver/pkg/server/storage/storage_codec.go` `NewStorageCodec`.

use apimachinery::codec::{json, proto, yaml};
use apimachinery::meta;
use apimachinery::schema::TypeId;
use apimachinery::status::{ApiError, Result};
use bytes::Bytes;
use serde_json::Value;

use crate::resources::Resource;
use crate::storage::encryption;

/// `--storage-media-type`: how objects are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// `application/vnd.kubernetes.protobuf`.
    #[default]
    Protobuf,
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
}

impl Form {
    /// The form of a media type; an empty one is JSON, as upstream's storage factory has it.
    pub(crate) fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/vnd.kubernetes.protobuf" => Some(Form::Protobuf),
            "" | "application/json" => Some(Form::Json),
            "application/yaml" => Some(Form::Yaml),
            _ => None,
        }
    }

    /// What objects of `row` are written as: there is no protobuf of some kinds (etcd-keys.tsv).
    fn of_kind(self, row: &Resource) -> Self {
        match self {
            Form::Protobuf if matches!(row.group, "apiextensions.k8s.io" | "apiregistration.k8s.io") => Form::Json,
            form => form,
        }
    }
}

/// What is stored of an object.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// The value of its key.
    pub(crate) bytes: Bytes,
    /// The object is what [`decode`] makes of the bytes.
    pub(crate) faithful: bool,
}

/// The bytes to store for a hub object. resourceVersion and selfLink are not stored: they are taken off while the
/// bytes are made.
pub(crate) fn encode(row: &Resource, form: Form, obj: &mut Value) -> Result<Stored> {
    let unstored = ["resourceVersion", "selfLink"].map(|field| (field, meta::take(obj, field)));
    let stored = stored(row, form.of_kind(row), obj);
    for (field, value) in unstored {
        if let Some(value) = value {
            meta::set(obj, field, value);
        }
    }
    stored
}

fn stored(row: &Resource, form: Form, obj: &Value) -> Result<Stored> {
    let hub = row.api_version();
    let version = row.storage_version.unwrap_or(&hub);
    let text = |obj: &Value| match form {
        Form::Yaml => yaml::encode(obj).map(String::into_bytes).map_err(ApiError::internal),
        Form::Protobuf | Form::Json => {
            let mut bytes = json::encode(obj);
            bytes.push(b'\n');
            Ok(bytes)
        }
    };
    let bytes = match form {
        Form::Protobuf => {
            let message = typed(row, obj)?;
            return Ok(Stored {
                bytes: proto::wrap(version, row.kind, &message.bytes).into(),
                faithful: message.faithful,
            });
        }
        _ if version == hub => text(obj)?,
        // The few that are stored in a version which is not served.
        _ => {
            let mut other = obj.clone();
            meta::set_gvk(&mut other, version, row.kind);
            text(&other)?
        }
    };
    // Texts keep what a reader may take for something else (numbers of YAML, fields that nobody knows).
    Ok(Stored {
        bytes: bytes.into(),
        faithful: false,
    })
}

/// A hub object as a protobuf message, without envelope.
pub(crate) fn message(row: &Resource, obj: &Value) -> Result<Vec<u8>> {
    typed(row, obj).map(|message| message.bytes)
}

/// The message in stored bytes, at a revision; `None` when they are no protobuf that [`encode`] has made.
pub(crate) fn message_at(stored: &[u8], rev: i64) -> Option<Vec<u8>> {
    let unknown = proto::unwrap(stored).ok()?;
    proto::with_resource_version(unknown.raw, &rev.to_string())
}

fn typed(row: &Resource, obj: &Value) -> Result<proto::Message> {
    proto::message(api::schema(), hub_type(row)?, obj).map_err(ApiError::internal)
}

fn hub_type(row: &Resource) -> Result<TypeId> {
    api::schema()
        .kind_of(row.group, row.version, row.kind)
        .ok_or_else(|| ApiError::internal(format!("no {} in the schema table", row.kind)))
}

/// The hub object in stored bytes.
pub(crate) fn decode(row: &Resource, bytes: &[u8]) -> Result<Value> {
    if let Some(why) = encryption::unreadable(bytes) {
        return Err(ApiError::internal(why));
    }
    let mut obj: Value = if proto::is_proto(bytes) {
        let unknown = proto::unwrap(bytes).map_err(ApiError::internal)?;
        proto::decode(api::schema(), hub_type(row)?, unknown.raw).map_err(ApiError::internal)?
    } else if looks_like_json(bytes) {
        // The reader of requests: what it let in must be readable again, however deep.
        json::parse(bytes).map_err(ApiError::internal)?.object
    } else {
        let text = std::str::from_utf8(bytes).map_err(ApiError::internal)?;
        let (obj, _) = yaml::parse(text).map_err(ApiError::internal)?;
        if !obj.is_object() {
            return Err(ApiError::internal("the stored bytes are no object"));
        }
        obj
    };
    meta::set_gvk(&mut obj, &row.api_version(), row.kind);
    Ok(obj)
}

/// Whether stored bytes are what [`encode`] makes in this form.
pub(crate) fn has_form(row: &Resource, form: Form, bytes: &[u8]) -> bool {
    let found = if proto::is_proto(bytes) {
        Form::Protobuf
    } else if looks_like_json(bytes) {
        Form::Json
    } else {
        Form::Yaml
    };
    found == form.of_kind(row)
}

/// Upstream `yaml.GuessJSONStream`: an object's first character.
fn looks_like_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'{')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources;

    #[test]
    fn every_form_is_read_whatever_is_written() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "resourceVersion": "7",
            "annotations": {"a": "yes", "b": "1", "c": "x: y\n- z", "d": "{"}},
            "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]}});
        let row = resources::find("", "v1", "pods").unwrap();
        for (form, first) in [(Form::Protobuf, b'k'), (Form::Json, b'{'), (Form::Yaml, b'a')] {
            let mut given = pod.clone();
            let bytes = encode(row, form, &mut given).unwrap().bytes;
            assert_eq!(
                given["metadata"]["resourceVersion"], "7",
                "the object is left as it was"
            );
            assert_eq!(bytes[0], first, "{form:?}");
            let mut want = pod.clone();
            meta::take(&mut want, "resourceVersion");
            let mut read = decode(row, &bytes).unwrap();
            // The protobuf reader spells out what it knows to be empty.
            if form == Form::Protobuf {
                read.as_object_mut().unwrap().remove("status");
            }
            assert_eq!(read, want, "{form:?}");
        }
        assert!(decode(row, b"no object").is_err() && decode(row, b"").is_err());
    }

    #[test]
    fn some_kinds_are_never_protobuf_and_texts_name_the_stored_version() {
        let mut service =
            json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "a"}});
        let row = resources::find("apiregistration.k8s.io", "v1", "apiservices").unwrap();
        assert!(
            encode(row, Form::Protobuf, &mut service)
                .unwrap()
                .bytes
                .starts_with(b"{")
        );
        assert!(
            encode(row, Form::Yaml, &mut service)
                .unwrap()
                .bytes
                .starts_with(b"apiVersion")
        );
        for row in resources::resources().iter().filter(|r| r.storage_version.is_some()) {
            let Some(row) = crate::registry::convert::hub(row) else {
                continue;
            };
            let mut obj = json!({"apiVersion": row.api_version(), "kind": row.kind, "metadata": {"name": "a"}});
            let bytes = encode(row, Form::Json, &mut obj).unwrap().bytes;
            let read: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(read["apiVersion"], row.storage_version.unwrap(), "{}", row.kind);
            assert_eq!(decode(row, &bytes).unwrap(), obj);
        }
    }
}
