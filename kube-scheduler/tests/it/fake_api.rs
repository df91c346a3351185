//! Nodes and pods in memory behind the few requests a scheduler makes: watch with initial events,
//! binding, status patches, events.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use component::serving::{Body, BoxError, Server, full, handler};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub(crate) struct FakeApi {
    pub(crate) addr: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// By collection (`nodes`, `pods`) and name.
    objects: Mutex<BTreeMap<(String, String), Value>>,
    events: Mutex<Vec<Value>>,
    watchers: Mutex<Vec<(String, mpsc::UnboundedSender<String>)>>,
    revision: AtomicU64,
    bindings_to_fail: AtomicU32,
    changed: watch::Sender<()>,
}

impl FakeApi {
    pub(crate) async fn start(nodes: Vec<Value>, pods: Vec<Value>) -> Self {
        let state = Arc::new(State {
            objects: Mutex::default(),
            events: Mutex::default(),
            watchers: Mutex::default(),
            revision: AtomicU64::new(1),
            bindings_to_fail: AtomicU32::new(0),
            changed: watch::Sender::new(()),
        });
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let api = Self {
            addr: server.local_addr().unwrap(),
            state: Arc::clone(&state),
        };
        nodes.into_iter().for_each(|node| api.add_node(node));
        pods.into_iter().for_each(|pod| api.add_pod(pod));
        let answer = move |request| {
            let state = Arc::clone(&state);
            async move { state.answer(request).await }
        };
        tokio::spawn(server.serve(handler(answer), CancellationToken::new()));
        api
    }

    pub(crate) fn add_node(&self, node: Value) {
        self.state.put("nodes", node, "ADDED");
    }

    pub(crate) fn add_pod(&self, pod: Value) {
        self.state.put("pods", pod, "ADDED");
    }

    pub(crate) fn fail_bindings(&self, count: u32) {
        self.state.bindings_to_fail.store(count, Ordering::Relaxed);
    }

    /// The node a pod is bound to, waited for.
    pub(crate) async fn bound(&self, pod: &str) -> String {
        let key = ("pods".to_owned(), pod.to_owned());
        self.wait(|state| {
            state.objects.lock().get(&key)?["spec"]["nodeName"]
                .as_str()
                .map(str::to_owned)
        })
        .await
    }

    /// The first event about a pod with this reason, waited for.
    pub(crate) async fn event(&self, pod: &str, reason: &str) -> Value {
        self.wait(|state| {
            let events = state.events.lock();
            events
                .iter()
                .find(|event| event["involvedObject"]["name"] == pod && event["reason"] == reason)
                .cloned()
        })
        .await
    }

    /// A condition of a pod, waited for.
    pub(crate) async fn condition(&self, pod: &str, kind: &str) -> Value {
        let key = ("pods".to_owned(), pod.to_owned());
        self.wait(|state| {
            let objects = state.objects.lock();
            objects.get(&key)?["status"]["conditions"]
                .as_array()?
                .iter()
                .find(|c| c["type"] == kind)
                .cloned()
        })
        .await
    }

    async fn wait<T>(&self, look: impl Fn(&State) -> Option<T>) -> T {
        let mut changed = self.state.changed.subscribe();
        let found = async {
            loop {
                if let Some(found) = look(&self.state) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), found)
            .await
            .expect("it does not come")
    }
}

impl State {
    fn put(&self, collection: &str, mut object: Value, kind: &str) {
        let mut objects = self.objects.lock();
        let revision = self.revision.fetch_add(1, Ordering::Relaxed);
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        objects.insert((collection.to_owned(), name), object);
        self.watchers
            .lock()
            .retain(|(of, sender)| of != collection || sender.send(line.clone()).is_ok());
        self.changed.send_replace(());
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let method = request.method().clone();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        if method == Method::GET {
            return self.watch(parts[2]);
        }
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        match (&method, parts.as_slice()) {
            (&Method::POST, [.., "pods", name, "binding"]) => {
                let failing = self.bindings_to_fail.load(Ordering::Relaxed);
                if failing > 0 {
                    self.bindings_to_fail.store(failing - 1, Ordering::Relaxed);
                    return answer(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        &json!({"kind": "Status", "message": "no"}),
                    );
                }
                self.change_pod(name, |pod| pod["spec"]["nodeName"] = body["target"]["name"].clone());
                answer(
                    StatusCode::CREATED,
                    &json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}),
                )
            }
            (&Method::PATCH, [.., "pods", name, "status"]) => {
                let pod = self.change_pod(name, |pod| {
                    pod["status"]["conditions"] = body["status"]["conditions"].clone();
                });
                answer(StatusCode::OK, &pod)
            }
            (_, [.., "events"]) => {
                self.events.lock().push(body.clone());
                self.changed.send_replace(());
                answer(StatusCode::CREATED, &body)
            }
            _ => answer(
                StatusCode::NOT_FOUND,
                &json!({"kind": "Status", "message": path, "code": 404}),
            ),
        }
    }

    fn change_pod(&self, name: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut pod = self.objects.lock()[&("pods".to_owned(), name.to_owned())].clone();
        change(&mut pod);
        self.put("pods", pod.clone(), "MODIFIED");
        pod
    }

    /// Everything there is, a bookmark, then what changes.
    fn watch(&self, collection: &str) -> Response<Body> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let objects = self.objects.lock();
        for ((_, _), object) in objects.iter().filter(|((of, _), _)| of == collection) {
            sender
                .send(format!("{}\n", json!({"type": "ADDED", "object": object})))
                .unwrap();
        }
        let kind = match collection {
            "pods" => "Pod",
            "nodes" => "Node",
            _ => "Namespace",
        };
        let bookmark = json!({"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": kind, "metadata": {
            "resourceVersion": self.revision.load(Ordering::Relaxed).to_string(),
            "annotations": {"k8s.io/initial-events-end": "true"}}}});
        sender.send(format!("{bookmark}\n")).unwrap();
        self.watchers.lock().push((collection.to_owned(), sender));
        let lines = futures::stream::unfold(receiver, |mut receiver| async {
            let line = receiver.recv().await?;
            Some((Ok::<_, BoxError>(Frame::data(Bytes::from(line))), receiver))
        });
        let mut response = Response::new(BodyExt::boxed(StreamBody::new(Box::pin(lines))));
        response
            .headers_mut()
            .insert("content-type", "application/json".parse().unwrap());
        response
    }
}

fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(full(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("content-type", "application/json".parse().unwrap());
    response
}
