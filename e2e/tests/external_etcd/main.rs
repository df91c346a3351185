//! The main flow with Debian's etcd (3.4) as the store, started with `--etcd-servers`: it has no
//! progress requests, so consistent reads must fall back and not fail.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use e2e::{cluster, http, wait};

const URL: &str = "http://127.0.0.1:23790";
const MANIFEST: &str = include_str!("../../../manifests/examples/web.yaml");

/// An etcd of our own, ended with the test.
struct Etcd(Child);

impl Etcd {
    fn start() -> Self {
        let dir = "/var/lib/corten-e2e-etcd";
        fs::remove_dir_all(dir).ok();
        let child = Command::new("etcd")
            .args([
                "--data-dir",
                dir,
                "--listen-client-urls",
                URL,
                "--advertise-client-urls",
                URL,
            ])
            .args(["--listen-peer-urls", "http://127.0.0.1:23800", "--log-level", "error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("etcd: {error}; to install it: apt-get install etcd-server"));
        Self(child)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // Both fail only when the process has already ended.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn example_application_runs_on_real_etcd() {
    // One cluster at a time: the suite before this one leaves its own running.
    cluster::down_and_forget(&cluster::state_dir());
    let etcd = Etcd::start();
    let (cluster, _gate) = cluster::alone(&["--etcd-servers", URL]);
    let ns = cluster.namespace("etcd");
    ns.apply(MANIFEST);
    ns.kubectl(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    let service = ns.get(&["service", "web"]);
    let address = format!("{}:80", service["spec"]["clusterIP"].as_str().expect("a cluster IP"));
    let address = address.parse().expect("an address");
    wait::until("the Service", || http::get(address, "/"));
    ns.kubectl(&["scale", "deployment/web", "--replicas=1"]);
    ns.kubectl(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    assert!(
        cluster
            .keys("/registry/deployments/")
            .iter()
            .any(|key| key.contains(ns.name()))
    );
    ns.delete();
    cluster::down_and_forget(&cluster::state_dir());
    drop(etcd);
}
