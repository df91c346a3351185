//! The main job: the example application, from `apply` to `delete`, with every kubectl command that
//! a person uses on the way.

use std::collections::BTreeSet;

use e2e::{http, kubectl::Namespace, leftovers, wait};

const MANIFEST: &str = include_str!("../../../manifests/examples/web.yaml");

/// Applies the example and waits until its three pods are Ready.
fn deploy(ns: &Namespace<'_>) {
    ns.apply(MANIFEST);
    rolled_out(ns);
}

fn rolled_out(ns: &Namespace<'_>) {
    ns.kubectl(&["rollout", "status", "deployment/web", "--timeout=120s"]);
}

fn pod_names(ns: &Namespace<'_>) -> BTreeSet<String> {
    let pods = ns.get(&["pods", "-l", "app=web"]);
    let items = pods["items"].as_array().expect("a list has items");
    items
        .iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .map(|pod| pod["metadata"]["name"].as_str().expect("a pod has a name").to_owned())
        .collect()
}

/// Asks until every pod has answered, so that a Service shows its balance.
fn answered_by_all(ns: &Namespace<'_>, what: &str, mut ask: impl FnMut() -> Result<String, String>) {
    let expected = pod_names(ns);
    let mut seen = BTreeSet::new();
    wait::until(what, || {
        seen.insert(ask()?.trim().to_owned());
        if expected.is_subset(&seen) {
            Ok(())
        } else {
            Err(format!("of {expected:?} only {seen:?} answered"))
        }
    });
}

#[test]
fn deployment_and_service_serve_from_node_and_pod() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("serve");
    deploy(&ns);

    let pods = ns.get(&["pods", "-l", "app=web"]);
    let pods = pods["items"].as_array().expect("a list has items");
    assert_eq!(pods.len(), 3);
    for pod in pods {
        assert_eq!(pod["status"]["phase"], "Running");
        assert!(
            pod["status"]["podIP"]
                .as_str()
                .is_some_and(|ip| ip.starts_with("10.244.")),
            "{}",
            pod["status"]
        );
        assert_eq!(pod["status"]["containerStatuses"][0]["ready"], true);
        assert_eq!(pod["status"]["qosClass"], "Burstable");
    }

    let service = ns.get(&["service", "web"]);
    let cluster_ip = service["spec"]["clusterIP"].as_str().expect("a cluster IP");
    let node_port = service["spec"]["ports"][0]["nodePort"].as_u64().expect("a node port");
    let cluster_address = format!("{cluster_ip}:80").parse().expect("an address");
    let node_address = format!("10.88.0.1:{node_port}").parse().expect("an address");
    answered_by_all(&ns, "ClusterIP from the node", || {
        http::get(cluster_address, "/hostname")
    });
    answered_by_all(&ns, "NodePort from the node", || http::get(node_address, "/hostname"));

    let inside = pod_names(&ns).pop_first().expect("three pods");
    let url = format!("http://{cluster_ip}/hostname");
    answered_by_all(&ns, "ClusterIP from a pod", || {
        let output = ns.try_kubectl(&["exec", &inside, "--", "/bin/get", &url], None);
        if output.code == 0 {
            Ok(output.stdout)
        } else {
            Err(output.stderr)
        }
    });
}

#[test]
fn configuration_reaches_the_container() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("config");
    deploy(&ns);
    let env = ns.kubectl(&["exec", "deployment/web", "--", "/bin/env"]);
    assert!(env.contains("GREETING=hello\n"), "{env}");
    assert!(env.contains("TOKEN=not-a-real-secret\n"), "{env}");
    assert!(env.contains("POD_IP=10.244."), "{env}");
    assert!(env.contains("KUBERNETES_SERVICE_HOST=10.96.0.1\n"), "{env}");
    assert_eq!(
        ns.kubectl(&["exec", "deployment/web", "--", "/bin/cat", "/pages/page.txt"]),
        "served from a ConfigMap\n"
    );
    let token = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    assert_eq!(
        ns.kubectl(&["exec", "deployment/web", "--", "/bin/cat", token]),
        ns.name()
    );
}

