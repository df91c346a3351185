//! The secure port as a client meets it, in front of an API server that answers reviews.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use component::authn::delegated::Delegated;
use component::authn::trust::Trust;
use component::guard::Guard;
use component::serving::{Body, Server, full, handler};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Answers TokenReview (token `good` is `alice`) and SubjectAccessReview (`alice` may `/metrics`).
async fn review(request: Request<Incoming>, asked: Arc<AtomicUsize>) -> Response<Body> {
    asked.fetch_add(1, Ordering::Relaxed);
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut review: Value = serde_json::from_slice(&body).unwrap();
    review["status"] = if path.ends_with("tokenreviews") {
        if review["spec"]["token"] == "good" {
            json!({"authenticated": true, "user": {"username": "alice", "groups": ["g"]}})
        } else {
            json!({"authenticated": false})
        }
    } else {
        let spec = &review["spec"];
        let allowed = spec["user"] == "alice" && spec["nonResourceAttributes"]["path"] == "/metrics";
        json!({"allowed": allowed})
    };
    let mut response = Response::new(full(review.to_string()));
    *response.status_mut() = StatusCode::CREATED;
    response
}

async fn api_server() -> (SocketAddr, Arc<AtomicUsize>) {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = server.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(server.serve(
        handler(move |request| review(request, Arc::clone(&count))),
        CancellationToken::new(),
    ));
    (addr, asked)
}

async fn guard() -> (Guard, Arc<AtomicUsize>) {
    let (addr, asked) = api_server().await;
    let client = client::Client::new(client::Config::new(format!("http://{addr}"))).unwrap();
    let ttl = Duration::from_secs(10);
    let authn = Delegated::new(Arc::new(Trust::default()), Some(client.clone()), ttl, true);
    let authz = component::authz::Delegated::new(Some(client), vec!["/healthz".into(), "/open/*".into()], ttl, ttl);
    (Guard::new(authn, authz), asked)
}

async fn ask(guard: &Guard, path: &str, token: Option<&str>) -> Result<String, (u16, String)> {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    match guard.check(&request.body(()).unwrap()).await {
        Ok(user) => Ok(user.name),
        Err(response) => {
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            Err((status, body["message"].as_str().unwrap().to_owned()))
        }
    }
}

#[tokio::test]
async fn a_reviewed_token_is_let_in_and_the_answers_are_kept() {
    let (guard, asked) = guard().await;
    assert_eq!(ask(&guard, "/metrics", Some("good")).await, Ok("alice".to_owned()));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(ask(&guard, "/metrics", Some("good")).await, Ok("alice".to_owned()));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn refused_credentials_are_401_and_missing_rights_403() {
    let (guard, _) = guard().await;
    assert_eq!(
        ask(&guard, "/metrics", Some("bad")).await,
        Err((401, "Unauthorized".to_owned()))
    );
    let (status, message) = ask(&guard, "/configz", Some("good")).await.unwrap_err();
    assert_eq!(
        (status, message.as_str()),
        (403, "forbidden: User \"alice\" cannot get path \"/configz\"")
    );
    let (status, message) = ask(&guard, "/metrics", None).await.unwrap_err();
    assert_eq!(
        (status, message.as_str()),
        (403, "forbidden: User \"system:anonymous\" cannot get path \"/metrics\"")
    );
}

#[tokio::test]
async fn always_allowed_paths_ask_nobody() {
    let (guard, asked) = guard().await;
    for path in ["/healthz", "/open/a/b"] {
        assert!(ask(&guard, path, Some("bad")).await.is_ok(), "{path}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}
