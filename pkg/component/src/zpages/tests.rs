#![allow(clippy::unwrap_used)]

use http_body_util::BodyExt as _;

use super::*;

async fn read(r: Response<Body>) -> (u16, String, String) {
    let (code, kind) = (
        r.status().as_u16(),
        r.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned(),
    );
    let body = r.into_body().collect().await.unwrap().to_bytes();
    (code, kind, String::from_utf8(body.to_vec()).unwrap())
}

fn accept(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, text.parse().unwrap());
    headers
}

#[tokio::test]
async fn people_read_text_and_programs_name_a_version() {
    let paths = ["/healthz/etcd", "/healthz", "/apis/apps", "/metrics", "/"].map(str::to_owned);
    let started = Timestamp::now() - jiff::SignedDuration::from_secs(3700);
    let (code, kind, text) = read(statusz("kube-apiserver", started, &paths, &HeaderMap::new())).await;
    assert_eq!((code, kind.as_str()), (200, "text/plain; charset=utf-8"));
    assert!(
        text.starts_with("\nkube-apiserver statusz\nWarning: This endpoint"),
        "{text}"
    );
    assert!(
        text.contains("\nUp: 1 hr 01 min 4") && text.ends_with("\nPaths: /healthz /metrics\n"),
        "{text}"
    );

    let json = "application/json;v=v1beta1;g=config.k8s.io;as=Statusz";
    let (_, _, text) = read(statusz("kube-apiserver", started, &paths, &accept(json))).await;
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(object["apiVersion"], "config.k8s.io/v1beta1");
    assert_eq!(object["paths"], json!(["/healthz", "/metrics"]));
    assert_eq!(object["emulationVersion"], "1.36");
}

#[tokio::test]
async fn flags_are_listed_by_name() {
    let flags = BTreeMap::from([("b", "[x,y]"), ("a", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())));
    let (_, _, text) = read(flagz("kube-apiserver", &flags, &accept("text/plain"))).await;
    assert!(text.ends_with("only.\na=1\nb=[x,y]\n"), "{text}");
    let old = flagz(
        "c",
        &flags,
        &accept("application/yaml;v=v1alpha1;g=config.k8s.io;as=Flagz"),
    );
    assert!(
        old.headers()[header::WARNING]
            .to_str()
            .unwrap()
            .contains("flagz endpoint is deprecated")
    );
    assert!(read(old).await.2.contains("[x,y]"));
    // JSON of no kind, and what is nobody's.
    for bad in [
        "application/json",
        "application/cbor",
        "application/json;v=v1;g=config.k8s.io;as=Flagz",
    ] {
        let (code, _, text) = read(flagz("c", &flags, &accept(bad))).await;
        assert_eq!(code, 406, "{bad}");
        assert!(
            text.contains("text/plain, application/json, application/yaml"),
            "{text}"
        );
    }
}
