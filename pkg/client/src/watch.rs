//! A watch request as a stream of typed events.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::Method;
use http_body_util::BodyExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::client::{Client, build, status_error};
use crate::codec::{self, Frames};
use crate::error::{Error, Result};
use crate::params::ListParams;
use crate::transport::Body;

/// On a bookmark: the initial state is complete. Upstream: apimachinery `metav1.InitialEventsAnnotationKey`.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// One event of a watch.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent<K> {
    /// The object is new, or newly selected.
    Added(K),
    /// The object changed.
    Modified(K),
    /// The object is gone, or no longer selected; this is its last state.
    Deleted(K),
    /// Everything up to this revision was sent.
    Bookmark {
        /// The revision.
        resource_version: String,
        /// The initial state (of a watch with `sendInitialEvents`) is complete.
        initial_events_end: bool,
    },
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct BookmarkObject {
    metadata: BookmarkMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMeta {
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

/// Starts a watch on a collection. An `ERROR` event ends the stream with [`Error::Api`].
pub async fn watch<K: DeserializeOwned + Send + 'static>(
    client: &Client,
    collection: &str,
    params: &ListParams,
    accept: &str,
) -> Result<BoxStream<'static, Result<WatchEvent<K>>>> {
    let path = format!("{collection}{}", params.query(true).as_str());
    let request = build(Method::GET, &path, accept, None, Bytes::new())?;
    // The head must come soon; the body may take forever.
    let limit = client.config().timeout;
    let response = tokio::time::timeout(limit, client.request_raw(request))
        .await
        .map_err(|_| Error::Timeout(limit))??;
    let (parts, body) = response.into_parts();
    if !parts.status.is_success() {
        let bytes = body.collect().await.map_err(|e| Error::Transport(e.into()))?.to_bytes();
        return Err(status_error(parts.status, &parts.headers, &bytes));
    }
    Ok(events(body).boxed())
}

fn events<K: DeserializeOwned + Send + 'static>(
    body: Body,
) -> impl futures::Stream<Item = Result<WatchEvent<K>>> + Send {
    let state = (body, Frames::default(), false);
    futures::stream::unfold(state, |(mut body, mut frames, failed)| async move {
        if failed {
            return None;
        }
        loop {
            if let Some(frame) = frames.next_frame() {
                let event = decode(&frame);
                let failed = event.is_err();
                return Some((event, (body, frames, failed)));
            }
            match body.frame().await {
                None => return None,
                Some(Err(error)) => return Some((Err(Error::Transport(error.into())), (body, frames, true))),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        frames.push(data);
                    }
                }
            }
        }
    })
}

fn decode<K: DeserializeOwned>(bytes: &[u8]) -> Result<WatchEvent<K>> {
    let frame: Frame<'_> = serde_json::from_slice(bytes).map_err(|source| Error::Decode {
        what: "WatchEvent",
        source,
    })?;
    let object = frame.object.get().as_bytes();
    match frame.kind.as_ref() {
        "ADDED" => Ok(WatchEvent::Added(codec::decode(object)?)),
        "MODIFIED" => Ok(WatchEvent::Modified(codec::decode(object)?)),
        "DELETED" => Ok(WatchEvent::Deleted(codec::decode(object)?)),
        "BOOKMARK" => {
            let bookmark: BookmarkObject = codec::decode(object)?;
            let end = bookmark
                .metadata
                .annotations
                .get(INITIAL_EVENTS_END)
                .is_some_and(|v| v == "true");
            Ok(WatchEvent::Bookmark {
                resource_version: bookmark.metadata.resource_version,
                initial_events_end: end,
            })
        }
        "ERROR" => {
            let status: Status = codec::decode(object)?;
            Err(Error::Api(Box::new(status)))
        }
        other => Err(Error::InvalidRequest(format!("watch event of unknown type {other:?}"))),
    }
}
