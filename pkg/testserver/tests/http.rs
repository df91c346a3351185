//! The API as clients see it: status codes, reasons, headers, streams.
#![allow(missing_docs, clippy::unwrap_used)]

use client::{Client, Config};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use testserver::{TestServer, exchange};

struct Caller(Client);

struct Answer {
    code: u16,
    headers: http::HeaderMap,
    body: Value,
    text: String,
}

impl Caller {
    fn new(server: &TestServer, user: &str) -> Self {
        let config = Config::from_kubeconfig(server.kubeconfig_of(user)).unwrap();
        Caller(Client::new(config).unwrap())
    }

    async fn call(&self, method: Method, path: &str, content_type: &str, body: Value) -> Answer {
        let body = if body.is_null() {
            vec![]
        } else {
            serde_json::to_vec(&body).unwrap()
        };
        let headers = [("accept", "application/json"), ("content-type", content_type)];
        let (head, bytes) = exchange(&self.0, method, path, &headers, body).await.into_parts();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            code: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "", Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, "application/json", body).await
    }
}

const CMS: &str = "/api/v1/namespaces/default/configmaps";

fn cm(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

#[tokio::test]
async fn refusals_have_upstreams_code_reason_and_message() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    assert_eq!(admin.post(CMS, cm("a")).await.code, 201);

    let unknown = json!({"metadata": {"name": "b"}, "foo": 1});
    let cases: Vec<(Answer, u16, &str, &str)> = vec![
        (
            admin.post(CMS, cm("a")).await,
            409,
            "AlreadyExists",
            "configmaps \"a\" already exists",
        ),
        (
            admin.get("/apis/apps/v1/namespaces/default/deployments/x").await,
            404,
            "NotFound",
            "deployments.apps \"x\" not found",
        ),
        (
            admin.post("/api/v1/namespaces/none/configmaps", cm("a")).await,
            404,
            "NotFound",
            "namespaces \"none\" not found",
        ),
        (
            admin
                .post(&format!("{CMS}?fieldValidation=Strict"), unknown.clone())
                .await,
            400,
            "BadRequest",
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"foo\"",
        ),
        (
            admin.post("/api/v1/pods", json!({})).await,
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
        (
            admin.get("/api/v1/nothings").await,
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
        (
            Caller::new(&server, "nobody")
                .get("/api/v1/namespaces/default/secrets")
                .await,
            403,
            "Forbidden",
            "secrets is forbidden: User \"nobody\" cannot list resource \"secrets\" in API group \"\" in the namespace \"default\"",
        ),
        (
            // How long to wait is looked at before who asks.
            Caller::new(&server, "nobody").get("/api/v1/secrets?timeout=5").await,
            400,
            "BadRequest",
            "invalid timeout specified in the request URL - time: missing unit in duration \"5\"",
        ),
        (
            admin.call(Method::POST, CMS, "text/plain", cm("c")).await,
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ),
    ];
    for (answer, code, reason, message) in cases {
        assert_eq!(
            (answer.code, answer.body["reason"].as_str()),
            (code, Some(reason)),
            "{}",
            answer.text
        );
        assert_eq!(answer.body["message"], message);
    }
    let warned = admin.post(CMS, unknown).await;
    assert_eq!(warned.code, 201);
    assert_eq!(warned.headers["warning"], "299 - \"unknown field \\\"foo\\\"\"");
    assert!(warned.headers.contains_key("audit-id"));
    assert_eq!(warned.headers["cache-control"], "no-cache, private");
    let plain = admin.get("/apis/none.example/v1/things").await;
    assert_eq!((plain.code, plain.text.as_str()), (404, "404 page not found\n"));
    server.stop().await;
}

#[tokio::test]
async fn the_three_patch_types_change_an_object() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    admin.post(CMS, cm("a")).await;
    let path = format!("{CMS}/a");
    let patches = [
        ("application/merge-patch+json", json!({"data": {"m": "1"}})),
        (
            "application/strategic-merge-patch+json",
            json!({"data": {"s": "1", "k": null}}),
        ),
        (
            "application/json-patch+json",
            json!([{"op": "add", "path": "/data/j", "value": "1"}]),
        ),
    ];
    for (content_type, patch) in patches {
        let answer = admin.call(Method::PATCH, &path, content_type, patch).await;
        assert_eq!(answer.code, 200, "{}", answer.text);
    }
    assert_eq!(
        admin.get(&path).await.body["data"],
        json!({"m": "1", "s": "1", "j": "1"})
    );
    let refused = admin.call(Method::PATCH, &path, "application/json", json!({})).await;
    assert_eq!(refused.code, StatusCode::UNSUPPORTED_MEDIA_TYPE.as_u16());
    server.stop().await;
}

#[tokio::test]
async fn scale_reads_and_writes_replicas() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let answer = admin
        .post(
            deployments,
            json!({"metadata": {"name": "d"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
        )
        .await;
    assert_eq!(answer.code, 201, "{}", answer.text);
    let scale = admin.get(&format!("{deployments}/d/scale")).await.body;
    assert_eq!(
        (&scale["spec"]["replicas"], &scale["status"]["selector"]),
        (&json!(2), &json!("a=b"))
    );
    let patch = json!({"spec": {"replicas": 4}});
    let answer = admin
        .call(
            Method::PATCH,
            &format!("{deployments}/d/scale"),
            "application/merge-patch+json",
            patch,
        )
        .await;
    assert_eq!(answer.code, 200, "{}", answer.text);
    assert_eq!(admin.get(&format!("{deployments}/d")).await.body["spec"]["replicas"], 4);
    server.stop().await;
}

#[tokio::test]
async fn services_get_an_address_and_ports_and_give_them_back() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let services = "/api/v1/namespaces/default/services";
    let svc = json!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80}]}});
    let created = admin.post(services, svc).await;
    assert_eq!(created.code, 201, "{}", created.text);
    let ip = created.body["spec"]["clusterIP"].as_str().unwrap().to_owned();
    assert!(ip.starts_with("10.96."));
    assert!(created.body["spec"]["ports"][0]["nodePort"].as_u64().unwrap() >= 30000);
    let address = format!("/apis/networking.k8s.io/v1/ipaddresses/{ip}");
    assert_eq!(admin.get(&address).await.code, 200);
    admin
        .call(Method::DELETE, &format!("{services}/s"), "", Value::Null)
        .await;
    assert_eq!(admin.get(&address).await.code, 404);
    server.stop().await;
}

