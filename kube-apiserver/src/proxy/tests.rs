#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn nodes() -> Nodes {
    Nodes::new(&NodesConfig {
        address_types: vec!["InternalIP".into(), "Hostname".into()],
        ..Default::default()
    })
    .unwrap()
}

#[test]
fn the_first_preferred_address_type_wins() {
    let node = json!({"status": {
        "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "10.0.0.9"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10251}}}});
    let t = nodes().kubelet(&node).unwrap();
    assert_eq!((t.host.as_str(), t.port, t.secure), ("10.0.0.9", 10251, true));
    let e = nodes()
        .kubelet(&json!({"status": {"addresses": [{"type": "ExternalIP", "address": "1.2.3.4"}]}}))
        .unwrap_err();
    assert_eq!(
        (e.code, &*e.reason, e.message.as_str()),
        (
            500,
            "",
            "no preferred addresses found; known addresses: [{ExternalIP 1.2.3.4}]"
        )
    );
}

#[test]
fn queries_are_escaped() {
    let q = encode_query(&[("command".into(), "sh".into()), ("command".into(), "-c a&b".into())]);
    assert_eq!(q, "command=sh&command=-c%20a%26b");
}

// === over sockets: a client, this proxy, and a backend ===

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use component::serving::{Server, handler};
use futures::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use http::header::{CONNECTION, LOCATION, UPGRADE};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use streaming::remotecommand::Options;
use streaming::spdy::Session;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::forward::{Manner, forward};
use super::rewrite::Rewrite;

/// Bytes that must not fit into any buffer on the way.
const MEGABYTES: usize = 8 * 1024 * 1024;
const PREFIX: &str = "/api/v1/namespaces/n/pods/p/proxy";

/// Serves until the guard goes.
async fn serve<F, Fut>(answer: F) -> (SocketAddr, DropGuard)
where
    F: Fn(Request<Body>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<Body>> + Send + 'static,
{
    let server = Server::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = server.local_addr().unwrap();
    let stop = CancellationToken::new();
    let service = handler(move |request: Request<Incoming>| answer(request.map(Body::new)));
    tokio::spawn(server.grace(Default::default()).serve(service, stop.clone()));
    (address, stop.drop_guard())
}

fn target(backend: SocketAddr, path: &str, query: &str) -> Target {
    Target {
        secure: false,
        trust: Trust::Endpoint,
        host: backend.ip().to_string(),
        port: backend.port(),
        path: path.to_owned(),
        query: query.to_owned(),
    }
}

/// The proxy in front of `backend`: paths below [`PREFIX`] are browsed, all others streamed.
async fn proxy(backend: SocketAddr) -> (SocketAddr, DropGuard) {
    serve(move |request| async move {
        let (path, query) = (
            request.uri().path().to_owned(),
            request.uri().query().unwrap_or("").to_owned(),
        );
        let (to, manner) = match path.strip_prefix(PREFIX) {
            Some(rest) => {
                let rewrite = Rewrite {
                    prefix: PREFIX.to_owned(),
                    backend: backend.to_string(),
                    host: request.headers()[HOST].to_str().unwrap().to_owned(),
                };
                (target(backend, &paths::backend(rest), &query), Manner::Browse(rewrite))
            }
            None => (target(backend, &path, &query), Manner::Stream),
        };
        if translate::wants_stream_close(request.headers()) {
            let options = Options {
                stdin: true,
                stdout: true,
                ..Options::default()
            };
            return translate::remote_command(Arc::new(nodes()), to, request, options).unwrap();
        }
        match forward(&nodes(), to, request, manner).await {
            Ok(response) => response,
            Err(e) => {
                let mut response = Response::new(Body::from(format!("{}|{}", e.reason, e.message)));
                *response.status_mut() = StatusCode::from_u16(e.code).unwrap();
                response
            }
        }
    })
    .await
}

async fn send_to(proxy: SocketAddr, request: http::request::Builder, body: Body) -> Response<Incoming> {
    let io = tokio::net::TcpStream::connect(proxy).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let request = request.header(HOST, proxy.to_string()).body(body).unwrap();
    sender.send_request(request).await.unwrap()
}

async fn text_of(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Answers with what it was asked; special paths make special answers.
async fn website(request: Request<Body>) -> Response<Body> {
    let builder = Response::builder().header("access-control-allow-origin", "*");
    match request.uri().path() {
        "/moved" => builder.status(302).header(LOCATION, "/there/?x=1").body(Body::empty()),
        "/page" => builder
            .header("content-type", "text/html; charset=utf-8")
            .header("content-length", "22")
            .body(Body::from("<a href=\"/rewriteme\">t")),
        "/echo" => builder.body(request.into_body()),
        "/teapot" => builder.status(418).body(Body::from("no")),
        _ => {
            let mut lines = vec![format!("{} {}", request.method(), request.uri())];
            lines.extend(
                request
                    .headers()
                    .iter()
                    .map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())),
            );
            builder.body(Body::from(lines.join("\n")))
        }
    }
    .unwrap()
}

#[tokio::test]
async fn a_website_behind_the_proxy_stays_behind_it() {
    let (site, _s) = serve(website).await;
    let (proxy, _p) = proxy(site).await;
    let get = |path: &str| Request::builder().uri(format!("{PREFIX}{path}"));

    let r = send_to(proxy, get("?a=b"), Body::empty()).await;
    assert_eq!(
        (r.status().as_u16(), r.headers()[LOCATION].to_str().unwrap()),
        (301, format!("{PREFIX}/?a=b").as_str())
    );
    let r = send_to(proxy, get("/moved"), Body::empty()).await;
    assert_eq!(r.status(), 302);
    assert_eq!(r.headers()[LOCATION], format!("{PREFIX}/there/?x=1"));
    let r = send_to(proxy, get("/page"), Body::empty()).await;
    assert_eq!(r.headers().get("access-control-allow-origin"), None);
    assert_eq!(text_of(r).await, format!("<a href=\"{PREFIX}/rewriteme\">t"));

    let request = get("/a%20b/?q=%2F")
        .method("OPTIONS")
        .header("authorization", "Bearer x")
        .header("cookie", "c");
    let seen = text_of(send_to(proxy, request, Body::empty()).await).await;
    let mut seen: Vec<&str> = seen.lines().collect();
    seen.sort_unstable();
    let host = format!("host: {proxy}");
    let uri = format!("x-forwarded-uri: {PREFIX}/a%20b/");
    let mut want = vec![
        "OPTIONS /a%20b/?q=%2F",
        "cookie: c",
        &host,
        "x-forwarded-for: 127.0.0.1",
        &uri,
    ];
    want.sort_unstable();
    assert_eq!(seen, want);
}

#[tokio::test]
async fn bodies_stream_both_ways_without_being_held() {
    let (site, _s) = serve(website).await;
    let (proxy, _p) = proxy(site).await;
    let chunk = Bytes::from(vec![1u8; 64 * 1024]);
    let (tx, rx) = tokio::sync::mpsc::channel::<std::result::Result<Bytes, Infallible>>(1);
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(rx));
    tx.send(Ok(chunk.clone())).await.unwrap();
    let request = Request::builder().method("POST").uri(format!("{PREFIX}/echo"));
    // The answer begins before the request has ended.
    let mut answer = send_to(proxy, request, body).await.into_body();
    let first = answer.frame().await.unwrap().unwrap().into_data().unwrap();
    let writer = tokio::spawn(async move {
        for _ in 1..MEGABYTES / chunk.len() {
            tx.send(Ok(chunk.clone())).await.unwrap();
        }
    });
    let mut total = first.len();
    while let Some(frame) = answer.frame().await {
        total += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(total, MEGABYTES);
    writer.await.unwrap();
}

#[tokio::test]
async fn failures_have_upstreams_words() {
    let nowhere = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let (site, _s) = serve(website).await;
    let upgrade = |path: &str| {
        Request::builder()
            .method("POST")
            .uri(path.to_owned())
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "SPDY/3.1")
    };
    let refused = format!("dial tcp {nowhere}: connect: connection refused");
    for (backend, request, code, text) in [
        (
            nowhere,
            Request::builder().uri(format!("{PREFIX}/x")),
            503,
            format!("ServiceUnavailable|error trying to reach service: {refused}"),
        ),
        (
            nowhere,
            upgrade("/exec"),
            500,
            format!("|error dialing backend: {refused}"),
        ),
        (
            site,
            Request::builder().uri("/exec"),
            400,
            "BadRequest|Upgrade request required".to_owned(),
        ),
        (site, upgrade("/teapot"), 418, "no".to_owned()),
        (
            site,
            upgrade("/exec"),
            500,
            "|invalid upgrade response: status code 200".to_owned(),
        ),
    ] {
        let (proxy, _p) = proxy(backend).await;
        let r = send_to(proxy, request, Body::empty()).await;
        assert_eq!((r.status().as_u16(), text_of(r).await), (code, text));
    }
}

/// A kubelet whose exec echoes stdin to stdout, or on `/die` hangs up after some output.
async fn kubelet(mut request: Request<Body>) -> Response<Body> {
    let die = request.uri().path() == "/die";
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut session = Session::server(TokioIo::new(upgrade.await.unwrap()));
        let (mut stdin, mut stdout, mut error) = (None, None, None);
        while stdin.is_none() || stdout.is_none() || error.is_none() {
            let Some(stream) = session.accept().await else { return };
            match stream.header("streamtype").unwrap() {
                "stdin" => stdin = Some(stream),
                "stdout" => stdout = Some(stream),
                _ => error = Some(stream),
            }
        }
        let (mut stdin, stdout, error) = (stdin.unwrap(), stdout.unwrap().writer(), error.unwrap().writer());
        while let Some(data) = stdin.read().await {
            if stdout.write(data).await.is_err() || die {
                return;
            }
        }
        let status = Bytes::from_static(br#"{"metadata":{},"status":"Success"}"#);
        let _ = stdout.finish().await;
        let _ = error.write(status).await;
        let _ = error.finish().await;
    });
    Response::builder()
        .status(101)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "SPDY/3.1")
        .body(Body::empty())
        .unwrap()
}

