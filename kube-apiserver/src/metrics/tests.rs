#![allow(clippy::unwrap_used)]

use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;

use super::*;

fn labels_of(method: &str, uri: &str, content_type: Option<&'static str>) -> Labels {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let method: Method = method.parse().unwrap();
    let mut headers = HeaderMap::new();
    if let Some(t) = content_type {
        headers.insert(CONTENT_TYPE, t.parse().unwrap());
    }
    Labels::new(&method, &RequestInfo::parse(&method, path, query), query, &headers)
}

#[test]
fn requests_are_labelled_as_upstream() {
    for (method, uri, want) in [
        (
            "GET",
            "/api/v1/namespaces/a/pods/p",
            "GET||v1|pods||resource|apiserver|",
        ),
        (
            "HEAD",
            "/api/v1/namespaces/a/pods",
            "LIST||v1|pods||namespace|apiserver|",
        ),
        (
            "GET",
            "/apis/apps/v1/deployments",
            "LIST|apps|v1|deployments||cluster|apiserver|",
        ),
        ("GET", "/api/v1/pods?watch=1", "WATCH||v1|pods||cluster|apiserver|"),
        (
            "GET",
            "/api/v1/watch/namespaces/a/pods/p",
            "WATCH||v1|pods||resource|apiserver|",
        ),
        (
            "POST",
            "/api/v1/namespaces/a/pods?dryRun=All",
            "POST||v1|pods||resource|apiserver|All",
        ),
        (
            "PUT",
            "/api/v1/namespaces/a/pods/p/status?dryRun=x",
            "PUT||v1|pods|status|resource|apiserver|invalid",
        ),
        (
            "POST",
            "/api/v1/namespaces/a/pods/p/exec",
            "CONNECT||v1|pods|exec|resource|apiserver|",
        ),
        (
            "GET",
            "/api/v1/nodes/n/proxy/stats",
            "CONNECT||v1|nodes|proxy|resource|apiserver|",
        ),
        (
            "DELETE",
            "/api/v1/namespaces/a/pods",
            "DELETE||v1|pods||namespace|apiserver|",
        ),
        ("GET", "/api/v1/namespaces/a/nothings/x", "GET|||||resource|apiserver|"),
        (
            "BREW",
            "/api/v1/namespaces/a/pods/p",
            "other||v1|pods||resource|apiserver|",
        ),
        ("GET", "/livez", "GET||||/livez|||"),
        ("GET", "/livez/etcd", "GET|||||||"),
    ] {
        let l = labels_of(method, uri, None);
        let got = [&l.request()[..], &[l.dry_run]].concat().join("|");
        assert_eq!(got, want, "{method} {uri}");
    }
    let apply = labels_of(
        "PATCH",
        "/api/v1/namespaces/a/pods/p",
        Some("application/apply-patch+yaml"),
    );
    assert_eq!(apply.verb(), "APPLY");
}

#[tokio::test]
async fn a_request_is_running_until_its_answer_has_gone_out() {
    let labels = labels_of("GET", "/api/v1/namespaces/metrics/limitranges?watch=1", None);
    let running = LONG_RUNNING.with_label_values(&labels.request());
    let total = TOTAL.with_label_values(&labels.with(&["", "200"]));
    let events = WATCH_EVENTS.with_label_values(&labels.resource());
    let body = Body::from_stream(futures::stream::iter(["one", "two"].map(Ok::<_, std::io::Error>)));
    let response = Running::begin(labels, true).answered(Response::new(body));
    assert_eq!((running.get(), total.get()), (1, 0));
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&bytes[..], b"onetwo");
    assert_eq!((running.get(), total.get(), events.get()), (0, 1, 2));
}

#[test]
fn an_answers_length_is_known_as_before() {
    let labels = labels_of("GET", "/api/v1/namespaces/metrics/limitranges/x", None);
    let response = Running::begin(labels, false).answered(Response::new(Body::from("abc")));
    assert_eq!(axum::body::HttpBody::size_hint(response.body()).exact(), Some(3));
}

#[tokio::test]
async fn a_tunnel_is_running_until_it_is_closed() {
    let labels = labels_of("POST", "/api/v1/namespaces/metrics/pods/tunnel/attach", None);
    let running = LONG_RUNNING.with_label_values(&labels.request());
    let total = TOTAL.with_label_values(&labels.with(&["", "101"]));
    let (tunnel, open) = Tunnel::open();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.extensions_mut().insert(tunnel.clone());
    drop(Running::begin(labels, true).answered(response));
    tokio::task::yield_now().await;
    assert_eq!((running.get(), total.get()), (1, 0));
    drop(open);
    tunnel.ended().await;
    while running.get() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(total.get(), 1);
}

#[test]
fn a_request_whose_client_hangs_up_before_the_answer_is_running_no_more() {
    let labels = labels_of("GET", "/api/v1/namespaces/gone/pods/p/log?follow=1", None);
    let running = || LONG_RUNNING.with_label_values(&labels.request()).get();
    let request = Running::begin(labels.clone(), true);
    let meanwhile = running();
    drop(request);
    assert!(running() < meanwhile, "{meanwhile}");
}
