//! Every served kind through its life: created, read in every format and view, patched in every way,
//! watched, listed in pages, deleted. The resources come from the server's own discovery, so a kind
//! that is new needs an entry in `objects.rs` and nothing else.
#![allow(missing_docs, clippy::unwrap_used)]

mod objects;

use std::time::Duration;

use apimachinery::codec::{json as codec, proto, yaml};
use bytes::Bytes;
use client::{Client, Config};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use testserver::{TestServer, exchange};

const JSON: &str = "application/json";
const PROTO: &str = "application/vnd.kubernetes.protobuf";
/// How many objects of each kind there are.
const COUNT: usize = 3;
/// What selects them.
const OURS: &str = "labelSelector=lifecycle%3Dyes";

type Outcome<T = ()> = Result<T, String>;

/// One served resource.
struct Served {
    group: String,
    version: String,
    plural: String,
    kind: String,
    namespaced: bool,
    verbs: Vec<String>,
    status: bool,
}

impl Served {
    fn collection(&self) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        let ns = if self.namespaced { "/namespaces/default" } else { "" };
        format!("{root}{ns}/{}", self.plural)
    }

    fn object(&self, n: usize) -> Option<Value> {
        objects::object(&self.group, &self.version, &self.plural, &self.kind, n)
    }

    fn label(&self) -> String {
        format!("{}/{} {}", self.group, self.version, self.plural)
    }
}

struct Caller(Client);

struct Answer {
    code: u16,
    content_type: String,
    body: Bytes,
}

impl Answer {
    fn want(self, code: u16, what: &str) -> Outcome<Bytes> {
        if self.code == code {
            return Ok(self.body);
        }
        let text = match proto::is_proto(&self.body) {
            true => proto::decode_object(api::schema(), &self.body).unwrap().to_string(),
            false => String::from_utf8_lossy(&self.body).into_owned(),
        };
        Err(format!("{what}: {} {text}", self.code))
    }

    fn json(self, code: u16, what: &str) -> Outcome<Value> {
        serde_json::from_slice(&self.want(code, what)?).map_err(|e| format!("{what}: {e}"))
    }
}

impl Caller {
    async fn call(&self, method: Method, path: &str, accept: &str, content_type: &str, body: Vec<u8>) -> Answer {
        let headers = [("accept", accept), ("content-type", content_type)];
        let (head, body) = exchange(&self.0, method, path, &headers, body).await.into_parts();
        let content_type = head.headers.get("content-type").map_or("", |v| v.to_str().unwrap());
        Answer {
            code: head.status.as_u16(),
            content_type: content_type.to_owned(),
            body,
        }
    }

    async fn get(&self, path: &str, accept: &str) -> Answer {
        self.call(Method::GET, path, accept, "", vec![]).await
    }

    async fn get_json(&self, path: &str) -> Outcome<Value> {
        self.get(path, JSON).await.json(200, path)
    }

    async fn served(&self) -> Vec<Served> {
        let mut versions = vec![(String::new(), "/api/v1".to_owned())];
        for group in self.get_json("/apis").await.unwrap()["groups"].as_array().unwrap() {
            for version in group["versions"].as_array().unwrap() {
                let path = format!("/apis/{}", version["groupVersion"].as_str().unwrap());
                versions.push((group["name"].as_str().unwrap().to_owned(), path));
            }
        }
        let mut all = vec![];
        for (group, path) in versions {
            let list = self.get_json(&path).await.unwrap();
            let resources = list["resources"].as_array().unwrap();
            let text = |v: &Value| v.as_str().unwrap().to_owned();
            for r in resources.iter().filter(|r| !text(&r["name"]).contains('/')) {
                let status = format!("{}/status", text(&r["name"]));
                all.push(Served {
                    group: group.clone(),
                    version: path.rsplit('/').next().unwrap().to_owned(),
                    plural: text(&r["name"]),
                    kind: text(&r["kind"]),
                    namespaced: r["namespaced"] == true,
                    verbs: r["verbs"].as_array().unwrap().iter().map(text).collect(),
                    status: resources.iter().any(|s| s["name"] == status.as_str()),
                });
            }
        }
        all
    }