#[test]
fn logs_exec_describe_and_wide_output_work() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("look");
    deploy(&ns);
    let pod = pod_names(&ns).pop_first().expect("three pods");
    assert!(ns.kubectl(&["logs", &pod]).contains("serves on port 8080"));
    assert!(
        ns.kubectl(&["logs", &pod, "--tail=1", "--timestamps"])
            .starts_with("20")
    );
    assert_eq!(
        ns.kubectl(&["exec", &pod, "--", "/bin/echo", "one", "two"]),
        "one two\n"
    );
    let echoed = ns.try_kubectl(&["exec", "-i", &pod, "--", "/bin/cat"], Some("through stdin"));
    assert_eq!(
        (echoed.code, echoed.stdout.as_str()),
        (0, "through stdin"),
        "{}",
        echoed.stderr
    );
    let failed = ns.try_kubectl(&["exec", &pod, "--", "/bin/exit", "7"], None);
    assert_eq!(failed.code, 7, "{}", failed.stderr);

    let described = ns.kubectl(&["describe", "pod", &pod]);
    for part in [
        "Scheduled",
        "Pulled",
        "Created",
        "Started",
        "Successfully assigned",
        "QoS Class:",
    ] {
        assert!(described.contains(part), "describe has no {part:?}:\n{described}");
    }
    assert!(
        ns.kubectl(&["describe", "deployment", "web"])
            .contains("ScalingReplicaSet")
    );
    assert!(ns.kubectl(&["describe", "service", "web"]).contains("Endpoints:"));
    let wide = ns.kubectl(&["get", "pods", "-o", "wide"]);
    assert!(
        wide.starts_with("NAME") && wide.contains("10.244.") && wide.contains("1/1"),
        "{wide}"
    );
    let deployment = ns.kubectl(&["get", "deployment", "web"]);
    assert!(
        deployment.contains("UP-TO-DATE") && deployment.contains("3/3"),
        "{deployment}"
    );
}

#[test]
fn scale_follows_the_number() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("scale");
    deploy(&ns);
    for replicas in ["1", "4"] {
        ns.kubectl(&["scale", "deployment/web", "--replicas", replicas]);
        rolled_out(&ns);
        wait::until("the pods", || {
            let pods = pod_names(&ns);
            if pods.len().to_string() == replicas {
                Ok(())
            } else {
                Err(format!("{pods:?}"))
            }
        });
    }
}

#[test]
fn rollouts_go_forward_and_back() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("rollout");
    deploy(&ns);
    let image = |ns: &Namespace<'_>| {
        ns.kubectl(&[
            "get",
            "deployment",
            "web",
            "-o",
            "jsonpath={.spec.template.spec.containers[0].image}",
        ])
    };
    let before = pod_names(&ns);
    ns.kubectl(&["rollout", "restart", "deployment/web"]);
    rolled_out(&ns);
    assert!(
        before.is_disjoint(&pod_names(&ns)),
        "rollout restart replaces every pod"
    );

    ns.kubectl(&["set", "image", "deployment/web", "web=docker.io/corten/web:2"]);
    rolled_out(&ns);
    assert_eq!(image(&ns), "docker.io/corten/web:2");
    ns.kubectl(&["rollout", "undo", "deployment/web"]);
    rolled_out(&ns);
    assert_eq!(image(&ns), "docker.io/corten/web:1");
    let history = ns.kubectl(&["rollout", "history", "deployment/web"]);
    assert!(history.contains("REVISION"), "{history}");
}

#[test]
fn metadata_edits_and_a_second_apply_change_only_what_they_say() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("edit");
    deploy(&ns);
    let version = |ns: &Namespace<'_>| ns.get(&["service", "web"])["metadata"]["resourceVersion"].clone();
    let before = version(&ns);
    let again = ns.apply(MANIFEST);
    assert!(again.lines().all(|line| line.ends_with("unchanged")), "{again}");
    assert_eq!(version(&ns), before, "an apply that changes nothing writes nothing");

    ns.kubectl(&["label", "service", "web", "tier=front"]);
    ns.kubectl(&["annotate", "service", "web", "note=seen"]);
    ns.kubectl(&[
        "patch",
        "service",
        "web",
        "-p",
        r#"{"metadata":{"labels":{"patched":"strategic"}}}"#,
    ]);
    ns.kubectl(&[
        "patch",
        "service",
        "web",
        "--type=merge",
        "-p",
        r#"{"metadata":{"labels":{"merged":"yes"}}}"#,
    ]);
    let operation = r#"[{"op":"add","path":"/metadata/labels/json","value":"yes"}]"#;
    ns.kubectl(&["patch", "service", "web", "--type=json", "-p", operation]);
    let labels = ns.get(&["service", "web"])["metadata"]["labels"].clone();
    assert_eq!(
        labels,
        serde_json::json!({"tier": "front", "patched": "strategic", "merged": "yes", "json": "yes"})
    );
    ns.kubectl(&["label", "service", "web", "tier-"]);
    assert!(ns.get(&["service", "web"])["metadata"]["labels"]["tier"].is_null());
}

#[test]
fn deleting_leaves_nothing_behind() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("delete");
    deploy(&ns);
    let pods = ns.get(&["pods"]);
    let uids: Vec<String> = pods["items"]
        .as_array()
        .expect("a list has items")
        .iter()
        .map(|pod| pod["metadata"]["uid"].as_str().expect("a uid").to_owned())
        .collect();
    ns.try_kubectl(&["delete", "-f", "-", "--timeout=120s"], Some(MANIFEST));
    let name = ns.name().to_owned();
    ns.delete();
    wait::until("nothing to be left", || {
        let left = leftovers::of_namespace(cluster, &name, &uids);
        if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
    });
}
