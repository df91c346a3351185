//! Server-side apply and the owners of fields, over HTTP.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use client::{Client, Config};
use http::Method;
use serde_json::{Value, json};
use testserver::{TestServer, exchange};

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const WEB: &str = "/apis/apps/v1/namespaces/default/deployments/web";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

struct Caller(Client);

struct Answer {
    code: u16,
    warnings: Vec<String>,
    body: Value,
}

impl Answer {
    fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// `manager operation subresource` of every owner, in order.
    fn owners(&self) -> Vec<String> {
        let list = self.body["metadata"]["managedFields"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        list.iter()
            .map(|e| {
                let all = [text(e, "manager"), text(e, "operation"), text(e, "subresource")];
                all.join(" ").trim().to_owned()
            })
            .collect()
    }

    fn fields(&self, manager: &str) -> Value {
        let list = self.body["metadata"]["managedFields"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = list.into_iter().find(|entry| entry["manager"] == manager);
        found.map_or(Value::Null, |entry| entry["fieldsV1"].clone())
    }

    #[track_caller]
    fn ok(self, code: u16) -> Self {
        assert_eq!(self.code, code, "{}", self.body);
        self
    }
}

impl Caller {
    fn new(server: &TestServer, user: &str) -> Self {
        let config = Config::from_kubeconfig(server.kubeconfig_of(user)).unwrap();
        Caller(Client::new(config).unwrap())
    }

    async fn send(&self, method: Method, path: &str, content_type: &str, body: impl Into<Bytes>) -> Answer {
        let headers = [("accept", "application/json"), ("content-type", content_type)];
        let (head, bytes) = exchange(&self.0, method, path, &headers, body).await.into_parts();
        let warnings = head.headers.get_all("warning").iter();
        Answer {
            code: head.status.as_u16(),
            warnings: warnings.filter_map(|v| v.to_str().ok()).map(str::to_owned).collect(),
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "", "").await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, "application/json", body.to_string())
            .await
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, "application/json", body.to_string()).await
    }

    async fn apply(&self, path: &str, manager: &str, body: &Value) -> Answer {
        let path = format!("{path}?fieldManager={manager}");
        self.send(Method::PATCH, &path, APPLY, body.to_string()).await
    }

    async fn force(&self, path: &str, manager: &str, body: &Value) -> Answer {
        let path = format!("{path}?fieldManager={manager}&force=true");
        self.send(Method::PATCH, &path, APPLY, body.to_string()).await
    }
}

fn deployment(spec: Value) -> Value {
    let mut out = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    for (name, value) in spec.as_object().cloned().unwrap_or_default() {
        out["spec"][name] = value;
    }
    out
}

#[tokio::test]
async fn an_apply_creates_changes_and_removes() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let config = deployment(json!({"replicas": 3, "minReadySeconds": 5}));
    let created = admin.apply(WEB, "a", &config).await.ok(201);
    assert_eq!(created.owners(), ["a Apply"]);
    assert_eq!(created.body["spec"]["strategy"]["type"], "RollingUpdate");
    let text = created.fields("a").to_string();
    let expected = concat!(
        r#"{"f:spec":{"f:minReadySeconds":{},"f:replicas":{},"f:selector":{},"f:template":{"#,
        r#""f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{}}}}}}}"#
    );
    assert_eq!(text, expected);

    // Nothing changes, nothing is written.
    let again = admin.apply(WEB, "a", &config).await.ok(200);
    assert_eq!(
        again.body["metadata"]["resourceVersion"],
        created.body["metadata"]["resourceVersion"]
    );

    let less = admin.apply(WEB, "a", &deployment(json!({"replicas": 2}))).await.ok(200);
    assert_eq!(less.body["spec"]["replicas"], 2);
    assert_eq!(less.body["spec"].get("minReadySeconds"), None);
    assert_eq!(less.body["metadata"]["generation"], 2);
}

