//! Reading over HTTP: negotiation, compression, resource versions, watches; and what deletions say.
#![allow(missing_docs, clippy::unwrap_used)]

use std::io::Read as _;

use apimachinery::codec::proto;
use bytes::Bytes;
use client::{Client, Config};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use testserver::{TestServer, exchange};

#[path = "reads/documents.rs"]
mod documents;

const JSON: &str = "application/json";
const PROTO: &str = "application/vnd.kubernetes.protobuf";
const CMS: &str = "/api/v1/namespaces/default/configmaps";

struct Caller(Client);

struct Answer {
    code: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// Code, reason and message of a Status.
    fn status(&self) -> (u16, String, String) {
        let status = match proto::is_proto(&self.body) {
            true => proto::decode_object(api::schema(), &self.body).unwrap(),
            false => self.json(),
        };
        let text = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
        (self.code, text("reason"), text("message"))
    }
}

impl Caller {
    fn admin(server: &TestServer) -> Self {
        Caller(Client::new(Config::from_kubeconfig(server.kubeconfig()).unwrap()).unwrap())
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let (head, body) = exchange(&self.0, method, path, headers, body).await.into_parts();
        Answer {
            code: head.status.as_u16(),
            headers: head.headers,
            body,
        }
    }

    async fn get(&self, path: &str, accept: &str) -> Answer {
        self.call(Method::GET, path, &[("accept", accept)], vec![]).await
    }

    async fn create(&self, name: &str, data: &str) -> Value {
        let cm = json!({"metadata": {"name": name, "labels": {"app": name}}, "data": {"k": data}});
        let body = cm.to_string().into_bytes();
        let made = self.call(Method::POST, CMS, &[("accept", JSON)], body).await;
        assert_eq!(made.code, 201, "{:?}", made.status());
        made.json()
    }

