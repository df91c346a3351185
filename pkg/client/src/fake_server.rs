//! An apiserver in the test process: ConfigMaps with list, watch and WatchList, and switches for misbehaviour.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::{Client, Config};

/// What the server does out of the ordinary.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Behaviour {
    /// Answers WatchList with 422, like a server without the feature.
    pub(crate) no_watch_list: bool,
    /// Answers the next watch from a position with 410.
    pub(crate) expire_next_watch: bool,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) behaviour: Behaviour,
    objects: Vec<Value>,
    revision: u64,
    log: Vec<(u64, Value)>,
    /// `list`, `watch`, `watchlist` in the order they came.
    pub(crate) requests: Vec<String>,
}

/// The server; clones are the same.
#[derive(Clone)]
pub(crate) struct FakeServer {
    pub(crate) state: Arc<Mutex<State>>,
    events: broadcast::Sender<(u64, Value)>,
    cut: broadcast::Sender<()>,
    address: String,
}

impl FakeServer {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback can be bound");
        let address = listener.local_addr().expect("bound sockets have addresses").to_string();
        let state = State {
            behaviour,
            objects: Vec::new(),
            revision: 1,
            log: Vec::new(),
            requests: Vec::new(),
        };
        let server = FakeServer {
            state: Arc::new(Mutex::new(state)),
            events: broadcast::channel(100).0,
            cut: broadcast::channel(10).0,
            address,
        };
        let accept = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accept.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let server = server.clone();
                        async move { Ok::<_, Infallible>(server.answer(&request)) }
                    });
                    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        server
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(Config::new(format!("http://{}", self.address))).expect("the address is one")
    }

    /// Stores an object of that name with one data value; tells the watches.
    pub(crate) fn put(&self, name: &str, value: &str) {
        let mut state = self.state.lock();
        state.revision += 1;
        let revision = state.revision;
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"v": value},
            "metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": revision.to_string(),
                "managedFields": [{"manager": "test"}]}});
        let known = state.objects.iter().position(|o| o["metadata"]["name"] == name);
        let kind = if known.is_some() { "MODIFIED" } else { "ADDED" };
        match known {
            Some(at) => state.objects[at] = object.clone(),
            None => state.objects.push(object.clone()),
        }
        self.tell(&mut state, json!({"type": kind, "object": object}));
    }

    /// Deletes an object; tells the watches.
    pub(crate) fn remove(&self, name: &str) {
        let mut state = self.state.lock();
        state.revision += 1;
        let revision = state.revision;
        let at = state
            .objects
            .iter()
            .position(|o| o["metadata"]["name"] == name)
            .expect("the object exists");
        let mut object = state.objects.remove(at);
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        self.tell(&mut state, json!({"type": "DELETED", "object": object}));
    }

    /// Ends every watch, as a server that restarts.
    pub(crate) fn cut_watches(&self) {
        let _ = self.cut.send(());
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().requests.clone()
    }

    fn tell(&self, state: &mut State, event: Value) {
        let entry = (state.revision, event);
        state.log.push(entry.clone());
        let _ = self.events.send(entry);
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let has = |text: &str| query.split('&').any(|p| p == text);
        let position: Option<u64> = query
            .split('&')
            .find_map(|p| p.strip_prefix("resourceVersion="))
            .and_then(|v| v.parse().ok());
        let mut state = self.state.lock();
        if !request.uri().path().ends_with("/configmaps") {
            return status(404, "NotFound");
        }
        if !has("watch=true") {
            state.requests.push("list".into());
            let body = json!({"kind": "ConfigMapList", "items": state.objects,
                "metadata": {"resourceVersion": state.revision.to_string()}});
            return whole(200, &body);
        }
        let mut first = Vec::new();
        if has("sendInitialEvents=true") {
            state.requests.push("watchlist".into());
            if state.behaviour.no_watch_list {
                return status(422, "Invalid");
            }
            first.extend(state.objects.iter().map(|o| json!({"type": "ADDED", "object": o})));
            first.push(json!({"type": "BOOKMARK", "object": {"kind": "ConfigMap", "metadata": {
                "resourceVersion": state.revision.to_string(),
                "annotations": {"k8s.io/initial-events-end": "true"}}}}));
        } else {
            state.requests.push("watch".into());
            if std::mem::take(&mut state.behaviour.expire_next_watch) {
                return status(410, "Expired");
            }
            let from = position.unwrap_or(0);
            first.extend(state.log.iter().filter(|(r, _)| *r > from).map(|(_, e)| e.clone()));
        }
        let live = tokio_stream_of(self.events.subscribe());
        let mut cut = self.cut.subscribe();
        let stream = futures::stream::iter(first)
            .chain(live)
            .take_until(async move {
                let _ = cut.recv().await;
            })
            .map(|event| Ok(Frame::data(Bytes::from(format!("{event}\n")))));
        Response::new(BodyExt::boxed(StreamBody::new(SyncStream(Mutex::new(stream.boxed())))))
    }
}

/// The body must be `Sync`; the stream is only ever polled through `&mut`.
struct SyncStream(Mutex<futures::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>);

impl futures::Stream for SyncStream {
    type Item = Result<Frame<Bytes>, Infallible>;
    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.get_mut().as_mut().poll_next(cx)
    }
}

fn tokio_stream_of(receiver: broadcast::Receiver<(u64, Value)>) -> impl futures::Stream<Item = Value> + Send {
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.ok().map(|(_, event)| (event, receiver))
    })
}

fn whole(code: u16, body: &Value) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(BodyExt::boxed(Full::new(Bytes::from(body.to_string()))));
    *response.status_mut() = StatusCode::from_u16(code).expect("a valid code");
    response
}

fn status(code: u16, reason: &str) -> Response<BoxBody<Bytes, Infallible>> {
    let body = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason});
    whole(code, &body)
}
