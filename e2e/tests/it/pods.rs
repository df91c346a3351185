//! What the kubelet does with a pod's containers, seen from outside.

use e2e::{kubectl::Namespace, wait};
use serde_json::Value;

const IMAGE: &str = "docker.io/corten/web:1";

fn pod(ns: &Namespace<'_>, name: &str) -> Value {
    ns.get(&["pod", name])
}

fn container(ns: &Namespace<'_>, name: &str) -> Value {
    pod(ns, name)["status"]["containerStatuses"][0].clone()
}

#[test]
fn container_that_fails_is_restarted_with_back_off() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("crash");
    ns.kubectl(&["run", "crash", "--image", IMAGE, "--", "exit", "3"]);
    let status = wait::until("the back-off", || {
        let status = container(&ns, "crash");
        let waiting = &status["state"]["waiting"]["reason"];
        if waiting == "CrashLoopBackOff" {
            Ok(status)
        } else {
            Err(status.to_string())
        }
    });
    assert!(status["restartCount"].as_u64() >= Some(1), "{status}");
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(status["lastState"]["terminated"]["reason"], "Error");
    let message = status["state"]["waiting"]["message"].as_str().expect("a message");
    assert!(
        message.starts_with("back-off 10s restarting failed container=crash pod=crash_"),
        "{message}"
    );
    assert_eq!(pod(&ns, "crash")["status"]["phase"], "Running");
}

#[test]
fn restart_policy_decides_the_phase() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("phase");
    for (name, code, phase, reason) in [("good", "0", "Succeeded", "Completed"), ("bad", "1", "Failed", "Error")] {
        ns.kubectl(&["run", name, "--image", IMAGE, "--restart=Never", "--", "exit", code]);
        let condition = format!("--for=jsonpath={{.status.phase}}={phase}");
        ns.kubectl(&["wait", &condition, &format!("pod/{name}"), "--timeout=60s"]);
        let status = container(&ns, name);
        assert_eq!(status["state"]["terminated"]["reason"], reason);
        assert_eq!(status["restartCount"], 0);
        assert_eq!(status["ready"], false);
    }
}

