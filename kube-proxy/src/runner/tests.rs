#![allow(clippy::unwrap_used)]
//! The whole proxy against an apiserver in this process; only the kernel is a list of what it was told.

use std::io;

use client::{Api, Client};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::json;
use tokio::sync::mpsc;

use super::*;
use crate::backend::nftables::NftError;
use crate::options;

enum Told {
    Rules(String),
    Flows(Targets),
}

struct Recorder {
    told: mpsc::UnboundedSender<Told>,
    /// Refuses the next text.
    refuse: Arc<std::sync::atomic::AtomicBool>,
}

impl Kernel for Recorder {
    async fn apply(&self, text: &str) -> Result<(), NftError> {
        if self.refuse.swap(false, std::sync::atomic::Ordering::Relaxed) {
            return Err(NftError::Refused("as told".into()));
        }
        // The receiver is gone at the end of a test.
        let _ = self.told.send(Told::Rules(text.to_owned()));
        Ok(())
    }

    async fn forget(&self, targets: Targets) -> io::Result<usize> {
        let _ = self.told.send(Told::Flows(targets));
        Ok(0)
    }

    async fn remove_leftovers(&self) {}
}

struct Running {
    client: Client,
    told: mpsc::UnboundedReceiver<Told>,
    refuse: Arc<std::sync::atomic::AtomicBool>,
    _shutdown: tokio_util::sync::DropGuard,
    _server: testserver::TestServer,
}

async fn start() -> Running {
    let server = testserver::TestServer::start().await;
    let client = Client::new(client::Config::from_kubeconfig(server.kubeconfig()).unwrap()).unwrap();
    let line = [
        "--hostname-override=node",
        "--cluster-cidr=10.244.0.0/16",
        "--iptables-min-sync-period=10ms",
    ];
    let Action::Run(config) = options(&crate::flags().parse(line).unwrap()).unwrap() else {
        panic!()
    };
    let (sender, told) = mpsc::unbounded_channel();
    let refuse = Arc::<std::sync::atomic::AtomicBool>::default();
    let shutdown = CancellationToken::new();
    let kernel = Recorder {
        told: sender,
        refuse: refuse.clone(),
    };
    tokio::spawn(run_with(
        kernel,
        client.clone(),
        *config,
        Arc::default(),
        shutdown.clone(),
    ));
    Running {
        client,
        told,
        refuse,
        _shutdown: shutdown.drop_guard(),
        _server: server,
    }
}

impl Running {
    /// What the kernel is told, up to a text that has `part`.
    async fn rules_with(&mut self, part: &str) -> String {
        loop {
            match self.next().await {
                Told::Rules(text) if text.contains(part) => return text,
                _ => {}
            }
        }
    }

    async fn next(&mut self) -> Told {
        let next = tokio::time::timeout(Duration::from_secs(30), self.told.recv());
        next.await.expect("the kernel is told nothing").unwrap()
    }

    async fn create(&self, protocol: &str) {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"clusterIP": "10.96.7.7", "ports": [{"name": "p", "protocol": protocol, "port": 80}]}
        }))
        .unwrap();
        Api::<Service>::namespaced(self.client.clone(), "default")
            .create(&service)
            .await
            .unwrap();
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "ports": [{"name": "p", "protocol": protocol, "port": 8080}],
            "endpoints": [{"addresses": ["10.244.0.5"], "conditions": {"ready": true}}]
        }))
        .unwrap();
        Api::<EndpointSlice>::namespaced(self.client.clone(), "default")
            .create(&slice)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_added_changed_and_removed_by_its_elements_only() {
    let mut proxy = start().await;
    proxy.rules_with("delete table ip kube-proxy").await;
    proxy.create("TCP").await;
    let added = proxy.rules_with("10.96.7.7 . tcp . 80 : 10.244.0.5 . 8080").await;
    assert!(
        !added.contains("delete table") && !added.contains("10.96.0.1 "),
        "{added}"
    );
    Api::<Service>::namespaced(proxy.client.clone(), "default")
        .delete("web", &Default::default())
        .await
        .unwrap();
    let removed = proxy
        .rules_with("delete element ip kube-proxy service-endpoints-0")
        .await;
    assert!(!removed.contains("add "), "{removed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn udp_flows_are_forgotten_after_the_rules_have_changed() {
    let mut proxy = start().await;
    proxy.create("UDP").await;
    proxy.rules_with("10.96.7.7 . udp . 80 : 10.244.0.5 . 8080").await;
    let Told::Flows(targets) = proxy.next().await else {
        panic!("flows are forgotten next")
    };
    let service = "10.96.7.7:80".parse().unwrap();
    assert_eq!(targets.services[&service].len(), 1);
    Api::<Service>::namespaced(proxy.client.clone(), "default")
        .delete("web", &Default::default())
        .await
        .unwrap();
    proxy.rules_with("delete element").await;
    let Told::Flows(targets) = proxy.next().await else {
        panic!("flows are forgotten next")
    };
    assert!(
        targets.services[&service].is_empty(),
        "a Service that is gone leads nowhere"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_update_is_followed_by_the_whole_table() {
    let mut proxy = start().await;
    proxy.rules_with("delete table ip6 kube-proxy").await;
    proxy.refuse.store(true, std::sync::atomic::Ordering::Relaxed);
    proxy.create("TCP").await;
    let again = proxy.rules_with("10.96.7.7 . tcp . 80").await;
    assert!(again.contains("delete table ip kube-proxy"), "{again}");
}
