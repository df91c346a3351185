//! What upstream's own e2e suite found in this server, one request at a time.
#![allow(missing_docs, clippy::unwrap_used)]

use client::{Client, Config};
use http::Method;
use serde_json::{Value, json};
use testserver::{TestServer, exchange};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

struct Caller(Client);

impl Caller {
    fn new(server: &TestServer) -> Self {
        Caller(Client::new(Config::from_kubeconfig(server.kubeconfig()).unwrap()).unwrap())
    }

    async fn call(&self, method: Method, path: &str, content_type: &str, accept: &str, body: &Value) -> (u16, Value) {
        let headers = [("content-type", content_type), ("accept", accept)];
        let answer = exchange(&self.0, method, path, &headers, body.to_string()).await;
        let code = answer.status().as_u16();
        (code, serde_json::from_slice(answer.body()).unwrap_or_default())
    }

    async fn create(&self, path: &str, object: Value) -> Value {
        let (code, object) = self.call(Method::POST, path, JSON, JSON, &object).await;
        assert_eq!(code, 201, "{object}");
        object
    }
}

/// test/e2e/network/service.go "should complete a service status lifecycle": Go writes the zero time
/// of a condition as null.
#[tokio::test]
async fn a_condition_of_a_service_needs_no_time() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server);
    let path = "/api/v1/namespaces/default/services";
    let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
    let mut service = admin.create(path, service).await;
    service["status"]["conditions"] =
        json!([{"type": "A", "status": "True", "reason": "E2E", "message": "m", "lastTransitionTime": null}]);
    let path = format!("{path}/s/status");
    let (code, answer) = admin.call(Method::PUT, &path, JSON, JSON, &service).await;
    assert_eq!(
        (code, &answer["status"]["conditions"][0]["type"]),
        (200, &json!("A")),
        "{answer}"
    );
    assert!(
        answer["status"]["conditions"][0]["lastTransitionTime"].is_null(),
        "{answer}"
    );
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    let path = path.trim_end_matches("/status");
    let (code, answer) = admin.call(Method::PATCH, path, MERGE, JSON, &labels).await;
    assert_eq!(
        (code, &answer["metadata"]["labels"]["a"]),
        (200, &json!("b")),
        "{answer}"
    );
}

/// test/e2e/auth/certificates.go, test/e2e/apimachinery/namespace.go: both paths take metadata.
#[tokio::test]
async fn approval_and_finalize_take_the_metadata_of_the_client() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server);
    let namespace = admin
        .create("/api/v1/namespaces", json!({"metadata": {"name": "n"}}))
        .await;
    let mut finalized = namespace.clone();
    finalized["metadata"]["labels"]["a"] = json!("b");
    finalized["spec"]["finalizers"] = json!(["kubernetes", "e2e.example.com/f"]);
    finalized["status"]["phase"] = json!("Terminating");
    let path = "/api/v1/namespaces/n/finalize";
    let (code, answer) = admin.call(Method::PUT, path, JSON, JSON, &finalized).await;
    assert_eq!(code, 200, "{answer}");
    assert_eq!(answer["metadata"]["labels"]["a"], "b", "{answer}");
    assert_eq!(answer["spec"], finalized["spec"], "{answer}");
    assert_eq!(answer["status"], namespace["status"], "{answer}");

    let csrs = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let patch = json!({"metadata": {"annotations": {"patched": "true"}},
        "spec": {"signerName": "example.com/other"},
        "status": {"certificate": "Y2VydA==", "conditions": [{"type": "ApprovalPatch", "status": "True"}]}});
    let request = json!({"metadata": {"name": "c"}, "spec": {"request": REQUEST, "signerName": "example.com/x",
        "usages": ["client auth"]}});
    let created = admin.create(csrs, request).await;
    let path = format!("{csrs}/c/approval");
    let (code, answer) = admin.call(Method::PATCH, &path, MERGE, JSON, &patch).await;
    assert_eq!(code, 200, "{answer}");
    assert_eq!(answer["metadata"]["annotations"]["patched"], "true", "{answer}");
    assert_eq!(answer["spec"], created["spec"], "{answer}");
    assert_eq!(answer["status"]["conditions"][0]["type"], "ApprovalPatch", "{answer}");
    assert!(answer["status"]["certificate"].is_null(), "{answer}");
}

/// A certificate request in PEM and base64, made with `openssl req`; its key is nowhere.
const REQUEST: &str = concat!(
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIR01HNENBUUF3RERFS01BZ0dBMVVFQXd3QmRUQlpNQk1H",
    "QnlxR1NNNDlBZ0VHQ0NxR1NNNDlBd0VIQTBJQQpCSjVvaTFydTJRSlcyd2RhWGsyeHhDMDBCUnF4TG1XSmhyL212ekFzSXFn",
    "ZWJpWTVucTNDRGg1aUo3cGxpRmZQCm9OT2hxNU1RdEkwdW1OYmNmVlJxL1J1Z0FEQUtCZ2dxaGtqT1BRUURBZ05JQURCRkFp",
    "Qmw5QnFrcksyYWFPQ0gKWVcxNkZ6ODZybm9pd2IvTHVKaEFxN3hKVm5GM2tRSWhBTmg3SHlRZjJXWDlISWkzRTE2UXRrMURT",
    "bThPbFlxMgpQdnVRdHdmcjJrbW0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==",
);

/// test/e2e/apimachinery/table_conversion.go "should return a 406 for a backend which does not
/// implement metadata".
#[tokio::test]
async fn the_answer_to_a_review_is_no_table() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server);
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let review = json!({"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}});
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    for (accept, code) in [(table.to_owned(), 406), (format!("{table},{JSON}"), 201)] {
        let (got, answer) = admin.call(Method::POST, path, JSON, &accept, &review).await;
        assert_eq!(got, code, "{accept}: {answer}");
    }
}

/// test/e2e/dra/dra.go "ResourceClaim": the JSON patch of a status that nobody has written.
#[tokio::test]
async fn a_json_patch_goes_into_a_status_that_is_empty() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server);
    let path = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims";
    let request = json!({"name": "a", "exactly": {"deviceClassName": "x.example.com"}});
    let claim = json!({"metadata": {"name": "c"}, "spec": {"devices": {"requests": [request]}}});
    admin.create(path, claim).await;
    let patch = json!([{"op": "add", "path": "/status/allocation", "value": {}}]);
    let path = format!("{path}/c/status");
    let patched = "application/json-patch+json";
    let (code, answer) = admin.call(Method::PATCH, &path, patched, JSON, &patch).await;
    assert_eq!(code, 200, "{answer}");
    assert!(answer["status"]["allocation"].is_object(), "{answer}");
}