#[tokio::test]
async fn an_update_owns_and_an_apply_asks() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let path = format!("{DEPLOYMENTS}?fieldManager=creator");
    let created = admin.post(&path, &deployment(json!({"replicas": 1}))).await.ok(201);
    assert_eq!(created.owners(), ["creator Update"]);
    let fields = created.fields("creator");
    assert_eq!(fields["f:spec"]["f:strategy"]["f:type"], json!({}), "{fields}");

    let e = admin.apply(WEB, "a", &deployment(json!({"replicas": 3}))).await.ok(409);
    assert_eq!(
        e.message(),
        "Apply failed with 1 conflict: conflict with \"creator\" using apps/v1: .spec.replicas"
    );
    assert_eq!(e.body["reason"], "Conflict");
    assert_eq!(e.body["details"]["causes"][0]["reason"], "FieldManagerConflict");
    let forced = admin.force(WEB, "a", &deployment(json!({"replicas": 3}))).await.ok(200);
    assert_eq!(forced.owners(), ["a Apply", "creator Update"]);
    assert_eq!(forced.body["spec"]["replicas"], 3);

    // Patches of the other kinds own as well.
    let path = format!("{WEB}?fieldManager=patcher");
    let patch = json!({"spec": {"replicas": 4}, "metadata": {"labels": {"x": "y"}}});
    let patched = admin.send(Method::PATCH, &path, MERGE, patch.to_string()).await.ok(200);
    assert_eq!(
        patched.fields("patcher"),
        json!({"f:metadata": {"f:labels": {".": {}, "f:x": {}}}, "f:spec": {"f:replicas": {}}})
    );
    assert_eq!(patched.fields("a")["f:spec"].get("f:replicas"), None);
    // A second time nothing changes.
    let same = admin.send(Method::PATCH, &path, MERGE, patch.to_string()).await.ok(200);
    assert_eq!(same.body, patched.body);

    // Whoever sends no manager is named by the user agent.
    let object = json!({"metadata": {"name": "m"}, "data": {"a": "b"}});
    let created = admin.post("/api/v1/namespaces/default/configmaps", &object).await;
    let owners = created.ok(201).owners();
    assert_eq!(owners.len(), 1, "{owners:?}");
    assert!(
        !owners[0].contains('/') && !owners[0].starts_with("unknown"),
        "{owners:?}"
    );
}

#[tokio::test]
async fn refusals_have_upstreams_texts() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let config = deployment(json!({}));
    let typed = "failed to create typed patch object (/web; apps/v1, Kind=Deployment): ";
    let mut unknown = config.clone();
    unknown["spec"]["nope"] = json!(1);
    let mut twice = config.clone();
    twice["spec"]["template"]["spec"]["containers"] = json!([{"name": "c"}, {"name": "c"}]);
    let mut managed = config.clone();
    managed["metadata"]["managedFields"] = json!([{}]);
    let mut other = config.clone();
    other["kind"] = json!("ReplicaSet");
    let mut uid = config.clone();
    uid["metadata"]["uid"] = json!("u");
    let mut renamed = config.clone();
    renamed["metadata"]["name"] = json!("other");
    let cases = [
        (&unknown, 500, format!("{typed}.spec.nope: field not declared in schema")),
        (
            &twice,
            500,
            format!("{typed}.spec.template.spec.containers: duplicate entries for key [name=\"c\"]"),
        ),
        (&managed, 400, "metadata.managedFields must be nil".to_owned()),
        (&other, 400, "invalid object type: apps/v1, Kind=ReplicaSet".to_owned()),
        (
            &uid,
            409,
            "Operation cannot be fulfilled on deployments.apps \"web\": uid mismatch: the provided object specified uid u, and no existing object was found".to_owned(),
        ),
        (
            &renamed,
            400,
            "the name of the object (other) does not match the name on the URL (web)".to_owned(),
        ),
    ];
    for (body, code, message) in cases {
        let e = admin.apply(WEB, "a", body).await.ok(code);
        assert_eq!(e.message(), message);
    }

    let e = admin.send(Method::PATCH, WEB, APPLY, config.to_string()).await.ok(422);
    let text = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
    assert_eq!(e.message(), text);
    let e = admin
        .send(Method::PATCH, &format!("{WEB}?force=true"), MERGE, "{}")
        .await
        .ok(422);
    let text = "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch";
    assert_eq!(e.message(), text);
    let e = admin.send(Method::PATCH, WEB, "text/plain", "{}").await.ok(415);
    let text = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml";
    assert_eq!(e.message(), text);
    let path = format!("{WEB}?fieldManager=a");
    let e = admin.send(Method::PATCH, &path, APPLY, "[1]").await.ok(400);
    let text = "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}";
    assert_eq!(e.message(), text);
    // Neither status nor patches of other kinds create.
    admin.apply(&format!("{WEB}/status"), "a", &config).await.ok(404);
    admin.send(Method::PATCH, &path, MERGE, "{}").await.ok(404);
}

