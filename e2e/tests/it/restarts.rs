//! `kill -9` of every component in turn while traffic flows: what was acknowledged is there, the
//! containers run on, the cluster converges.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use e2e::{http, kubectl::Namespace, wait};

const COMPONENTS: [&str; 6] = [
    "etcd-shim",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
];
const MANIFEST: &str = include_str!("../../../manifests/examples/web.yaml");

/// Container ids with their restart counts, by pod.
fn containers(ns: &Namespace<'_>) -> BTreeMap<String, (String, u64)> {
    let pods = ns.get(&["pods", "-l", "app=web"]);
    let items = pods["items"].as_array().expect("a list has items");
    items
        .iter()
        .map(|pod| {
            let status = &pod["status"]["containerStatuses"][0];
            let id = status["containerID"]
                .as_str()
                .expect("a running container has an id")
                .to_owned();
            let restarts = status["restartCount"].as_u64().expect("a count");
            (
                pod["metadata"]["name"].as_str().expect("a name").to_owned(),
                (id, restarts),
            )
        })
        .collect()
}

#[test]
fn kill_of_each_component_loses_nothing() {
    let (cluster, _gate) = crate::alone();
    let ns = cluster.namespace("kill");
    ns.apply(MANIFEST);
    ns.kubectl(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    let before = containers(&ns);
    let service = ns.get(&["service", "web"]);
    let cluster_ip = service["spec"]["clusterIP"].as_str().expect("a cluster IP");
    let address: SocketAddr = format!("{cluster_ip}:80").parse().expect("an address");
    wait::until("the Service", || http::get(address, "/"));

    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failures = thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let mut failures = Vec::new();
            while !done.load(Ordering::Relaxed) {
                asked.fetch_add(1, Ordering::Relaxed);
                failures.extend(http::get(address, "/").err());
            }
            failures
        });
        for (round, component) in COMPONENTS.into_iter().enumerate() {
            let name = format!("acknowledged-{round}");
            ns.kubectl(&[
                "create",
                "configmap",
                &name,
                "--from-literal",
                &format!("round={round}"),
            ]);
            cluster.kill(component);
            cluster.start_missing();
            for earlier in 0..=round {
                let stored = ns.get(&["configmap", &format!("acknowledged-{earlier}")]);
                assert_eq!(
                    stored["data"]["round"],
                    earlier.to_string(),
                    "after the end of {component}"
                );
            }
        }
        done.store(true, Ordering::Relaxed);
        traffic.join().expect("the traffic thread does not panic")
    });
    assert!(asked.load(Ordering::Relaxed) > 0);
    assert!(
        failures.is_empty(),
        "{} of {} requests failed: {:?}",
        failures.len(),
        asked.into_inner(),
        failures.first()
    );
    assert_eq!(containers(&ns), before, "no container was restarted");

    // It still converges: a change goes all the way through.
    ns.kubectl(&["scale", "deployment/web", "--replicas=5"]);
    ns.kubectl(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    assert_eq!(containers(&ns).len(), 5);
}
