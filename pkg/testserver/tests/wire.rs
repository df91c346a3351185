//! Protobuf, watch frames, selectors and pages over HTTP.
#![allow(missing_docs, clippy::unwrap_used)]

use apimachinery::codec::proto;
use bytes::Bytes;
use client::{Client, Config};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use testserver::TestServer;

const PROTO: &str = "application/vnd.kubernetes.protobuf";
const CMS: &str = "/api/v1/namespaces/default/configmaps";

fn admin(server: &TestServer) -> Client {
    Client::new(Config::from_kubeconfig(server.kubeconfig()).unwrap()).unwrap()
}

/// Sends and reads protobuf.
async fn exchange(client: &Client, method: Method, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
    let headers = [("accept", PROTO), ("content-type", PROTO)];
    let answer = testserver::exchange(client, method, path, &headers, body).await;
    (answer.status().as_u16(), answer.into_body().to_vec())
}

fn decode(bytes: &[u8]) -> Value {
    proto::decode_object(api::schema(), bytes).unwrap()
}

fn cm(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

#[tokio::test]
async fn protobuf_goes_in_and_out() {
    let server = TestServer::start().await;
    let client = admin(&server);
    let body = proto::encode_object(api::schema(), &cm("a")).unwrap();
    let (code, created) = exchange(&client, Method::POST, CMS, body).await;
    assert_eq!((code, decode(&created)["data"]["k"].as_str()), (201, Some("v")));
    let (_, list) = exchange(&client, Method::GET, CMS, vec![]).await;
    assert_eq!(decode(&list)["kind"], "ConfigMapList");
    let (code, status) = exchange(&client, Method::GET, &format!("{CMS}/none"), vec![]).await;
    assert_eq!((code, decode(&status)["reason"].as_str()), (404, Some("NotFound")));
    // Clients delete with options in the group's own version.
    let options = proto::wrap("v1", "DeleteOptions", &[]);
    let (code, _) = exchange(&client, Method::DELETE, &format!("{CMS}/a"), options).await;
    assert_eq!(code, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_protobuf_watch_is_length_prefixed() {
    let server = TestServer::start().await;
    let client = admin(&server);
    let body = proto::encode_object(api::schema(), &cm("a")).unwrap();
    exchange(&client, Method::POST, CMS, body).await;
    let path = format!(
        "{CMS}?watch=true&fieldSelector=metadata.name%3Da&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    );
    let accept = format!("{PROTO};stream=watch, {PROTO}");
    let request = Request::builder()
        .uri(path)
        .header("accept", accept)
        .body(Bytes::new())
        .unwrap();
    let response = client.request_raw(request).await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "application/vnd.kubernetes.protobuf;stream=watch"
    );
    let mut body = response.into_body();
    let mut buffer: Vec<u8> = vec![];
    let mut seen = vec![];
    while seen.len() < 2 {
        let frame = body.frame().await.unwrap().unwrap();
        buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |d| d));
        while buffer.len() >= 4 {
            let length = u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]) as usize;
            if buffer.len() < 4 + length {
                break;
            }
            let (kind, object) = proto::decode_watch_event(&buffer[4..4 + length]).unwrap();
            seen.push((kind.to_owned(), decode(object)));
            buffer.drain(..4 + length);
        }
    }
    assert_eq!(
        (seen[0].0.as_str(), &seen[0].1["metadata"]["name"]),
        ("ADDED", &json!("a"))
    );
    assert_eq!(seen[1].0, "BOOKMARK");
    assert_eq!(
        seen[1].1["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    server.stop().await;
}

#[tokio::test]
async fn events_are_one_object_under_two_groups() {
    let server = TestServer::start().await;
    let client = admin(&server);
    let event = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"}, "eventTime": "2026-11-21T10:00:00.000000Z",
        "reportingController": "example.com/c", "reportingInstance": "c-1", "action": "Test", "reason": "Testing",
        "regarding": {"kind": "Pod", "namespace": "default", "name": "p"}, "note": "hello", "type": "Normal"});
    let body = proto::encode_object(api::schema(), &event).unwrap();
    let (code, created) = exchange(
        &client,
        Method::POST,
        "/apis/events.k8s.io/v1/namespaces/default/events",
        body,
    )
    .await;
    assert_eq!(code, 201, "{}", decode(&created));
    let (_, core) = exchange(&client, Method::GET, "/api/v1/namespaces/default/events/e", vec![]).await;
    let core = decode(&core);
    assert_eq!(
        (&core["message"], &core["involvedObject"]["name"]),
        (&json!("hello"), &json!("p"))
    );
    server.stop().await;
}
