//! A file in the kubelet's manifest directory is a pod; its mirror shows in the API.

use std::fs;

use e2e::wait;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: static-web
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: web
      image: docker.io/corten/web:1
      args: [serve]
";

#[test]
fn file_runs_as_mirror_pod_and_stops_when_removed() {
    let (cluster, _gate) = crate::shared();
    let path = cluster.state().join("manifests/static-web.yaml");
    fs::write(&path, POD).expect("writing the manifest");
    let pods = || {
        let names = cluster.kubectl(&["get", "pods", "-n", "default", "-o", "name"]);
        names
            .lines()
            .find(|name| name.starts_with("pod/static-web-"))
            .map(str::to_owned)
    };
    let pod = wait::until("the mirror pod", || pods().ok_or_else(|| "no mirror pod".to_owned()));
    cluster.kubectl(&["wait", "-n", "default", "--for=condition=Ready", &pod, "--timeout=120s"]);
    let annotations = cluster.kubectl(&["get", "-n", "default", &pod, "-o", "jsonpath={.metadata.annotations}"]);
    assert!(
        annotations.contains("\"kubernetes.io/config.source\":\"file\""),
        "{annotations}"
    );
    assert!(annotations.contains("kubernetes.io/config.mirror"), "{annotations}");

    fs::remove_file(&path).expect("removing the manifest");
    wait::until("the mirror pod to go", || pods().map_or(Ok(()), Err));
    let name = pod.strip_prefix("pod/").expect("kubectl -o name prints the kind");
    wait::until("the container to go", || {
        let left = cluster.containers("io.kubernetes.pod.name", name);
        if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
    });
}