async fn spdy_client(proxy: SocketAddr, path: &str) -> Session {
    let request = Request::builder()
        .method("POST")
        .uri(path.to_owned())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "SPDY/3.1");
    let mut response = send_to(proxy, request, Body::empty()).await;
    assert_eq!(response.status(), 101);
    Session::client(TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap()))
}

async fn open(session: &Session, kind: &str) -> streaming::spdy::Stream {
    session
        .open(vec![("streamtype".to_owned(), kind.to_owned())])
        .await
        .unwrap()
}

#[tokio::test]
async fn spdy_megabytes_pass_both_ways_and_half_close() {
    let (node, _n) = serve(kubelet).await;
    let (proxy, _p) = proxy(node).await;
    let session = spdy_client(proxy, "/exec").await;
    let mut error = open(&session, "error").await;
    let stdin = open(&session, "stdin").await.writer();
    let mut stdout = open(&session, "stdout").await;
    let writer = tokio::spawn(async move {
        stdin.write(Bytes::from(vec![7; MEGABYTES])).await.unwrap();
        stdin.finish().await.unwrap();
    });
    let mut echoed = 0;
    while let Some(data) = stdout.read().await {
        echoed += data.len();
    }
    writer.await.unwrap();
    assert_eq!((echoed, stdout.finished()), (MEGABYTES, true));
    assert!(error.read().await.unwrap().ends_with(b"\"Success\"}"));
}

