//! Bringing the one cluster of a test process up, and killing its parts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// The script that everything starts with.
const SCRIPT: &str = "hack/local-up-cluster.sh";

/// A running cluster: its state directory, and the options that brought it up.
#[derive(Debug)]
pub struct Cluster {
    state: PathBuf,
    options: Vec<String>,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
/// Tests that only use the cluster share it; a test that breaks it has it alone.
static GATE: RwLock<()> = RwLock::new(());

/// How a test has the cluster; it ends with the value.
#[derive(Debug)]
pub enum Sharing<'a> {
    /// With other tests.
    Shared(RwLockReadGuard<'a, ()>),
    /// Without.
    Alone(RwLockWriteGuard<'a, ()>),
}

/// The cluster, shared with other tests for as long as the guard lives.
///
/// # Panics
/// When it does not come up: the script's last lines are in the message.
pub fn shared(options: &[&str]) -> (&'static Cluster, Sharing<'static>) {
    let guard = GATE.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    (CLUSTER.get_or_init(|| Cluster::up(options)), Sharing::Shared(guard))
}

/// The cluster, with no other test using it for as long as the guard lives.
///
/// # Panics
/// As [`shared`].
pub fn alone(options: &[&str]) -> (&'static Cluster, Sharing<'static>) {
    let guard = GATE.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    (CLUSTER.get_or_init(|| Cluster::up(options)), Sharing::Alone(guard))
}

impl Cluster {
    fn up(options: &[&str]) -> Self {
        let state = state_dir();
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let cluster = Self { state, options };
        cluster.start_missing();
        cluster
    }

    /// Runs the script again: whatever has died is started, the rest is left alone.
    ///
    /// # Panics
    /// When the cluster does not become Ready.
    pub fn start_missing(&self) {
        let mut args = vec!["--detach", "--isolated", "--no-build"];
        args.extend(self.options.iter().map(String::as_str));
        script(&self.state, &args);
    }

    /// The state directory.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The kubeconfig of a member of `system:masters`.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.state.join("admin.kubeconfig")
    }

    /// The process of a component.
    ///
    /// # Panics
    /// When there is no pid file.
    pub fn pid(&self, component: &str) -> u32 {
        let path = self.state.join("pids").join(format!("{component}.pid"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.trim().parse().expect("a pid file holds a number")
    }

    /// Sends SIGKILL to a component and waits until the process is gone.
    pub fn kill(&self, component: &str) {
        let pid = self.pid(component);
        let killed = Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status()
            .expect("running kill");
        assert!(killed.success(), "{component} (pid {pid}) was not running");
        crate::wait::until(&format!("the end of {component}"), || {
            // A zombie of ours has an empty command line.
            fs::read(format!("/proc/{pid}/cmdline")).map_or(Ok(()), |line| {
                if line.is_empty() {
                    Ok(())
                } else {
                    Err("still there".to_owned())
                }
            })
        });
    }

    /// Containers and sandboxes of the cluster's containerd that carry a label, such as
    /// `io.kubernetes.pod.namespace`.
    pub fn containers(&self, label: &str, value: &str) -> Vec<String> {
        let socket = self.state.join("containerd/containerd.sock");
        let filter = format!("labels.{label:?}=={value}");
        let mut ctr = Command::new("ctr");
        ctr.arg("-a")
            .arg(socket)
            .args(["-n", "k8s.io", "containers", "list", "-q", &filter]);
        let output = command_output(&mut ctr, "apt-get install containerd");
        assert!(
            output.status.success(),
            "ctr: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Keys of the store below a prefix, read with `etcdctl`.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let pki = self.state.join("pki");
        let endpoint = self.options.iter().find(|option| option.starts_with("http")).cloned();
        let mut command = Command::new("etcdctl");
        command
            .env("ETCDCTL_API", "3")
            .args(["get", "--prefix", "--keys-only", prefix]);
        match endpoint {
            Some(url) => command.args(["--endpoints", &url]),
            None => command
                .args(["--endpoints", "https://127.0.0.1:2379", "--cacert"])
                .arg(pki.join("etcd/ca.crt"))
                .arg("--cert")
                .arg(pki.join("etcd/healthcheck-client.crt"))
                .arg("--key")
                .arg(pki.join("etcd/healthcheck-client.key")),
        };
        let output = command_output(&mut command, "apt-get install etcd-client");
        assert!(
            output.status.success(),
            "etcdctl: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// Stops the cluster of a state directory and forgets it.
pub fn down_and_forget(state: &Path) {
    script(state, &["--down", "--clean"]);
}

/// Where the suites keep their clusters; one cluster at a time.
pub fn state_dir() -> PathBuf {
    // Short: a Unix socket's path has at most 107 bytes.
    std::env::var_os("CORTEN_E2E_STATE").map_or_else(|| PathBuf::from("/var/lib/corten-e2e"), PathBuf::from)
}

fn script(state: &Path, args: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("e2e is a folder of the tree");
    let profile = std::env::var("CORTEN_PROFILE").unwrap_or_else(|_| "dev".to_owned());
    let mut command = Command::new(root.join(SCRIPT));
    command.args(["--profile", &profile, "--state"]).arg(state).args(args);
    let output = command_output(&mut command, "run hack/test.sh");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{SCRIPT} {args:?} failed\n{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

pub(crate) fn command_output(command: &mut Command, install: &str) -> std::process::Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{:?}: {error}; to install it: {install}", command.get_program()))
}
