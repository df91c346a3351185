//! Watch: a stream of framed events.
//!
//! Frames: upstream `apiserver/pkg/endpoints/handlers/watch.go`: JSON objects one after the other,
//! or length-prefixed protobuf; over WebSocket one message each.

use std::time::Duration;

use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use rand::Rng as _;
use serde_json::Value;
use streaming::events::{self, Form};
use streaming::upgrade::{self, Protocol};

use super::negotiate::{Format, Output, View};
use super::{Call, codec, respond};
use crate::registry::options::ListOptions;
use crate::registry::store::{Change, Frame};
use crate::registry::{Entry, convert};
use crate::request::Query;
use crate::resources::Resource;

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let out = call.output()?;
    if out.format == Format::Yaml {
        return Err(ApiError::not_acceptable(&[
            "application/json;stream=watch",
            "application/vnd.kubernetes.protobuf;stream=watch",
        ]));
    }
    let mut options = ListOptions::parse(&call.query, true)?;
    // The old `/watch/` form names the object in the path.
    options.bind(call.row, &call.ctx.info.name)?;
    let life = options.timeout_seconds.filter(|s| *s > 0).map_or_else(
        || call.api.min_request_timeout.mul_f64(1.0 + rand::rng().random::<f64>()),
        Duration::from_secs,
    );
    options.life = Some(life);
    let changes = call.store()?.watch(call.namespace(), &options).await?;
    let frames = Frames {
        out: out.clone(),
        query: call.query.clone(),
        row: call.row,
        first: true,
    };
    let draining = call.api.draining.clone();
    let end = async move {
        tokio::select! {
            () = tokio::time::sleep(life) => {}
            () = draining.watch_ends() => {}
        }
    };
    let frames = Box::pin(frames.encode(changes)).take_until(Box::pin(end));
    if upgrade::requested(&call.head.headers) == Some(Protocol::WebSocket) {
        return Ok(over_websocket(call, out.format, frames));
    }
    let mut response = Response::new(Body::from_stream(frames.map(Ok::<_, std::convert::Infallible>)));
    *response.status_mut() = StatusCode::OK;
    let content_type = match out.format {
        Format::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        _ => "application/json",
    };
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

/// Messages have their lengths: the one in front of a protobuf frame stays away.
fn over_websocket(call: Call, format: Format, frames: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    let (form, prefix) = match format {
        Format::Protobuf => (Form::Binary, codec::LENGTH_PREFIX),
        _ => (Form::Text, 0),
    };
    let messages = frames.map(move |frame| frame.slice(prefix..));
    events::serve(call.into_request(), form, messages).map(Body::new)
}

struct Frames {
    out: Output,
    query: Query,
    row: &'static Resource,
    /// Tables carry their column headers only in the first event.
    first: bool,
}

impl Frames {
    fn encode(self, changes: impl Stream<Item = Result<Change>> + Send + 'static) -> impl Stream<Item = Bytes> + Send {
        let mut frames = self;
        changes.filter_map(move |item| {
            let frame = match item {
                Ok(change) => frames.change(&change),
                // The client went on reading a broken watch: end it without an event.
                Err(e) if e.code >= 500 && !e.is_timeout() => None,
                Err(e) => frames.frame("ERROR", &e.to_value()),
            };
            std::future::ready(frame)
        })
    }

    fn change(&mut self, change: &Change) -> Option<Bytes> {
        let kind = change.kind.as_str();
        let shared = match self.out.format {
            _ if self.out.view != View::Object || !convert::is_hub(self.row) => None,
            Format::Json => Some(Frame::Json),
            Format::Protobuf => Some(Frame::Protobuf),
            Format::Yaml => None,
        };
        if let Some(form) = shared {
            let make = || self.whole(form, kind, &change.entry);
            return match &change.delivery {
                Some(delivery) => delivery.frame(change.kind, form, make),
                None => make(),
            };
        }
        // A bookmark is shown as any other object: as a row of a Table, too.
        let headers = std::mem::take(&mut self.first);
        let view = respond::view(&self.out, &self.query, self.row, &change.entry, headers);
        self.frame(kind, &view)
    }

    /// The frame of an object in the hub's version.
    fn whole(&self, form: Frame, kind: &str, entry: &Entry) -> Option<Bytes> {
        if form == Frame::Protobuf {
            return match respond::envelope(self.row, entry) {
                Ok(object) => Some(codec::protobuf_frame(kind, &object)),
                Err(error) => {
                    tracing::error!(%error, "watch event cannot be encoded");
                    None
                }
            };
        }
        let head = format!(
            "{{\"type\":\"{kind}\",\"object\":{{\"kind\":\"{}\",\"apiVersion\":\"{}\"",
            self.row.kind,
            self.row.api_version()
        );
        let item = entry.item_json();
        let mut b = Vec::with_capacity(head.len() + item.len() + 4);
        b.extend_from_slice(head.as_bytes());
        if item.len() > 2 {
            b.push(b',');
        }
        b.extend_from_slice(&item[1..]);
        b.extend_from_slice(b"}\n");
        Some(b.into())
    }

    fn frame(&self, kind: &str, object: &Value) -> Option<Bytes> {
        match codec::watch_frame(self.out.format, kind, object) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                tracing::error!(%error, "watch event cannot be encoded");
                None
            }
        }
    }
}
