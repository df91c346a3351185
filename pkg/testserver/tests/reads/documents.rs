//! Tables, discovery and OpenAPI over HTTP.

use super::*;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

async fn started() -> (TestServer, Caller) {
    let server = TestServer::start().await;
    let admin = Caller::admin(&server);
    (server, admin)
}

/// The aggregated discovery document of `/api` and `/apis`.
async fn discovered(admin: &Caller) -> Vec<Value> {
    let mut out = vec![];
    for path in ["/api", "/apis"] {
        let answer = admin.get(path, AGGREGATED).await;
        assert_eq!(answer.header("content-type"), AGGREGATED);
        out.extend(answer.json()["items"].as_array().unwrap().clone());
    }
    out
}

#[tokio::test]
async fn every_list_is_a_table_when_asked() {
    let (_server, admin) = started().await;
    let mut seen = 0;
    for group in discovered(&admin).await {
        for version in group["versions"].as_array().unwrap() {
            let root = match group["metadata"]["name"].as_str() {
                Some(name) => format!("/apis/{name}/{}", version["version"].as_str().unwrap()),
                None => format!("/api/{}", version["version"].as_str().unwrap()),
            };
            for r in version["resources"].as_array().unwrap() {
                if !r["verbs"].as_array().unwrap().contains(&json!("list")) {
                    continue;
                }
                let path = format!("{root}/{}", r["resource"].as_str().unwrap());
                let table = admin.get(&path, TABLE).await.json();
                assert_eq!(table["kind"], "Table", "{path}: {table}");
                let columns = table["columnDefinitions"].as_array().unwrap();
                assert!(columns.len() >= 2, "{path}");
                assert!(columns.iter().any(|c| c["description"] != ""), "{path}");
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

#[tokio::test]
async fn rows_carry_the_object_that_is_asked_for() {
    let (_server, admin) = started().await;
    let made = admin.create("a", "x").await;
    for (query, object) in [
        ("?includeObject=None", Value::Null),
        (
            "",
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made["metadata"]}),
        ),
        ("?includeObject=Object", made.clone()),
    ] {
        for path in [format!("{CMS}/a{query}"), format!("{CMS}{query}")] {
            let table = admin.get(&path, TABLE).await.json();
            let rows = table["rows"].as_array().unwrap();
            let row = rows.iter().find(|r| r["cells"][0] == "a").unwrap();
            assert_eq!(row["object"], object, "{path}");
            assert_eq!(row["cells"][1], 1, "{path}");
            assert!(table["metadata"]["resourceVersion"].is_string(), "{path}");
        }
    }
    let old = admin
        .get(&format!("{CMS}/a"), "application/json;as=Table;v=v1beta1;g=meta.k8s.io")
        .await;
    let old = old.json();
    assert_eq!(old["apiVersion"], "meta.k8s.io/v1beta1");
    assert_eq!(old["rows"][0]["object"]["apiVersion"], "meta.k8s.io/v1beta1");
}

#[tokio::test]
async fn watched_tables_name_their_columns_once() {
    let (_server, admin) = started().await;
    for name in ["a", "b"] {
        admin.create(name, "x").await;
    }
    let path = format!("{CMS}?watch=1&resourceVersion=0&includeObject=Object&labelSelector=app");
    let events = admin.watch(&path, TABLE, 2).await;
    assert_eq!(events[0]["type"], "ADDED");
    assert_eq!(events[0]["object"]["columnDefinitions"][1]["name"], "Data");
    assert_eq!(events[1]["object"]["columnDefinitions"], Value::Null);
    assert_eq!(events[1]["object"]["rows"][0]["object"]["kind"], "ConfigMap");
}

#[tokio::test]
async fn a_scale_is_a_table_of_its_own() {
    let (_server, admin) = started().await;
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let made = admin.call(
        Method::POST,
        path,
        &[("accept", JSON)],
        deployment.to_string().into_bytes(),
    );
    assert_eq!(made.await.code, 201);
    let table = admin.get(&format!("{path}/d/scale"), TABLE).await.json();
    assert_eq!(table["columnDefinitions"][1]["name"], "Desired");
    assert_eq!(
        table["rows"][0]["cells"].as_array().unwrap()[..3],
        [json!("d"), json!(3), json!(0)]
    );
    let metadata = admin
        .get(&format!("{path}/d/scale"), &view("PartialObjectMetadata"))
        .await
        .json();
    assert_eq!(
        (&metadata["kind"], &metadata["metadata"]["name"]),
        (&json!("PartialObjectMetadata"), &json!("d"))
    );
    let status = admin.get(&format!("{path}/d/status"), TABLE).await.json();
    assert_eq!(status["columnDefinitions"][1]["name"], "Ready");
    // An answer that is a Status stays one.
    let deleted = admin
        .call(Method::DELETE, &format!("{path}/d"), &[("accept", TABLE)], vec![])
        .await
        .json();
    assert_eq!(deleted["kind"], "Status");
}

#[tokio::test]
async fn discovery_speaks_all_encodings() {
    let (_server, admin) = started().await;
    let plain = admin.get("/apis", JSON).await.json();
    for path in ["/apis", "/apis/apps", "/apis/apps/v1", "/api/v1", "/api"] {
        let want = admin.get(path, JSON).await.json();
        let have = admin.get(path, PROTO).await;
        let mut have = proto::decode_object(api::schema(), &have.body).unwrap();
        // These two have no apiVersion in JSON.
        if want.get("apiVersion").is_none() {
            have.as_object_mut().unwrap().remove("apiVersion");
        }
        assert_eq!(have, want, "{path}");
        assert_eq!(
            admin.get(path, "application/yaml").await.header("content-type"),
            "application/yaml"
        );
    }
    let aggregated = admin.get("/apis", AGGREGATED).await;
    assert_eq!(
        aggregated.json()["items"].as_array().unwrap().len(),
        plain["groups"].as_array().unwrap().len()
    );
    let headers = [("accept", AGGREGATED), ("if-none-match", aggregated.header("etag"))];
    let again = admin.call(Method::GET, "/apis", &headers, vec![]).await;
    assert_eq!((again.code, again.body.len()), (304, 0));
}

#[tokio::test]
async fn kinds_are_explained_by_documents_behind_the_index() {
    let (_server, admin) = started().await;
    let index = admin.get("/openapi/v3", JSON).await.json();
    let link = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap()
        .to_owned();
    let document = admin.get(&link, JSON).await;
    assert_eq!(document.header("cache-control"), "public, immutable");
    let spec = &document.json()["components"]["schemas"]["io.k8s.api.apps.v1.DeploymentSpec"];
    assert!(
        spec["properties"]["paused"]["description"]
            .as_str()
            .unwrap()
            .contains("paused")
    );
    let old = link.split_once('=').unwrap().0.to_owned() + "=old";
    let moved = admin.get(&old, JSON).await;
    assert_eq!((moved.code, moved.header("location")), (301, link.as_str()));
    let again = [("accept", JSON), ("if-none-match", document.header("etag"))];
    assert_eq!(admin.call(Method::GET, &link, &again, vec![]).await.code, 304);
    let zipped = admin
        .call(Method::GET, "/openapi/v2", &[("accept-encoding", "gzip")], vec![])
        .await;
    assert_eq!(
        (zipped.header("content-encoding"), zipped.header("content-type")),
        ("gzip", JSON)
    );
    let mut text = String::new();
    flate2::read::GzDecoder::new(&zipped.body[..])
        .read_to_string(&mut text)
        .unwrap();
    let v2: Value = serde_json::from_str(&text).unwrap();
    assert!(v2["paths"]["/api/v1/watch/pods"].is_object());
}