#[test]
fn failing_liveness_restarts_and_failing_readiness_only_hides() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("probes");
    let manifest = |name: &str, probe: &str| {
        format!(
            "apiVersion: v1
kind: Pod
metadata:
  name: {name}
  labels: {{app: {name}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: web
      image: {IMAGE}
      args: [serve]
      {probe}:
        httpGet: {{path: /healthz, port: 8080}}
        periodSeconds: 1
        failureThreshold: 1
"
        )
    };
    ns.apply(&manifest("live", "livenessProbe"));
    ns.apply(&manifest("ready", "readinessProbe"));
    ns.kubectl(&["expose", "pod", "ready", "--port=80", "--target-port=8080"]);
    ns.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "pod/live",
        "pod/ready",
        "--timeout=60s",
    ]);
    for name in ["live", "ready"] {
        ns.kubectl(&["exec", name, "--", "/bin/get", "http://127.0.0.1:8080/fail"]);
    }
    wait::until("the restart", || {
        let status = container(&ns, "live");
        if status["restartCount"] == 1 && status["ready"] == true {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
    ns.kubectl(&["wait", "--for=condition=Ready=false", "pod/ready", "--timeout=60s"]);
    assert_eq!(container(&ns, "ready")["restartCount"], 0);
    wait::until("the endpoint to be hidden", || {
        let slices = ns.get(&["endpointslices", "-l", "kubernetes.io/service-name=ready"]);
        let ready = &slices["items"][0]["endpoints"][0]["conditions"]["ready"];
        if *ready == false {
            Ok(())
        } else {
            Err(slices.to_string())
        }
    });
    let described = ns.kubectl(&["describe", "pod", "live"]);
    assert!(
        described.contains("Liveness probe failed: HTTP probe failed with statuscode: 500"),
        "{described}"
    );
    assert!(
        described.contains("Container web failed liveness probe, will be restarted"),
        "{described}"
    );
}

#[test]
fn init_containers_run_in_order_and_share_volumes() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("init");
    ns.apply(&format!(
        "apiVersion: v1
kind: Pod
metadata:
  name: p
  annotations: {{note: from-the-api}}
spec:
  restartPolicy: Never
  volumes:
    - name: shared
      emptyDir: {{medium: Memory}}
    - name: info
      downwardAPI:
        items:
          - path: note
            fieldRef: {{fieldPath: \"metadata.annotations['note']\"}}
  initContainers:
    - {{name: first, image: {IMAGE}, args: [write, /shared/file, one], volumeMounts: [{{name: shared, mountPath: /shared}}]}}
    - {{name: second, image: {IMAGE}, args: [cat, /shared/file], volumeMounts: [{{name: shared, mountPath: /shared}}]}}
  containers:
    - name: main
      image: {IMAGE}
      command: [/bin/echo]
      args: [\"$(GREETING)\", \"$(POD)\", \"$$(POD)\"]
      env:
        - {{name: POD, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}
        - {{name: GREETING, value: hello-$(POD)}}
    - {{name: note, image: {IMAGE}, args: [cat, /info/note], volumeMounts: [{{name: info, mountPath: /info}}]}}
"
    ));
    ns.kubectl(&[
        "wait",
        "--for=jsonpath={.status.phase}=Succeeded",
        "pod/p",
        "--timeout=60s",
    ]);
    assert_eq!(ns.kubectl(&["logs", "p", "-c", "second"]), "one");
    assert_eq!(ns.kubectl(&["logs", "p", "-c", "main"]), "hello-p p $(POD)\n");
    assert_eq!(ns.kubectl(&["logs", "p", "-c", "note"]), "from-the-api");
    let statuses = pod(&ns, "p")["status"]["initContainerStatuses"].clone();
    let finished = |index: usize| {
        statuses[index]["state"]["terminated"]["finishedAt"]
            .as_str()
            .map(str::to_owned)
    };
    assert!(finished(0).is_some() && finished(0) <= finished(1), "{statuses}");
}

#[test]
fn changed_config_map_reaches_a_running_container() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("refresh");
    ns.kubectl(&["create", "configmap", "c", "--from-literal=key=old"]);
    ns.apply(&format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: p}}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{{name: c, configMap: {{name: c}}}}]
  containers: [{{name: web, image: {IMAGE}, args: [serve], volumeMounts: [{{name: c, mountPath: /c}}]}}]
"
    ));
    ns.kubectl(&["wait", "--for=condition=Ready", "pod/p", "--timeout=60s"]);
    let read = || ns.kubectl(&["exec", "p", "--", "/bin/cat", "/c/key"]);
    assert_eq!(read(), "old");
    ns.kubectl(&["create", "configmap", "c2", "--from-literal=key=unused"]);
    ns.kubectl(&["patch", "configmap", "c", "-p", r#"{"data":{"key":"new"}}"#]);
    wait::until("the new content", || if read() == "new" { Ok(()) } else { Err(read()) });
}

#[test]
fn pod_that_fits_nowhere_is_pending_and_says_why() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("pending");
    ns.apply(&format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: big}}
spec:
  containers: [{{name: web, image: {IMAGE}, resources: {{requests: {{cpu: \"1000\"}}}}}}]
"
    ));
    ns.kubectl(&["wait", "--for=condition=PodScheduled=false", "pod/big", "--timeout=60s"]);
    let condition = pod(&ns, "big")["status"]["conditions"][0].clone();
    assert_eq!(condition["reason"], "Unschedulable");
    let message = condition["message"].as_str().expect("a message");
    assert!(
        message.starts_with("0/1 nodes are available: 1 Insufficient cpu."),
        "{message}"
    );
    wait::until("the event", || {
        let events = ns.kubectl(&["get", "events", "--field-selector", "reason=FailedScheduling"]);
        if events.contains("Insufficient cpu") {
            Ok(())
        } else {
            Err(events)
        }
    });
}
