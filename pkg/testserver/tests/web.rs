//! What flags of the web server do: tokens of a file, origins, pages about the process, watches over WebSocket.
#![allow(missing_docs, clippy::unwrap_used)]

use std::io::Write as _;

use apimachinery::codec::proto;
use base64::Engine as _;
use bytes::Bytes;
use client::{Client, Config};
use futures::StreamExt as _;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use testserver::{TestServer, exchange};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

const CMS: &str = "/api/v1/namespaces/default/configmaps";
const PROTO: &str = "application/vnd.kubernetes.protobuf";

struct World {
    server: TestServer,
    admin: Client,
    stranger: Client,
    _tokens: tempfile::NamedTempFile,
}

/// All tests here have the same flags: what is served is said once in a process.
async fn world() -> World {
    let mut tokens = tempfile::NamedTempFile::new().unwrap();
    writeln!(tokens, "file-token,jane,u1,\"system:masters,dev\"").unwrap();
    let file = format!("--token-auth-file={}", tokens.path().display());
    let server = TestServer::with_args(&[
        &file,
        // WebSockets are HTTP/1.1's.
        "--disable-http2-serving",
        r"--cors-allowed-origins=//example\.com(:|$)",
        "--runtime-config=batch/v1/cronjobs=false,autoscaling/v1=false",
        "--feature-gates=ComponentFlagz=true,ContextualLogging=false",
        "--shutdown-send-retry-after",
        // What the tests here read and watch comes from the store itself, as texts.
        "--watch-cache-sizes=configmaps#0",
        "--storage-media-type=application/yaml",
    ])
    .await;
    let config = Config::from_kubeconfig(server.kubeconfig()).unwrap();
    World {
        admin: Client::new(config.clone()).unwrap(),
        stranger: Client::new(config.anonymous()).unwrap(),
        server,
        _tokens: tokens,
    }
}

async fn send(client: &Client, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Response<String> {
    let answer = exchange(client, method, path, headers, body.to_owned()).await;
    answer.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

async fn get(client: &Client, path: &str, headers: &[(&str, &str)]) -> Response<String> {
    send(client, Method::GET, path, headers, "").await
}

async fn create(client: &Client, name: &str) {
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}).to_string();
    let headers = [("content-type", "application/json")];
    assert_eq!(send(client, Method::POST, CMS, &headers, &body).await.status(), 201);
}

/// Asks for a WebSocket; the socket, or the refusal's code.
async fn websocket(
    client: &Client,
    path: &str,
    more: &[(&str, &str)],
) -> Result<(WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>, HeaderMap), u16> {
    let mut request = Request::builder()
        .uri(path)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let mut response = client.request_raw(request.body(Bytes::new()).unwrap()).await.unwrap();
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(response.status().as_u16());
    }
    let io = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
    let socket = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    Ok((socket, response.headers().clone()))
}

#[tokio::test]
async fn a_watch_over_websocket_is_one_message_for_each_event() {
    let w = world().await;
    create(&w.admin, "a").await;
    let path = format!("{CMS}?watch=true&resourceVersion=0&fieldSelector=metadata.name%3Da&timeoutSeconds=2");
    let origin = ("origin", "https://example.org");
    let (mut socket, headers) = websocket(
        &w.admin,
        &path,
        &[origin, ("sec-websocket-protocol", "base64.binary.k8s.io")],
    )
    .await
    .unwrap();
    // One protocol that is offered is agreed to, and changes nothing.
    assert_eq!(headers["sec-websocket-protocol"], "base64.binary.k8s.io");
    let Some(Ok(Message::Text(text))) = socket.next().await else {
        panic!("no text message");
    };
    assert!(text.ends_with("}\n"), "{text}");
    let event: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["metadata"]["name"]),
        (&json!("ADDED"), &json!("a"))
    );
    // The watch's time is over.
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));

    let accept = ("accept", PROTO);
    let (mut socket, _) = websocket(&w.admin, &path, &[origin, accept]).await.unwrap();
    let Some(Ok(Message::Binary(bytes))) = socket.next().await else {
        panic!("no binary message");
    };
    let (kind, object) = proto::decode_watch_event(&bytes).unwrap();
    let object = proto::decode_object(api::schema(), object).unwrap();
    assert_eq!((kind, &object["metadata"]["name"]), ("ADDED", &json!("a")));

    assert_eq!(websocket(&w.admin, &path, &[]).await.err(), Some(403), "no origin");
    let two = ("sec-websocket-protocol", "a, b");
    assert_eq!(websocket(&w.admin, &path, &[origin, two]).await.err(), Some(400));
    let yaml = ("accept", "application/yaml");
    assert_eq!(websocket(&w.admin, &path, &[origin, yaml]).await.err(), Some(406));
    w.server.stop().await;
}