#[tokio::test]
async fn a_kubelet_that_dies_ends_the_clients_connection() {
    let (node, _n) = serve(kubelet).await;
    let (proxy, _p) = proxy(node).await;
    let session = spdy_client(proxy, "/die").await;
    let mut error = open(&session, "error").await;
    let stdin = open(&session, "stdin").await.writer();
    let mut stdout = open(&session, "stdout").await;
    stdin.write(Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(stdout.read().await, Some(Bytes::from_static(b"x")));
    assert_eq!((stdout.read().await, stdout.finished()), (None, false));
    assert_eq!(error.read().await, None);
}

async fn websocket(proxy: SocketAddr, path: &str) -> WebSocketStream<TokioIo<hyper::upgrade::Upgraded>> {
    let request = Request::builder()
        .uri(path.to_owned())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "v5.channel.k8s.io, v4.channel.k8s.io");
    let mut response = send_to(proxy, request, Body::empty()).await;
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["sec-websocket-protocol"], "v5.channel.k8s.io");
    let io = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
    WebSocketStream::from_raw_socket(io, Role::Client, None).await
}

/// What comes of sending `input` and the end of stdin: bytes of stdout, and the status.
async fn converse(proxy: SocketAddr, path: &str, input: usize) -> (usize, String) {
    let (mut sink, mut messages) = websocket(proxy, path).await.split();
    let writer = tokio::spawn(async move {
        let mut left = input;
        while left > 0 {
            let n = left.min(100_000);
            let mut message = vec![0u8; n + 1];
            message[1..].fill(9);
            left -= n;
            if sink.send(Message::Binary(message.into())).await.is_err() {
                return;
            }
        }
        let _ = sink.send(Message::Binary(Bytes::from_static(b"\xff\0"))).await;
    });
    let (mut stdout, mut status) = (0, String::new());
    while let Some(Ok(message)) = messages.next().await {
        if let Message::Binary(data) = message {
            match data[0] {
                1 => stdout += data.len() - 1,
                _ => status = String::from_utf8(data[1..].to_vec()).unwrap(),
            }
        }
    }
    writer.await.unwrap();
    (stdout, status)
}

#[tokio::test]
async fn a_websocket_client_reaches_a_kubelet_that_knows_only_spdy() {
    let (node, _n) = serve(kubelet).await;
    let (proxy, _p) = proxy(node).await;
    let (stdout, status) = converse(proxy, "/exec", MEGABYTES).await;
    assert_eq!(
        (stdout, status.as_str()),
        (MEGABYTES, r#"{"metadata":{},"status":"Success"}"#)
    );
    let (_, status) = converse(proxy, "/die", 10).await;
    assert!(status.contains("\"Failure\""), "{status}");
}

#[tokio::test]
async fn a_websocket_client_is_told_when_the_kubelet_cannot_be_reached() {
    let nowhere = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let (proxy, _p) = proxy(nowhere).await;
    let (_, status) = converse(proxy, "/exec", 0).await;
    assert!(status.contains("error dialing backend: dial tcp"), "{status}");
}
