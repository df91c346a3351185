//! The example application once more, with Debian's etcd (3.4) as the store, given by
//! `--etcd-servers`: it has no progress requests, so consistent reads must fall back and not fail.

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use e2e::cluster::{self, Cluster, Sharing};

#[path = "../it/web_app.rs"]
mod web_app;

const URL: &str = "http://127.0.0.1:23790";
const OPTIONS: &[&str] = &["--etcd-servers", URL];
const PID: &str = "/var/lib/corten-e2e-etcd.pid";
const DATA: &str = "/var/lib/corten-e2e-etcd";

fn shared() -> (&'static Cluster, Sharing<'static>) {
    prepare();
    cluster::shared(OPTIONS)
}

/// Stops the cluster of the suite before this one and starts an etcd. It outlives this process, as
/// the cluster does; `hack/test.sh` ends both.
fn prepare() {
    static ETCD: OnceLock<Child> = OnceLock::new();
    ETCD.get_or_init(|| {
        cluster::down_and_forget(&cluster::state_dir());
        fs::remove_dir_all(DATA).ok();
        let etcd = Command::new("etcd")
            .args([
                "--data-dir",
                DATA,
                "--listen-client-urls",
                URL,
                "--advertise-client-urls",
                URL,
            ])
            .args(["--listen-peer-urls", "http://127.0.0.1:23800", "--log-level", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("etcd: {error}; to install it: apt-get install etcd-server"));
        fs::write(PID, etcd.id().to_string()).expect("writing the pid file");
        etcd
    });
}