#[tokio::test]
async fn tokens_come_in_a_header_or_a_sub_protocol() {
    let w = world().await;
    create(&w.admin, "a").await;
    let path = format!("{CMS}?watch=true&resourceVersion=0&timeoutSeconds=2");
    assert_eq!(get(&w.stranger, CMS, &[]).await.status(), 403);
    assert_eq!(
        get(&w.stranger, CMS, &[("authorization", "Bearer nobodys")])
            .await
            .status(),
        401
    );
    assert_eq!(
        get(&w.stranger, CMS, &[("authorization", "Bearer file-token")])
            .await
            .status(),
        200
    );
    let protocol = |token: &str| {
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token);
        format!("base64url.bearer.authorization.k8s.io.{token}, other")
    };
    let origin = ("origin", "https://example.org");
    let good = protocol("file-token");
    let (mut socket, headers) = websocket(&w.stranger, &path, &[origin, ("sec-websocket-protocol", &good)])
        .await
        .unwrap();
    assert_eq!(headers["sec-websocket-protocol"], "other");
    assert!(matches!(socket.next().await, Some(Ok(Message::Text(_)))));
    let bad = protocol("nobodys");
    let refused = websocket(&w.stranger, &path, &[origin, ("sec-websocket-protocol", &bad)]).await;
    assert_eq!(refused.err(), Some(401));
    w.server.stop().await;
}

#[tokio::test]
async fn pages_of_other_origins_may_read_if_a_flag_says_so() {
    let w = world().await;
    let allow = "access-control-allow-origin";
    for (origin, wanted) in [("https://example.com", true), ("https://example.com.evil", false)] {
        let r = get(&w.admin, CMS, &[("origin", origin)]).await;
        assert_eq!(r.headers().get(allow).is_some_and(|v| v == origin), wanted, "{origin}");
    }
    // A question before the request needs no credentials.
    let r = send(
        &w.stranger,
        Method::OPTIONS,
        CMS,
        &[("origin", "https://example.com")],
        "",
    )
    .await;
    assert_eq!(r.status(), 204);
    assert_eq!(r.headers()["access-control-allow-credentials"], "true");
    assert_ne!(send(&w.stranger, Method::OPTIONS, CMS, &[], "").await.status(), 204);
    w.server.stop().await;
}

#[tokio::test]
async fn the_process_shows_its_flags_its_state_and_its_gates() {
    let w = world().await;
    let flags = get(&w.admin, "/flagz", &[]).await;
    assert!(
        flags.body().contains("\ndisable-http2-serving=true\n"),
        "{}",
        flags.body()
    );
    assert!(
        flags
            .body()
            .contains("\nfeature-gates=ComponentFlagz=true,ContextualLogging=false\n")
    );
    let form = "application/json;v=v1beta1;g=config.k8s.io;as=Statusz";
    let status: Value = serde_json::from_str(get(&w.admin, "/statusz", &[("accept", form)]).await.body()).unwrap();
    assert_eq!(status["metadata"]["name"], "apiserver");
    assert!(status["paths"].as_array().unwrap().contains(&json!("/healthz")));
    assert_eq!(get(&w.stranger, "/flagz", &[]).await.status(), 403);
    get(&w.admin, "/readyz", &[]).await;
    let slis = get(&w.admin, "/metrics/slis", &[]).await;
    assert!(
        slis.body()
            .contains("kubernetes_healthcheck{name=\"ping\",type=\"readyz\"} 1")
    );
    let metrics = get(&w.admin, "/metrics", &[]).await;
    let gate = "kubernetes_feature_enabled{name=\"ContextualLogging\",stage=\"\"} 0";
    let gate = metrics.body().contains(gate) || metrics.body().contains(&gate.replace("\"\"", "\"BETA\""));
    assert!(gate);
    w.server.stop().await;
}

#[tokio::test]
async fn what_is_switched_off_is_not_there() {
    let w = world().await;
    assert_eq!(get(&w.admin, "/apis/batch/v1/cronjobs", &[]).await.status(), 404);
    assert_eq!(get(&w.admin, "/apis/batch/v1/jobs", &[]).await.status(), 200);
    assert_eq!(get(&w.admin, "/apis/autoscaling/v1", &[]).await.status(), 404);
    let r = get(&w.admin, "/apis/autoscaling/v1/horizontalpodautoscalers", &[]).await;
    // The group is there.
    assert_eq!(r.status(), 404);
    assert!(
        r.body().contains("the server could not find the requested resource"),
        "{}",
        r.body()
    );
    let batch = get(&w.admin, "/apis/batch/v1", &[]).await;
    assert!(batch.body().contains("\"jobs\"") && !batch.body().contains("cronjobs"));
    assert!(
        !get(&w.admin, "/openapi/v3", &[])
            .await
            .body()
            .contains("autoscaling/v1\"")
    );
    assert!(
        !get(&w.admin, "/openapi/v3/apis/batch/v1", &[])
            .await
            .body()
            .contains("/cronjobs")
    );
    w.server.stop().await;
}

