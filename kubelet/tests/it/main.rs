//! A whole kubelet over a runtime in memory, standalone: what goes into the manifest directory runs,
//! what leaves it stops. The clock is paused: waiting costs nothing.
#![allow(clippy::unwrap_used)]

mod with_api;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kubelet::options::{Options, table};
use kubelet::runtime::Runtime;
use kubelet::runtime::fake::FakeRuntime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A kubelet that runs in this process.
struct Node {
    root: tempfile::TempDir,
    runtime: Arc<FakeRuntime>,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Node {
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("manifests")).unwrap();
        Self::start_at(root, Arc::new(FakeRuntime::default()))
    }

    fn start_at(root: tempfile::TempDir, runtime: Arc<FakeRuntime>) -> Self {
        Self::start_with(root, runtime, None)
    }

    /// With an apiserver, when there is a kubeconfig.
    fn start_with(root: tempfile::TempDir, runtime: Arc<FakeRuntime>, kubeconfig: Option<&Path>) -> Self {
        let path = |name: &str| root.path().join(name).display().to_string();
        let file = format!(
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n\
             enableServer: false\nhealthzPort: 0\nfailCgroupV1: false\nfailSwapOn: false\n\
             staticPodPath: {}\npodLogsDir: {}\n",
            path("manifests"),
            path("logs/pods"),
        );
        std::fs::write(root.path().join("config.yaml"), file).unwrap();
        let mut args = vec![
            format!("--config={}", path("config.yaml")),
            format!("--root-dir={}", path("kubelet")),
            "--hostname-override=n1".to_owned(),
            "--node-ip=127.0.0.1".to_owned(),
        ];
        args.extend(kubeconfig.map(|path| format!("--kubeconfig={}", path.display())));
        let config = Options::from_values(&table().parse(args).unwrap()).validate().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(kubelet::run_with(config, runtime.clone(), false, stop.clone()));
        Self {
            root,
            runtime,
            stop,
            task,
        }
    }

    async fn stop(self) -> (tempfile::TempDir, Arc<FakeRuntime>) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        (self.root, self.runtime)
    }

    fn manifest(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join("manifests").join(name)
    }

    fn count(&self, call: &str) -> usize {
        self.runtime.calls().iter().filter(|c| c.as_str() == call).count()
    }
}

/// Waits, in paused time, until `holds`.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never: {what}");
}

const WEB: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  initContainers: [{name: init, image: i}]
  containers: [{name: a, image: i}, {name: b, image: i}]
  volumes: [{name: v, emptyDir: {}}]
";

fn pod_dirs(root: &Path) -> usize {
    std::fs::read_dir(root.join("kubelet/pods")).unwrap().count()
}

#[tokio::test(start_paused = true)]
async fn manifest_runs_in_order_and_leaves_nothing_when_it_goes() {
    let node = Node::start();
    std::fs::write(node.manifest("web.yaml"), WEB).unwrap();
    eventually("init runs first", async || node.count("start init") == 1).await;
    assert_eq!(node.count("start a"), 0);
    node.runtime.exit("init", 0);
    eventually("containers run", async || {
        node.count("start a") + node.count("start b") == 2
    })
    .await;
    assert_eq!(node.count("run_sandbox web-n1"), 1);
    assert_eq!(pod_dirs(node.root.path()), 1);
    std::fs::remove_file(node.manifest("web.yaml")).unwrap();
    eventually("nothing is left", async || {
        node.runtime.list_containers(None).await.unwrap().is_empty()
            && node.runtime.list_sandboxes(None).await.unwrap().is_empty()
            && pod_dirs(node.root.path()) == 0
    })
    .await;
    assert!(node.count("stop a") >= 1);
}

#[tokio::test(start_paused = true)]
async fn crashing_container_restarts_once_and_then_backs_off() {
    let node = Node::start();
    let crash = WEB.replace("  initContainers: [{name: init, image: i}]\n", "");
    std::fs::write(node.manifest("web.yaml"), crash).unwrap();
    eventually("it runs", async || node.count("start a") == 1).await;
    node.runtime.exit("a", 1);
    eventually("it is restarted", async || node.count("start a") == 2).await;
    node.runtime.exit("a", 1);
    // The back-off counts real seconds; ten minutes of paused time bring no third start.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((node.count("start a"), node.count("start b")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn restart_of_the_kubelet_touches_no_container() {
    let node = Node::start();
    let plain = WEB.replace("  initContainers: [{name: init, image: i}]\n", "");
    std::fs::write(node.manifest("web.yaml"), plain).unwrap();
    eventually("it runs", async || node.count("start a") + node.count("start b") == 2).await;
    let (root, runtime) = node.stop().await;
    let before = runtime.calls();
    let node = Node::start_at(root, runtime);
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(node.runtime.calls(), before);
}

#[tokio::test(start_paused = true)]
async fn pods_removed_while_the_kubelet_was_away_are_stopped() {
    let node = Node::start();
    let plain = WEB.replace("  initContainers: [{name: init, image: i}]\n", "");
    std::fs::write(node.manifest("web.yaml"), plain).unwrap();
    eventually("it runs", async || node.count("start b") == 1).await;
    std::fs::remove_file(node.manifest("web.yaml")).unwrap();
    let (root, runtime) = node.stop().await;
    let node = Node::start_at(root, runtime);
    eventually("nothing is left", async || {
        node.runtime.list_containers(None).await.unwrap().is_empty() && pod_dirs(node.root.path()) == 0
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn image_that_cannot_be_pulled_starts_nothing() {
    let node = Node::start();
    node.runtime.refuse_image("i:latest");
    let plain = WEB.replace("  initContainers: [{name: init, image: i}]\n", "");
    std::fs::write(node.manifest("web.yaml"), plain).unwrap();
    eventually("a pull is tried", async || node.count("pull i:latest") >= 1).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(node.count("create a"), 0);
}