#[tokio::test]
async fn duplicate_yaml_keys_are_named_with_their_lines() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let path = "/api/v1/namespaces/default/configmaps/m?fieldManager=a";
    let text = "\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\ndata:\n  foo: \"1\"\n  foo: \"2\"\n";
    let strict = admin
        .send(Method::PATCH, &format!("{path}&fieldValidation=Strict"), APPLY, text)
        .await
        .ok(400);
    assert_eq!(
        strict.message(),
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 8: key \"foo\" already set in map"
    );
    let warned = admin.send(Method::PATCH, path, APPLY, text).await.ok(201);
    assert_eq!(warned.warnings.len(), 1, "{:?}", warned.warnings);
    assert!(
        warned.warnings[0].contains(r#"line 8: key \"foo\" already set in map"#),
        "{:?}",
        warned.warnings
    );
    assert_eq!(warned.body["data"]["foo"], "2");
}

#[tokio::test]
async fn status_and_scale_have_owners_of_their_own() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    admin.apply(WEB, "a", &deployment(json!({"replicas": 3}))).await.ok(201);
    let status = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 9}, "status": {"replicas": 3}});
    let out = admin
        .apply(&format!("{WEB}/status"), "controller", &status)
        .await
        .ok(200);
    assert_eq!(out.owners(), ["a Apply", "controller Apply status"]);
    assert_eq!(out.fields("controller"), json!({"f:status": {"f:replicas": {}}}));
    assert_eq!(
        (&out.body["spec"]["replicas"], &out.body["status"]["replicas"]),
        (&json!(3), &json!(3))
    );

    // The Scale shows the replicas' owner, and a write of it takes them.
    let path = format!("{WEB}/scale?fieldManager=autoscaler");
    let scale = admin.get(&format!("{WEB}/scale")).await.ok(200);
    assert_eq!(scale.body["metadata"].get("managedFields"), None);
    let wanted = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 5}});
    let e = admin
        .apply(&format!("{WEB}/scale"), "autoscaler", &wanted)
        .await
        .ok(409);
    assert_eq!(
        e.message(),
        "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas"
    );
    admin.put(&path, &wanted).await.ok(200);
    let now = admin.get(WEB).await.ok(200);
    assert_eq!(now.body["spec"]["replicas"], 5);
    assert_eq!(
        now.owners(),
        ["a Apply", "controller Apply status", "autoscaler Update scale"]
    );
    assert_eq!(now.fields("autoscaler"), json!({"f:spec": {"f:replicas": {}}}));
    let e = admin.apply(WEB, "a", &deployment(json!({"replicas": 3}))).await.ok(409);
    let text = "Apply failed with 1 conflict: conflict with \"autoscaler\" with subresource \"scale\" using apps/v1: .spec.replicas";
    assert_eq!(e.message(), text);
}