#[tokio::test]
async fn errors_are_indented_for_those_who_ask() {
    let w = world().await;
    let path = format!("{CMS}/none");
    let accept = [("accept", "application/json")];
    let plain = get(&w.admin, &path, &accept).await;
    assert!(!plain.body().contains("\n "), "{}", plain.body());
    let pretty = get(&w.admin, &format!("{path}?pretty=true"), &accept).await;
    assert!(
        pretty.body().contains("\n  \"status\": \"Failure\""),
        "{}",
        pretty.body()
    );
    w.server.stop().await;
}

/// 1 MiB of keys is small enough for a ConfigMap, and too large for the store with all the fields its owner has.
#[tokio::test]
async fn what_is_too_large_with_its_owners_is_stored_without() {
    let w = world().await;
    let data: serde_json::Map<String, Value> = (0..5500).map(|n| (format!("{n:0>150}"), json!(""))).collect();
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": data}).to_string();
    let json_body = [("content-type", "application/json")];
    let r = send(&w.admin, Method::POST, CMS, &json_body, &body).await;
    assert_eq!(r.status(), 201, "{}", &r.body()[..200.min(r.body().len())]);
    assert!(!r.body().contains("managedFields"));
    let path = format!("{CMS}/big");
    let r = send(&w.admin, Method::PUT, &path, &json_body, &body).await;
    assert_eq!(r.status(), 200);
    let merge = [("content-type", "application/merge-patch+json")];
    let r = send(
        &w.admin,
        Method::PATCH,
        &path,
        &merge,
        r#"{"metadata":{"labels":{"a":"b"}}}"#,
    )
    .await;
    assert_eq!(r.status(), 200);
    // Without its owners an apply would mean nothing.
    let apply = [("content-type", "application/apply-patch+yaml")];
    let r = send(
        &w.admin,
        Method::PATCH,
        &format!("{path}?fieldManager=m&force=true"),
        &apply,
        &body,
    )
    .await;
    assert_eq!(r.status(), 500);
    assert!(r.body().contains("etcdserver: request is too large"));
    w.server.stop().await;
}

#[tokio::test]
async fn pages_for_those_who_debug_are_for_administrators() {
    let w = world().await;
    for (path, code) in [
        ("/debug/pprof/", 200),
        ("/debug/pprof/heap", 404),
        ("/debug/flags/v", 406),
    ] {
        assert_eq!(get(&w.admin, path, &[]).await.status(), code, "{path}");
        assert_eq!(get(&w.stranger, path, &[]).await.status(), 403, "{path}");
    }
    w.server.stop().await;
}

/// A connection of our own, for requests that come in pieces.
async fn connection(server: &TestServer) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let config = client::transport::unjudged::client_config(None).unwrap();
    let tcp = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    connector.connect(name, tcp).await.unwrap()
}

#[tokio::test]
async fn a_server_that_stops_finishes_what_it_began_and_sends_others_away() {
    let w = world().await;
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "slow"}}).to_string();
    let head = format!(
        "POST {CMS} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer file-token\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut slow = connection(&w.server).await;
    slow.write_all(head.as_bytes()).await.unwrap();
    // Whoever is told to go on has been taken.
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let stopping = tokio::spawn(w.server.stop());
    let refusal = loop {
        let answer = get(&w.admin, CMS, &[]).await;
        if answer.status() != 200 {
            break answer;
        }
    };
    assert_eq!(refusal.status(), 429);
    assert_eq!(
        (&refusal.headers()["retry-after"], refusal.body().as_str()),
        (
            &http::HeaderValue::from_static("5"),
            "The apiserver is shutting down, please try again later.\n"
        )
    );
    // Probes are answered, and learn what is going on.
    let ready = get(&w.admin, "/readyz", &[]).await;
    assert!(
        ready.status() == 500 && ready.body().contains("[-]shutdown failed"),
        "{}",
        ready.body()
    );
    assert!(!stopping.is_finished());

    slow.write_all(body.as_bytes()).await.unwrap();
    let mut answer = vec![];
    // The server may end the connection without a goodbye of TLS.
    let _ = slow.read_to_end(&mut answer).await;
    assert!(
        answer.starts_with(b"HTTP/1.1 201 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    stopping.await.unwrap();
}