    /// The whole life of one kind.
    async fn life(&self, kind: &Served) -> Outcome {
        let collection = kind.collection();
        let first = kind.object(0).ok_or("objects.rs has no such resource")?;
        let path = format!("{collection}/{}", first["metadata"]["name"].as_str().unwrap());
        let start = self.get_json(&collection).await?["metadata"]["resourceVersion"].clone();

        let strict = format!("{collection}?fieldValidation=Strict");
        for n in 0..COUNT {
            let object = kind.object(n).ok_or("no object")?;
            let body = serde_json::to_vec(&object).unwrap();
            let made = self.call(Method::POST, &strict, JSON, JSON, body);
            let made = made.await.json(201, "create")?;
            same(&made["kind"], &object["kind"], "kind of what was created")?;
            if n == 0 {
                same(&self.get_json(&path).await?, &made, "what was created, read again")?;
            }
        }
        let read = self.formats(&path).await?;
        self.patches(&path, &read).await?;
        if kind.status {
            let status = format!("{path}/status");
            let now = self.get_json(&status).await?;
            let body = serde_json::to_vec(&now).unwrap();
            let again = self
                .call(Method::PUT, &status, JSON, JSON, body)
                .await
                .json(200, "update of the status")?;
            same(&again, &now, "status after an update that changes nothing")?;
        }
        self.update(&path).await?;
        self.lists(&collection, kind).await?;
        self.delete(&collection, kind).await?;
        self.watched(&collection, start.as_str().unwrap(), &read).await?;
        self.clean(&collection).await
    }

    /// GET in every format and view.
    async fn formats(&self, path: &str) -> Outcome<Value> {
        let read = self.get_json(path).await?;
        for accept in [JSON, "application/yaml", PROTO] {
            let content_type = self.get(path, accept).await.content_type;
            if content_type != accept {
                return Err(format!("{accept} is answered by {content_type}"));
            }
        }
        let bytes = self.get(path, PROTO).await.want(200, "get protobuf")?;
        // Zeros that JSON shows are not in protobuf: the comparison is of messages.
        same(&decode(&bytes)?, &through_protobuf(&read)?, "protobuf")?;
        let text = self.get(path, "application/yaml").await.want(200, "get YAML")?;
        let (text, _) = yaml::to_json(&text).map_err(|e| e.to_string())?;
        same(&codec::parse(&text).unwrap().object, &read, "YAML")?;
        let view = |kind: &str| format!("{JSON};as={kind};v=v1;g=meta.k8s.io");
        let table = self.get(path, &view("Table")).await.json(200, "get Table")?;
        let (columns, rows) = (&table["columnDefinitions"], &table["rows"]);
        same(&table["kind"], &"Table".into(), "kind of a Table")?;
        same(&rows[0]["object"]["metadata"], &read["metadata"], "metadata in a row")?;
        // Upstream's printer of addresses has a cell more than columns; ours follows it.
        if columns.as_array().map(Vec::len) > rows[0]["cells"].as_array().map(Vec::len) {
            return Err(format!("cells of a Table: {table}"));
        }
        let partial = self
            .get(path, &view("PartialObjectMetadata"))
            .await
            .json(200, "get metadata")?;
        same(&partial["metadata"], &read["metadata"], "PartialObjectMetadata")?;
        same(&partial["kind"], &"PartialObjectMetadata".into(), "kind of metadata")?;
        let wrong = self.get(path, &view("PartialObjectMetadataList")).await;
        wrong.want(406, "a list of one object's metadata")?;
        Ok(read)
    }

    /// PATCH in all four ways.
    async fn patches(&self, path: &str, read: &Value) -> Outcome {
        let label = |name: &str| json!({"metadata": {"labels": {name: "yes"}}});
        let mut apply = label("applied");
        for key in ["apiVersion", "kind"] {
            apply[key] = read[key].clone();
        }
        apply["metadata"]["name"] = read["metadata"]["name"].clone();
        let ways = [
            (
                "json",
                "application/json-patch+json",
                json!([{"op": "add", "path": "/metadata/labels/json", "value": "yes"}]),
            ),
            ("merge", "application/merge-patch+json", label("merge")),
            (
                "strategic",
                "application/strategic-merge-patch+json",
                label("strategic"),
            ),
            ("applied", "application/apply-patch+yaml", apply),
        ];
        for (name, media_type, patch) in ways {
            let query = if name == "applied" {
                "?fieldManager=applier"
            } else {
                "?fieldManager=life"
            };
            let body = serde_json::to_vec(&patch).unwrap();
            let answer = self
                .call(Method::PATCH, &format!("{path}{query}"), JSON, media_type, body)
                .await;
            let patched = answer.json(200, name)?;
            same(&patched["metadata"]["labels"][name], &"yes".into(), name)?;
        }
        Ok(())
    }

