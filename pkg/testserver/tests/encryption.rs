//! Encryption at rest, seen from above and from below the server.
#![allow(missing_docs, clippy::unwrap_used)]

use client::{Client, Config};
use http::Method;
use serde_json::{Value, json};
use testserver::{Objects, TestServer, exchange};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const KEY: &str = "/registry/secrets/default/a";
const ONE: &str = "{name: one, secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}";
const TWO: &str = "{name: two, secret: /wECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}";

struct Servers {
    objects: Objects,
    dir: tempfile::TempDir,
}

impl Servers {
    /// A server over the same objects, with these keys; `None`: without encryption.
    async fn start(&self, keys: Option<&str>) -> (TestServer, Client) {
        let mut args = vec![];
        if let Some(keys) = keys {
            let path = self.dir.path().join("encryption.yaml");
            let text = format!(
                "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n\
                 - resources: [secrets]\n  providers:\n  - aesgcm: {{keys: [{keys}]}}\n  - identity: {{}}\n"
            );
            std::fs::write(&path, text).unwrap();
            args.push(format!("--encryption-provider-config={}", path.display()));
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let server = TestServer::over(&self.objects, &args).await;
        let client = Client::new(Config::from_kubeconfig(server.kubeconfig()).unwrap()).unwrap();
        (server, client)
    }

    async fn kept(&self) -> Vec<u8> {
        self.objects.stored(KEY).await.unwrap()
    }
}

async fn call(client: &Client, method: Method, path: &str, body: Value) -> (u16, Value) {
    let kind = if method == Method::PATCH {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let headers = [("content-type", kind), ("accept", "application/json")];
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = exchange(client, method, path, &headers, body).await;
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

#[tokio::test]
async fn secrets_are_encrypted_below_and_plain_above_whatever_keys_come_and_go() {
    let servers = Servers {
        objects: Objects::default(),
        dir: tempfile::tempdir().unwrap(),
    };
    let one = format!("{SECRETS}/a");
    let read = async |client: &Client| {
        let (code, secret) = call(client, Method::GET, &one, Value::Null).await;
        (code, secret["data"]["password"].clone())
    };

    // Before there was encryption.
    let (server, client) = servers.start(None).await;
    let secret = json!({"metadata": {"name": "a"}, "data": {"password": "aHVudGVyMg=="}});
    assert_eq!(call(&client, Method::POST, SECRETS, secret).await.0, 201);
    assert!(servers.kept().await.windows(7).any(|part| part == b"hunter2"));
    server.stop().await;

    let (server, client) = servers.start(Some(ONE)).await;
    assert_eq!(read(&client).await, (200, json!("aHVudGVyMg==")));
    // How a store is migrated: every object is written as it is.
    assert_eq!(call(&client, Method::PATCH, &one, json!({})).await.0, 200);
    let kept = servers.kept().await;
    assert!(kept.starts_with(b"k8s:enc:aesgcm:v1:one:"));
    assert!(!kept.windows(7).any(|part| part == b"hunter2"));
    assert_eq!(read(&client).await, (200, json!("aHVudGVyMg==")));
    let (code, health) = call(&client, Method::GET, SECRETS, Value::Null).await;
    assert_eq!((code, health["items"].as_array().unwrap().len()), (200, 1));
    server.stop().await;

    // Another key first.
    let (server, client) = servers.start(Some(&format!("{TWO}, {ONE}"))).await;
    assert_eq!(read(&client).await, (200, json!("aHVudGVyMg==")));
    assert_eq!(servers.kept().await, kept);
    assert_eq!(call(&client, Method::PATCH, &one, json!({})).await.0, 200);
    assert!(servers.kept().await.starts_with(b"k8s:enc:aesgcm:v1:two:"));
    server.stop().await;

    // The old key is not needed any more; without the new one nothing can be read.
    let (server, client) = servers.start(Some(TWO)).await;
    assert_eq!(read(&client).await, (200, json!("aHVudGVyMg==")));
    server.stop().await;
    let (_server, client) = servers.start(Some(ONE)).await;
    let (code, status) = call(&client, Method::GET, SECRETS, Value::Null).await;
    assert_eq!(code, 500);
    assert_eq!(
        status["message"],
        "Internal error occurred: unable to transform key \"/registry/secrets/default/a\": no matching key was found for the provided AES transformer"
    );
    assert_eq!(
        call(&client, Method::GET, "/api/v1/namespaces", Value::Null).await.0,
        200
    );
}

#[tokio::test]
async fn a_plugin_that_is_down_fails_health_but_not_liveness_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("encryption.yaml");
    let text = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n\
                - resources: [secrets]\n  providers:\n  - kms: {apiVersion: v2, name: a, timeout: 100ms, endpoint: 'unix:///nowhere/kms.sock'}\n";
    std::fs::write(&path, text).unwrap();
    let config = format!("--encryption-provider-config={}", path.display());
    let server = TestServer::with_args(&[&config, "--encryption-provider-config-automatic-reload"]).await;
    let client = Client::new(Config::from_kubeconfig(server.kubeconfig()).unwrap()).unwrap();
    let get = async |path: &str| {
        let answer = exchange(&client, Method::GET, path, &[], String::new()).await;
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        (answer.status().as_u16(), text)
    };
    let down = "internal server error: kms-provider-0: failed to perform status section of the healthz check for KMS Provider a, error: rpc error: code = DeadlineExceeded desc = context deadline exceeded\n";
    for path in ["/readyz/kms-providers", "/healthz/kms-providers"] {
        assert_eq!(get(path).await, (500, down.to_owned()), "{path}");
    }
    assert_eq!(get("/livez").await.0, 200);
    assert_eq!(get("/livez/kms-providers").await.0, 404);
    let (code, text) = get("/readyz?verbose&exclude=kms-providers").await;
    assert_eq!(code, 200);
    let hook = "[+]poststarthook/start-encryption-provider-config-automatic-reload ok";
    assert!(text.lines().any(|line| line == hook), "{text}");

    let secret = json!({"metadata": {"name": "a"}});
    let (code, status) = call(&client, Method::POST, SECRETS, secret).await;
    assert_eq!(
        (code, &status["message"]),
        (500, &json!("Internal error occurred: got unexpected nil transformer"))
    );
    let map = json!({"metadata": {"name": "a"}});
    let maps = "/api/v1/namespaces/default/configmaps";
    assert_eq!(call(&client, Method::POST, maps, map).await.0, 201);
}