#[tokio::test]
async fn dry_runs_leave_nothing_and_rights_are_asked_for() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let config = deployment(json!({"replicas": 3}));
    let path = format!("{WEB}?fieldManager=a&dryRun=All");
    let dry = admin
        .send(Method::PATCH, &path, APPLY, config.to_string())
        .await
        .ok(201);
    assert_eq!(dry.owners(), ["a Apply"]);
    admin.get(WEB).await.ok(404);

    // The right to patch is not the right to create.
    let rules = json!([{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}]);
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({"metadata": {"name": "patcher"}, "rules": rules});
    admin.post(&format!("{rbac}/clusterroles"), &role).await.ok(201);
    let binding = json!({"metadata": {"name": "patcher"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "patcher"},
        "subjects": [{"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}]});
    admin
        .post(&format!("{rbac}/clusterrolebindings"), &binding)
        .await
        .ok(201);
    let nobody = Caller::new(&server, "nobody");
    let e = nobody.apply(WEB, "a", &config).await.ok(403);
    assert!(
        e.message().contains("cannot create resource \"deployments\""),
        "{}",
        e.message()
    );
    admin.apply(WEB, "a", &config).await.ok(201);
    nobody.apply(WEB, "b", &config).await.ok(200);
}

#[tokio::test]
async fn kubectls_client_side_apply_can_be_taken_over() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let config = deployment(json!({"replicas": 3}));
    let mut object = config.clone();
    object["metadata"]["annotations"] = json!({LAST_APPLIED: format!("{config}\n")});
    let path = format!("{DEPLOYMENTS}?fieldManager=kubectl-client-side-apply");
    admin.post(&path, &object).await.ok(201);
    admin
        .apply(WEB, "other", &deployment(json!({"replicas": 4})))
        .await
        .ok(409);
    let out = admin
        .apply(WEB, "kubectl", &deployment(json!({"replicas": 4})))
        .await
        .ok(200);
    assert_eq!(out.body["spec"]["replicas"], 4);
    assert_eq!(out.owners(), ["kubectl Apply", "kubectl-client-side-apply Update"]);
    let last = out.body["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(last).unwrap()["spec"]["replicas"], 4);

    // kubectl migrates with a JSON patch of the owners themselves.
    let mut owners = out.body["metadata"]["managedFields"].clone();
    owners.as_array_mut().unwrap().truncate(1);
    let patch = json!([{"op": "replace", "path": "/metadata/managedFields", "value": owners}]);
    let kind = "application/json-patch+json";
    let out = admin.send(Method::PATCH, WEB, kind, patch.to_string()).await.ok(200);
    assert_eq!(out.owners(), ["kubectl Apply"]);
}

#[tokio::test]
async fn owners_can_be_reset_and_come_back_with_the_next_apply() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    for reset in [json!([]), json!([{}])] {
        let config = deployment(json!({"replicas": 3}));
        admin.force(WEB, "a", &config).await;
        let patch = json!({"metadata": {"managedFields": reset}});
        let out = admin.send(Method::PATCH, WEB, MERGE, patch.to_string()).await.ok(200);
        assert_eq!(out.owners(), [""; 0], "{reset}");
        let out = admin.apply(WEB, "a", &config).await.ok(200);
        assert_eq!(out.owners(), ["a Apply", "before-first-apply Update"]);
    }
    let mut object = admin.get(WEB).await.ok(200).body;
    object["metadata"]["managedFields"] = json!([]);
    assert_eq!(admin.put(WEB, &object).await.ok(200).owners(), [""; 0]);
    let config = deployment(json!({"replicas": 3}));
    admin.apply(WEB, "a", &config).await.ok(200);
    // What a client sends back of the owners is no change of its own; garbage is not taken.
    let mut object = admin.get(WEB).await.ok(200).body;
    object["metadata"]["managedFields"][0]["operation"] = json!("Nope");
    let out = admin.put(WEB, &object).await.ok(200);
    assert_eq!(out.owners(), ["a Apply", "before-first-apply Update"]);
}

#[tokio::test]
async fn versions_share_owners() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let path = |version: &str| format!("/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers/h");
    let target = json!({"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"});
    let v1 = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50}});
    admin.apply(&path("v1"), "a", &v1).await.ok(201);
    let v2 = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 7}});
    let e = admin.apply(&path("v2"), "b", &v2).await.ok(409);
    assert_eq!(
        e.message(),
        "Apply failed with 1 conflict: conflict with \"a\": .spec.maxReplicas"
    );
    let out = admin.force(&path("v2"), "b", &v2).await.ok(200);
    assert_eq!(out.owners(), ["a Apply", "b Apply"]);
    assert_eq!(out.fields("a")["f:spec"].get("f:maxReplicas"), None);
    // The first one goes on in v2, without its CPU target.
    let mut less = v2.clone();
    less["spec"] = json!({"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 7});
    let out = admin.apply(&path("v2"), "a", &less).await.ok(200);
    assert_eq!(out.body["spec"]["minReplicas"], 3);
    assert_eq!(out.body["metadata"]["managedFields"][0]["apiVersion"], "autoscaling/v2");
}

#[tokio::test]
async fn the_servers_own_objects_have_an_owner() {
    let server = TestServer::start().await;
    let admin = Caller::new(&server, "admin");
    let service = admin
        .get("/api/v1/namespaces/default/services/kubernetes")
        .await
        .ok(200);
    assert_eq!(service.owners(), ["kube-apiserver Update"]);
}
