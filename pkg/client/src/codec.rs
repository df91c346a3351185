//! The encoding of objects on the wire. JSON today; the only module that knows, so that protobuf can take its
//! place per kind.

use bytes::{Buf as _, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};

/// `Content-Type` of what [`encode`] makes.
pub const CONTENT_TYPE: &str = "application/json";
/// `Accept` of what [`decode`] reads.
pub const ACCEPT: &str = "application/json";
/// `Accept` that asks for objects cut down to their metadata.
pub const ACCEPT_METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
/// `Accept` that asks for lists of objects cut down to their metadata.
pub const ACCEPT_METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// Bytes of an object.
pub fn encode<T: Serialize + ?Sized>(object: &T) -> Result<Bytes> {
    serde_json::to_vec(object).map(Bytes::from).map_err(Error::Encode)
}

/// An object from bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .or_else(|error| decode_filled(bytes).ok_or(error))
        .map_err(|source| Error::Decode {
            what: std::any::type_name::<T>(),
            source,
        })
}

/// The object with a time in each condition: Go writes a time that is not set as null, and the types of
/// `metav1.Condition` here must have one. It is the start of the epoch, as validation knows it.
fn decode_filled<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let mut object: Value = serde_json::from_slice(bytes).ok()?;
    fill_times(&mut object);
    serde_json::from_value(object).ok()
}

fn fill_times(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(fill_times),
        Value::Object(map) => {
            for (key, child) in map {
                match (key.as_str(), &mut *child) {
                    ("conditions", Value::Array(conditions)) => {
                        for condition in conditions.iter_mut().filter(|c| c.is_object()) {
                            let time = &mut condition["lastTransitionTime"];
                            if time.is_null() {
                                *time = "1970-01-01T00:00:00Z".into();
                            }
                        }
                    }
                    _ => fill_times(child),
                }
            }
        }
        _ => {}
    }
}

/// Cuts a watch stream into frames: one JSON value per line.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
    searched: usize,
}

impl Frames {
    /// Adds what arrived.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole frame, if one is there.
    pub fn next_frame(&mut self) -> Option<Bytes> {
        loop {
            let newline = self.buffer[self.searched..].iter().position(|b| *b == b'\n');
            let Some(at) = newline else {
                self.searched = self.buffer.len();
                return None;
            };
            let frame = self.buffer.split_to(self.searched + at).freeze();
            self.buffer.advance(1);
            self.searched = 0;
            if !frame.iter().all(u8::is_ascii_whitespace) {
                return Some(frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_lines_whatever_the_chunks() {
        let mut frames = Frames::default();
        frames.push(b"{\"a\":1");
        assert_eq!(frames.next_frame(), None);
        frames.push(b"}\n\n{\"b\"");
        assert_eq!(frames.next_frame().as_deref(), Some(&b"{\"a\":1}"[..]));
        assert_eq!(frames.next_frame(), None);
        frames.push(b":2}\n");
        assert_eq!(frames.next_frame().as_deref(), Some(&b"{\"b\":2}"[..]));
        assert_eq!(frames.next_frame(), None);
    }

    #[test]
    fn a_condition_whose_time_is_null_is_no_broken_object() {
        let text = r#"{"items":[{"metadata":{"name":"s"},"status":{"conditions":[{"type":"A","status":"True","lastTransitionTime":null}]}}],"metadata":{}}"#;
        let list: k8s_openapi::List<k8s_openapi::api::core::v1::Service> = decode(text.as_bytes()).unwrap();
        let conditions = list.items[0].status.as_ref().unwrap().conditions.as_ref().unwrap();
        assert_eq!(conditions[0].type_, "A");
        assert!(decode::<k8s_openapi::api::core::v1::Service>(b"{\"spec\":1}").is_err());
    }
}