    /// The events of a watch until `count` have come; the body is JSON lines.
    async fn watch(&self, path: &str, accept: &str, count: usize) -> Vec<Value> {
        let request = Request::builder().uri(path).header("accept", accept);
        let response = self.0.request_raw(request.body(Bytes::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        let (mut buffer, mut events) = (Vec::<u8>::new(), vec![]);
        while events.len() < count {
            let Some(frame) = body.frame().await else { break };
            buffer.extend_from_slice(frame.unwrap().data_ref().map_or(&[][..], |d| d));
            while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                events.push(serde_json::from_slice(&line).unwrap());
            }
        }
        events
    }
}

fn view(kind: &str) -> String {
    format!("{JSON};as={kind};v=v1;g=meta.k8s.io")
}

#[tokio::test]
async fn what_cannot_be_read_or_written_is_refused_readably() {
    let server = TestServer::start().await;
    let admin = Caller::admin(&server);
    let accepted = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf";
    for accept in ["text/html", "application/cbor", "application/json;stream=other"] {
        let refused = admin.get(CMS, accept).await;
        assert_eq!(
            refused.status(),
            (406, "NotAcceptable".to_owned(), accepted.to_owned()),
            "{accept}"
        );
        // Nothing acceptable is left to write the error in: indented JSON.
        assert!(refused.body.starts_with(b"{\n  \""), "{:?}", refused.body);
    }
    let streams = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
    let refused = admin.get(&format!("{CMS}?watch=1"), "application/yaml").await;
    assert_eq!(
        (refused.code, refused.header("content-type")),
        (406, "application/yaml")
    );
    assert!(String::from_utf8_lossy(&refused.body).contains(streams));
    let missing = admin.get(&format!("{CMS}/x"), PROTO).await;
    assert_eq!(missing.header("content-type"), PROTO);
    assert_eq!(missing.status().2, "configmaps \"x\" not found");
    let missing = admin.get(&format!("{CMS}/x"), "application/yaml").await;
    assert_eq!(missing.header("content-type"), "application/yaml");
    let table = admin.get(CMS, &view("PartialObjectMetadata")).await.status();
    assert_eq!(
        table,
        (
            406,
            "NotAcceptable".to_owned(),
            "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)".to_owned()
        )
    );
    // No Content-Type is JSON; what is too large is said to be.
    admin.create("plain", "v").await;
    let large = vec![b' '; 3 * 1024 * 1024 + 1];
    let refused = admin.call(Method::POST, CMS, &[("accept", JSON)], large).await.status();
    let why = "Request entity too large: limit is 3145728".to_owned();
    assert_eq!(refused, (413, "RequestEntityTooLarge".to_owned(), why));
    server.stop().await;
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_read_gzip() {
    let server = TestServer::start().await;
    let admin = Caller::admin(&server);
    let large = "x".repeat(200 * 1024);
    admin.create("small", "v").await;
    admin.create("large", &large).await;
    let inflate = |body: &[u8]| {
        let mut text = vec![];
        flate2::read::GzDecoder::new(body).read_to_end(&mut text).unwrap();
        text
    };
    for accept in [JSON, PROTO, "application/yaml"] {
        for path in [CMS.to_owned(), format!("{CMS}/large")] {
            let plain = admin.get(&path, accept).await;
            assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", ""));
            let headers = [("accept", accept), ("accept-encoding", "deflate, gzip")];
            let small = admin.call(Method::GET, &path, &headers, vec![]).await;
            let said = (
                small.header("content-encoding"),
                small.header("vary"),
                small.header("content-type"),
            );
            assert_eq!(said, ("gzip", "Accept-Encoding", accept));
            assert!(small.body.len() < 8 * 1024, "{}", small.body.len());
            assert_eq!(inflate(&small.body), plain.body, "{accept} {path}");
        }
        let headers = [("accept", accept), ("accept-encoding", "gzip")];
        let small = admin.call(Method::GET, &format!("{CMS}/small"), &headers, vec![]).await;
        assert_eq!(small.header("content-encoding"), "");
    }
    server.stop().await;
}

#[tokio::test]
async fn reads_at_a_version_are_answered_or_refused_as_upstream_does() {
    let server = TestServer::start().await;
    let admin = Caller::admin(&server);
    let made = admin.create("a", "v").await;
    let version: i64 = made["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    for read in ["0".to_owned(), version.to_string(), String::new()] {
        let got = admin.get(&format!("{CMS}/a?resourceVersion={read}"), JSON).await;
        assert_eq!(got.json(), made, "{read}");
    }
    let ahead = version + 1_000_000;
    for path in [
        format!("{CMS}/a?resourceVersion={ahead}"),
        format!("{CMS}?resourceVersion={ahead}"),
        format!("{CMS}?resourceVersion={ahead}&resourceVersionMatch=Exact"),
    ] {
        let refused = admin.get(&path, JSON).await;
        let status = refused.json();
        let start = format!("Timeout: Too large resource version: {ahead}, current: ");
        assert_eq!(
            (refused.code, status["reason"].as_str()),
            (504, Some("Timeout")),
            "{path}"
        );
        assert!(status["message"].as_str().unwrap().starts_with(&start), "{status}");
        assert_eq!(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
        assert_eq!(
            (&status["details"]["retryAfterSeconds"], refused.header("retry-after")),
            (&json!(1), "1")
        );
    }
    let cases = [
        (
            format!("{CMS}?resourceVersion=x"),
            400,
            r#"invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax"#,
        ),
        (
            format!("{CMS}/a?resourceVersion=x"),
            500,
            r#"resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax"#,
        ),
        (
            format!("{CMS}?continue=x"),
            400,
            "invalid continue token: continue key is not valid: illegal base64 data at input byte 0",
        ),
        (
            format!("{CMS}?fieldSelector=spec.x%3Dy"),
            400,
            r#""spec.x" is not a known field selector: only "metadata.name", "metadata.namespace""#,
        ),
        (
            "/api/v1/pods?fieldSelector=spec.x%3Dy".to_owned(),
            400,
            "field label not supported: spec.x",
        ),
        (
            format!("{CMS}?labelSelector=a%20b"),
            400,
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
        (
            format!("{CMS}/a%25b"),
            400,
            r#"Name parameter invalid: "a%b": may not contain '%'"#,
        ),
    ];
    for (path, code, message) in cases {
        let refused = admin.get(&path, JSON).await.status();
        assert_eq!((refused.0, refused.2.as_str()), (code, message), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn watches_begin_and_fail_with_events() {
    let server = TestServer::start().await;
    let admin = Caller::admin(&server);
    admin.create("a", "v").await;
    // A plain watch from now is one with initial events: their end is marked for who takes bookmarks.
    let seen = admin
        .watch(
            &format!("{CMS}?watch=1&allowWatchBookmarks=true&fieldSelector=metadata.name%3Da"),
            JSON,
            2,
        )
        .await;
    let mark = &seen[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"];
    assert_eq!(
        (&seen[0]["type"], &seen[1]["type"], mark),
        (&json!("ADDED"), &json!("BOOKMARK"), &json!("true"))
    );
    assert_eq!(seen[1]["object"]["kind"], "ConfigMap");
    // The old form, in the path.
    let old = admin
        .watch(
            "/api/v1/watch/namespaces/default/configmaps/a?resourceVersion=0",
            JSON,
            1,
        )
        .await;
    assert_eq!(old[0]["object"]["metadata"]["name"], "a");
    let ahead = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=9999999";
    let failed = admin.watch(&format!("{CMS}?watch=1&{ahead}"), JSON, 9).await;
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (&failed[0]["type"], &failed[0]["object"]["code"]),
        (&json!("ERROR"), &json!(504))
    );
    let rows = admin
        .watch(
            &format!("{CMS}?watch=1&resourceVersion=0&labelSelector=app%3Da"),
            &view("Table"),
            1,
        )
        .await;
    let table = &rows[0]["object"];
    assert_eq!(
        (&table["kind"], &table["rows"][0]["cells"][0]),
        (&json!("Table"), &json!("a"))
    );
    let partial = format!("{CMS}?watch=1&resourceVersion=0&labelSelector=app%3Da");
    let partial = admin.watch(&partial, &view("PartialObjectMetadata"), 1).await;
    assert_eq!(partial[0]["object"]["kind"], "PartialObjectMetadata");
    // The end comes by itself, and just before it a last bookmark.
    let ends = format!("{CMS}?watch=1&resourceVersion=1&timeoutSeconds=3&allowWatchBookmarks=true&labelSelector=none");
    let last = admin.watch(&ends, JSON, 9).await;
    assert_eq!(
        last.iter().map(|e| e["type"].as_str().unwrap()).collect::<Vec<_>>(),
        ["BOOKMARK"]
    );
    server.stop().await;
}

#[tokio::test]
async fn deletions_read_their_options_from_the_body_first() {
    let server = TestServer::start().await;
    let admin = Caller::admin(&server);
    let made = admin.create("a", "v").await;
    let path = format!("{CMS}/a");
    let delete = async |query: &str, body: Value| {
        let body = if body.is_null() {
            vec![]
        } else {
            body.to_string().into_bytes()
        };
        admin
            .call(Method::DELETE, &format!("{path}{query}"), &[("accept", JSON)], body)
            .await
    };
    let uid = made["metadata"]["uid"].as_str().unwrap();
    let conflict = |uid: &str, own: &str| {
        format!(
            "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition ({uid}) does not match the UID in record ({own}). The object might have been deleted and then recreated"
        )
    };
    let refused = delete("", json!({"preconditions": {"uid": "0"}})).await.status();
    assert_eq!(refused, (409, "Conflict".to_owned(), conflict("0", uid)));
    assert_eq!(delete("?uid=1", Value::Null).await.status().2, conflict("1", uid));
    let refused = delete("?propagationPolicy=x", Value::Null).await.status();
    assert_eq!(
        refused.2,
        r#"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "x": supported values: "Foreground", "Background", "Orphan", "nil""#
    );
    let dry = delete("?dryRun=All", Value::Null).await;
    assert_eq!((dry.code, admin.get(&path, JSON).await.code), (200, 200));
    // What the query says does not count beside a body.
    let gone = delete("?dryRun=x", json!({"kind": "DeleteOptions", "apiVersion": "v1"})).await;
    let details = json!({"name": "a", "kind": "configmaps", "uid": uid});
    assert_eq!((gone.code, &gone.json()["details"]), (200, &details));
    assert_eq!(admin.get(&path, JSON).await.code, 404);
    server.stop().await;
}

#[tokio::test]
async fn an_object_held_by_finalizers_is_marked_once() {
    let server = TestServer::start().await;
    let admin = Caller::admin(&server);
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let deployment = json!({"metadata": {"name": "d", "finalizers": ["example.com/hold"]}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    admin
        .call(
            Method::POST,
            path,
            &[("accept", JSON)],
            deployment.to_string().into_bytes(),
        )
        .await;
    let path = format!("{path}/d");
    let first = admin
        .call(Method::DELETE, &path, &[("accept", JSON)], vec![])
        .await
        .json();
    // A new generation, as for any other change of what shall be.
    assert_eq!(
        (&first["kind"], &first["metadata"]["generation"]),
        (&json!("Deployment"), &json!(2))
    );
    assert_eq!(first["metadata"]["deletionGracePeriodSeconds"], 0);
    let again = admin
        .call(Method::DELETE, &path, &[("accept", JSON)], vec![])
        .await
        .json();
    assert_eq!(again, first);
    let body = json!({"orphanDependents": false}).to_string().into_bytes();
    assert_eq!(
        admin.call(Method::DELETE, &path, &[("accept", JSON)], body).await.code,
        202
    );
    server.stop().await;
}