#[tokio::test]
async fn the_server_tells_who_it_is_and_how_it_is() {
    let server = TestServer::start().await;
    let nobody = Caller::new(&server, "nobody");
    for path in ["/livez", "/healthz"] {
        assert_eq!(nobody.get(path).await.text, "ok", "{path}");
    }
    let admin = Caller::new(&server, "admin");
    assert_eq!(admin.get("/version").await.body["gitVersion"], "v1.36.2");
    assert!(admin.get("/metrics").await.text.contains("apiserver_request_total"));
    let events = admin.get("/apis/events.k8s.io/v1/events").await;
    assert_eq!((events.code, events.body["kind"].as_str()), (200, Some("EventList")));
    server.stop().await;
}

#[tokio::test]
async fn only_what_the_server_gives_up_to_save_itself_counts_as_that() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let ns = "/api/v1/namespaces/default";
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    admin.post(&format!("{ns}/serviceaccounts"), account).await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "kept", "labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}});
    assert_eq!(admin.post(&format!("{ns}/pods"), pod).await.code, 201);
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "kept"},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"a": "b"}}}});
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    assert_eq!(admin.post(budgets, budget).await.code, 201);
    let mut running = admin.get(&format!("{ns}/pods/kept")).await.body;
    running["status"]["phase"] = json!("Running");
    let status = format!("{ns}/pods/kept/status");
    assert_eq!(
        admin.call(Method::PUT, &status, "application/json", running).await.code,
        200
    );
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "kept"}});
    assert_eq!(
        admin.post(&format!("{ns}/pods/kept/eviction"), eviction).await.code,
        429
    );
    let metrics = admin.get("/metrics").await.text;
    let given_up = |line: &&str| line.starts_with("apiserver_request_terminations_total{");
    let evictions = metrics
        .lines()
        .filter(given_up)
        .filter(|line| line.contains("eviction"));
    assert_eq!(evictions.count(), 0);
    server.stop().await;
}

/// What the server warns about, without the agent and the quotes around it.
fn warnings(answer: &Answer) -> Vec<String> {
    let all = answer.headers.get_all("warning").iter();
    let text = |value: &http::HeaderValue| {
        let quoted = value.to_str().unwrap().trim_start_matches("299 - ").to_owned();
        serde_json::from_str::<String>(&quoted).unwrap_or(quoted)
    };
    all.map(text).collect()
}

