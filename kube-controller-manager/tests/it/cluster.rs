//! A real apiserver in memory, the whole manager with its own service accounts, and a stand-in for kubelets that
//! makes every pod ready. Tests wait on watches, never on time.

use std::sync::Arc;
use std::time::Duration;

use client::informer::{Factory, Reader};
use client::{Api, Client, Object, Patch};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube_controller_manager::{Config, Options, flag_table, run};
use serde_json::{Value, json};
use testserver::TestServer;
use tokio_util::sync::CancellationToken;

/// How long a state may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Cluster {
    pub(crate) client: Client,
    informers: Factory,
    shutdown: CancellationToken,
    manager: tokio::task::JoinHandle<anyhow::Result<()>>,
    server: TestServer,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let server = TestServer::start().await;
        let file = |name: &str| server.dir().join(name).display().to_string();
        let args = [
            format!("--kubeconfig={}", server.kubeconfig_of("controller-manager").display()),
            format!("--root-ca-file={}", file("ca.crt")),
            format!("--service-account-private-key-file={}", file("sa.key")),
            "--use-service-account-credentials=true".to_owned(),
            "--allocate-node-cidrs=true".to_owned(),
            "--cluster-cidr=10.244.0.0/16".to_owned(),
            "--kube-api-qps=1000".to_owned(),
            "--kube-api-burst=1000".to_owned(),
            "--secure-port=0".to_owned(),
        ];
        let values = flag_table().parse(args).unwrap();
        let config = Config::complete(Options::from_values(&values)).unwrap();
        let shutdown = CancellationToken::new();
        let manager = tokio::spawn(run(config, shutdown.clone()));
        let client = Client::new(client::Config::from_kubeconfig(server.kubeconfig()).unwrap()).unwrap();
        let informers = Factory::new(client.clone(), shutdown.clone());
        let cluster = Cluster {
            client,
            informers,
            shutdown,
            manager,
            server,
        };
        cluster.play_kubelet();
        cluster
    }

    /// Every pod gets an address and is ready at once.
    fn play_kubelet(&self) {
        let mut pods = self.informers.informer::<Pod>().subscribe();
        self.informers.start();
        let client = self.client.clone();
        tokio::spawn(async move {
            let mut number = 0_u16;
            while let Some(event) = pods.recv().await {
                let pod = event.object();
                if pod.metadata.deletion_timestamp.is_some() || rules::pods::is_pod_ready(pod) {
                    continue;
                }
                number += 1;
                let ip = format!("10.244.{}.{}", number / 250, number % 250 + 1);
                let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": Timestamp::now()});
                let status = json!({"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                    "conditions": [ready]}});
                let api: Api<Pod> = Api::namespaced(client.clone(), pod.metadata.namespace.as_deref().unwrap());
                // The pod may be gone by now.
                let _ = api
                    .patch(
                        pod.metadata.name.as_deref().unwrap(),
                        &Patch::Merge(status),
                        Some("status"),
                    )
                    .await;
            }
        });
    }

    pub(crate) fn api<K: k8s_openapi::Resource>(&self, namespace: &str) -> Api<K>
    where
        K::Scope: 'static,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    pub(crate) async fn create<K: Object + serde::Serialize>(&self, namespace: &str, object: Value) -> K
    where
        K::Scope: 'static,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api::<K>(namespace).create(&object).await.unwrap()
    }

    /// Waits until what `look` makes of the objects of a kind is something.
    pub(crate) async fn until<K: Object, T>(&self, what: &str, look: impl Fn(&Reader<K>) -> Option<T>) -> T
    where
        K::Scope: 'static,
    {
        let informer = self.informers.informer::<K>();
        let mut changes = informer.subscribe();
        self.informers.start();
        informer.wait_synced().await;
        let reader = informer.reader();
        let seen = async {
            loop {
                if let Some(found) = look(&reader) {
                    return found;
                }
                changes.recv().await.expect("the informer outlives the test");
            }
        };
        match tokio::time::timeout(PATIENCE, seen).await {
            Ok(found) => found,
            Err(_) => panic!("not within {PATIENCE:?}: {what}; there are {:?}", names(&reader)),
        }
    }

    /// Stops the manager and the server; the manager must end well.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.manager.await.unwrap().unwrap();
        self.server.stop().await;
    }
}

fn names<K: Object>(reader: &Reader<K>) -> Vec<Arc<str>> {
    reader.keys()
}

/// A Deployment with one container.
pub(crate) fn deployment(name: &str, image: &str, replicas: i32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [
            {"name": "c", "image": image, "ports": [{"name": "www", "containerPort": 8080}]}]}}}})
}