    /// PUT of what was read, in protobuf: writes nothing.
    async fn update(&self, path: &str) -> Outcome {
        let bytes = self.get(path, PROTO).await.want(200, "get protobuf")?;
        let again = self
            .call(Method::PUT, path, PROTO, PROTO, bytes.to_vec())
            .await
            .want(200, "update")?;
        let (was, is) = (decode(&bytes)?, decode(&again)?);
        same(
            &is["metadata"]["resourceVersion"],
            &was["metadata"]["resourceVersion"],
            "version after an update that changes nothing",
        )
    }

    /// LIST in pages, formats and views.
    async fn lists(&self, collection: &str, kind: &Served) -> Outcome {
        let list = format!("{kind}List", kind = kind.kind);
        let whole = self.get_json(&format!("{collection}?{OURS}")).await?;
        same(&whole["kind"], &list.as_str().into(), "kind of a list")?;
        let (mut token, mut paged) = (String::new(), vec![]);
        loop {
            let page = self
                .get_json(&format!("{collection}?{OURS}&limit=1&continue={token}"))
                .await?;
            paged.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["metadata"]["continue"].as_str() {
                Some(next) if paged.len() <= COUNT => next.clone_into(&mut token),
                _ => break,
            }
        }
        same(&Value::from(paged), &whole["items"], "pages")?;
        let bytes = self
            .get(&format!("{collection}?{OURS}"), PROTO)
            .await
            .want(200, "list protobuf")?;
        let items = &through_protobuf(&whole)?["items"];
        same(&decode(&bytes)?["items"], items, "items in protobuf")?;
        for (view, part) in [("Table", "rows"), ("PartialObjectMetadataList", "items")] {
            let accept = format!("{JSON};as={view};v=v1;g=meta.k8s.io");
            let got = self
                .get(&format!("{collection}?{OURS}"), &accept)
                .await
                .json(200, view)?;
            same(&got["kind"], &view.into(), "kind of a view")?;
            same(&got[part].as_array().map(Vec::len).into(), &COUNT.into(), view)?;
        }
        let name = &whole["items"][1]["metadata"]["name"];
        let one = format!("{collection}?fieldSelector=metadata.name%3D{}", name.as_str().unwrap());
        same(
            &self.get_json(&one).await?["items"].as_array().map(Vec::len).into(),
            &1.into(),
            "one by name",
        )
    }