#[tokio::test]
async fn what_is_valid_and_still_not_right_is_warned_about() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a.b"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}, "containers": [{"name": "c", "image": "i"}]}}}});
    let label = "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead";
    let made = admin.post(deployments, deployment.clone()).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let name = "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]";
    assert_eq!(warnings(&made), [name, label]);

    let path = format!("{deployments}/a.b");
    let merge = "application/merge-patch+json";
    let labels = json!({"metadata": {"labels": {"x": "y"}}});
    let patched = admin.call(Method::PATCH, &path, merge, labels).await;
    assert_eq!(
        (patched.code, warnings(&patched)),
        (200, vec![]),
        "the spec is the same"
    );
    let spec = json!({"spec": {"template": {"spec": {"hostname": "h"}}}});
    let patched = admin.call(Method::PATCH, &path, merge, spec).await;
    assert_eq!((patched.code, warnings(&patched)), (200, vec![label.to_owned()]));
    let bad = json!({"spec": {"replicas": -1, "template": {"spec": {"hostname": "i"}}}});
    let refused = admin.call(Method::PATCH, &path, merge, bad).await;
    assert_eq!((refused.code, warnings(&refused)), (422, vec![]), "errors say enough");

    let endpoints = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
    for path in [
        "/api/v1/endpoints",
        "/api/v1/namespaces/default/endpoints?limit=1",
        "/api/v1/namespaces/default/endpoints/none",
    ] {
        assert_eq!(warnings(&admin.get(path).await), [endpoints], "{path}");
    }
    assert_eq!(warnings(&admin.get("/api/v1/nodes").await), Vec::<String>::new());

    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    let orphans = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning";
    for (query, want) in [("", vec![orphans]), ("?propagationPolicy=Background", vec![])] {
        let deleted = admin
            .call(Method::DELETE, &format!("{jobs}{query}"), "", Value::Null)
            .await;
        assert_eq!(
            (deleted.code, warnings(&deleted)),
            (200, want.iter().map(ToString::to_string).collect())
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn owners_are_named_once_whatever_the_verb() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"});
    let twice = json!([owner, owner]);
    let text = |when: &str| {
        format!(
            ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: u"
        )
    };
    let mut object = cm("a");
    object["metadata"]["ownerReferences"] = twice.clone();
    let path = format!("{CMS}/a");
    let after = " after mutating admission happens";
    let calls = [
        (Method::POST, CMS, "application/json", object.clone(), ""),
        (Method::PUT, path.as_str(), "application/json", object, ""),
        (
            Method::PATCH,
            path.as_str(),
            "application/merge-patch+json",
            json!({"metadata": {"ownerReferences": twice}}),
            after,
        ),
    ];
    for (method, path, content_type, body, when) in calls {
        let answer = admin.call(method.clone(), path, content_type, body).await;
        assert!(answer.code < 300, "{method}: {}", answer.text);
        assert_eq!(answer.body["metadata"]["ownerReferences"], json!([owner]), "{method}");
        assert_eq!(warnings(&answer), [text(when)], "{method}");
    }
    server.stop().await;
}

#[tokio::test]
async fn fields_are_there_when_their_gates_are_on() {
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "a"},
        "spec": {"serviceName": "s", "selector": {"matchLabels": {"a": "b"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let sets = "/apis/apps/v1/namespaces/default/statefulsets";
    for (args, want) in [
        (vec![], json!({"partition": 0})),
        (
            vec!["--feature-gates=MaxUnavailableStatefulSet=true"],
            json!({"partition": 0, "maxUnavailable": 2}),
        ),
    ] {
        let server = TestServer::with_args(&args).await;
        let made = Caller::new(&server, "admin").post(sets, set.clone()).await;
        assert_eq!(made.code, 201, "{}", made.text);
        assert_eq!(made.body["spec"]["updateStrategy"]["rollingUpdate"], want, "{args:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn an_autoscaler_of_v2_loses_nothing_on_its_way_through_v1() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let [one, two] = ["v1", "v2"].map(|v| format!("/apis/autoscaling/{v}/namespaces/default/horizontalpodautoscalers"));
    let metric = json!({"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1500m"}}});
    let scaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "metrics": [metric],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 7}}}});
    let made = admin.post(&two, scaler).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let read = admin.get(&format!("{one}/a")).await.body;
    let annotations = &read["metadata"]["annotations"];
    assert_eq!(
        annotations["autoscaling.alpha.kubernetes.io/metrics"],
        r#"[{"type":"Pods","pods":{"metricName":"m","targetAverageValue":"1500m"}}]"#
    );
    assert!(
        annotations["autoscaling.alpha.kubernetes.io/behavior"]
            .as_str()
            .unwrap()
            .contains("\"StabilizationWindowSeconds\":7")
    );
    let mut changed = read.clone();
    changed["spec"]["maxReplicas"] = json!(4);
    let put = admin
        .call(Method::PUT, &format!("{one}/a"), "application/json", changed)
        .await;
    assert_eq!(put.code, 200, "{}", put.text);
    assert_eq!(put.body["metadata"]["annotations"], *annotations);
    let back = admin.get(&format!("{two}/a")).await.body;
    assert_eq!(back["metadata"].get("annotations"), None);
    assert_eq!(back["spec"]["metrics"], made.body["spec"]["metrics"]);
    assert_eq!(back["spec"]["behavior"], made.body["spec"]["behavior"]);
    assert_eq!(back["spec"]["maxReplicas"], 4);
    server.stop().await;
}