    /// DELETE one, then the collection; what finalizers hold is marked.
    async fn delete(&self, collection: &str, kind: &Served) -> Outcome {
        let before = self.get_json(&format!("{collection}?{OURS}")).await?;
        let mut names = before["items"].as_array().unwrap().iter();
        let name = |o: &Value| o["metadata"]["name"].as_str().unwrap().to_owned();
        let path = format!("{collection}/{}", name(names.next().unwrap()));
        let wrong = json!({"preconditions": {"uid": "0"}}).to_string().into_bytes();
        self.call(Method::DELETE, &path, JSON, JSON, wrong)
            .await
            .want(409, "delete of another uid")?;
        self.call(Method::DELETE, &format!("{path}?dryRun=All"), JSON, "", vec![])
            .await
            .want(200, "dry delete")?;
        self.get_json(&path).await?;
        let options = json!({"propagationPolicy": "Background"}).to_string().into_bytes();
        self.call(Method::DELETE, &path, JSON, JSON, options.clone())
            .await
            .want(200, "delete")?;
        if kind.verbs.iter().any(|v| v == "deletecollection") {
            let path = format!("{collection}?{OURS}");
            self.call(Method::DELETE, &path, JSON, JSON, options)
                .await
                .want(200, "deletecollection")?;
        } else {
            for each in names {
                let path = format!("{collection}/{}", name(each));
                self.call(Method::DELETE, &path, JSON, JSON, options.clone())
                    .await
                    .want(200, "delete")?;
            }
        }
        let left = self.get_json(&format!("{collection}?{OURS}")).await?;
        match left["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|o| o["metadata"]["deletionTimestamp"].is_null())
        {
            None => Ok(()),
            Some(o) => Err(format!("not deleted: {o}")),
        }
    }

    /// A watch from before all this, of the first object, in JSON: every version once, in order.
    async fn watched(&self, collection: &str, start: &str, first: &Value) -> Outcome {
        let name = first["metadata"]["name"].as_str().unwrap();
        let path = format!(
            "{collection}?watch=true&timeoutSeconds=30&resourceVersion={start}&fieldSelector=metadata.name%3D{name}"
        );
        let request = Request::builder().uri(&path).header("accept", JSON);
        let response = self.0.request_raw(request.body(Bytes::new()).unwrap()).await.unwrap();
        if response.status() != 200 {
            return Err(format!("watch: {}", response.status()));
        }
        let mut body = response.into_body();
        let (mut buffer, mut events) = (Vec::<u8>::new(), Vec::<Value>::new());
        let ended = |events: &[Value]| {
            let last = events.last()?;
            (last["type"] == "DELETED" || !last["object"]["metadata"]["deletionTimestamp"].is_null()).then_some(())
        };
        while ended(&events).is_none() {
            let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await;
            let Ok(Some(Ok(frame))) = frame else {
                return Err(format!("the watch ended after {events:?}"));
            };
            buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |d| d));
            while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                events.push(serde_json::from_slice(&line).unwrap());
            }
        }
        same(&events[0]["type"], &"ADDED".into(), "first event")?;
        // Defaulting, conversion and watching show the same object as GET did.
        same(&events[0]["object"], first, "object in an event")?;
        let types: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
        let middle = &types[1..types.len() - 1];
        if middle.len() < 2 || middle.iter().any(|t| *t != "MODIFIED") {
            return Err(format!("events: {types:?}"));
        }
        Ok(())
    }

    /// Takes finalizers off what is left, so that the next kind's objects find their names free.
    async fn clean(&self, collection: &str) -> Outcome {
        let left = self.get_json(&format!("{collection}?{OURS}")).await?;
        for object in left["items"].as_array().unwrap() {
            let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap());
            let patch = json!({"metadata": {"finalizers": null}}).to_string().into_bytes();
            self.call(Method::PATCH, &path, JSON, "application/merge-patch+json", patch)
                .await;
        }
        Ok(())
    }
}

fn same(got: &Value, want: &Value, what: &str) -> Outcome {
    if got == want {
        return Ok(());
    }
    Err(format!("{what}: got {got}, want {want}"))
}

fn decode(bytes: &[u8]) -> Outcome<Value> {
    proto::decode_object(api::schema(), bytes).map_err(|e| e.to_string())
}

/// An object as a reader of protobuf gets it.
fn through_protobuf(object: &Value) -> Outcome<Value> {
    decode(&proto::encode_object(api::schema(), object).map_err(|e| e.to_string())?)
}

#[tokio::test]
async fn every_kind_lives_from_create_to_delete() {
    let server = TestServer::start().await;
    let admin = Caller(Client::new(Config::from_kubeconfig(server.kubeconfig()).unwrap()).unwrap());
    // What the controllers of a cluster would have made.
    let account = json!({"metadata": {"name": "default"}}).to_string().into_bytes();
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    admin
        .call(Method::POST, accounts, JSON, JSON, account)
        .await
        .want(201, "account")
        .unwrap();
    let kinds = admin.served().await;
    let whole = |k: &&Served| {
        ["create", "get", "watch"]
            .iter()
            .all(|v| k.verbs.iter().any(|has| has == v))
    };
    let (mut lived, mut failed) = (0, vec![]);
    for kind in kinds.iter().filter(whole) {
        match admin.life(kind).await {
            Ok(()) => lived += 1,
            Err(why) => failed.push(format!("{}: {why}", kind.label())),
        }
    }
    assert!(
        failed.is_empty(),
        "{} kinds failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
    assert!(lived >= 60, "only {lived} kinds are served");
    server.stop().await;
}
