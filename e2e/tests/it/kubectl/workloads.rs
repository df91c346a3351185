//! run, expose, autoscale, scale, set; taint, cordon and drain of the node.

use e2e::wait;

use super::{field, has_all, ready_deployment, refused, rolled_out, says};

#[test]
fn a_deployment_is_exposed_autoscaled_and_scaled() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("expose");
    ready_deployment(&ns);
    let exposed = ns.kubectl(&[
        "expose",
        "deployment",
        "web",
        "--port=80",
        "--target-port=http",
        "--type=NodePort",
    ]);
    assert_eq!(exposed, "service/web exposed\n");
    assert_eq!(field(&ns, "service/web", ".spec.selector.app"), "web");
    let scaled = ns.kubectl(&[
        "autoscale",
        "deployment",
        "web",
        "--min=2",
        "--max=5",
        "--cpu-percent=50",
    ]);
    assert_eq!(scaled, "horizontalpodautoscaler.autoscaling/web autoscaled\n");
    has_all(&ns.kubectl(&["get", "hpa", "web"]), &["Deployment/web", "2", "5"]);
    assert_eq!(
        field(
            &ns,
            "horizontalpodautoscalers.v2.autoscaling/web",
            ".spec.metrics[0].resource.target.averageUtilization"
        ),
        "50"
    );
    let guarded = ns.try_kubectl(
        &["scale", "deployment/web", "--current-replicas=7", "--replicas=1"],
        None,
    );
    refused(&guarded, "Expected replicas to be 7, was 2");
    ns.kubectl(&["scale", "deployment/web", "--replicas=1"]);
    says(&ns, &["get", "deployment", "web"], &["1/1"]);
}

#[test]
fn set_changes_templates_and_subjects() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("set");
    ready_deployment(&ns);
    ns.kubectl(&["expose", "deployment", "web", "--port=80", "--target-port=http"]);
    let template = ".spec.template.spec.containers[0]";
    let get = |path: &str| field(&ns, "deployment/web", &format!("{template}{path}"));
    ns.kubectl(&["set", "image", "deployment/web", "web=docker.io/corten/web:2"]);
    assert_eq!(get(".image"), "docker.io/corten/web:2");
    ns.kubectl(&["set", "env", "deployment/web", "COLOR=red"]);
    assert_eq!(get(".env"), r#"[{"name":"COLOR","value":"red"}]"#);
    ns.kubectl(&["set", "env", "deployment/web", "COLOR-"]);
    assert_eq!(get(".env"), "");
    ns.kubectl(&["set", "resources", "deployment/web", "--requests=cpu=10m,memory=8Mi"]);
    assert_eq!(get(".resources.requests"), r#"{"cpu":"10m","memory":"8Mi"}"#);
    ns.kubectl(&["create", "serviceaccount", "robot"]);
    ns.kubectl(&["set", "serviceaccount", "deployment", "web", "robot"]);
    assert_eq!(
        field(&ns, "deployment/web", ".spec.template.spec.serviceAccountName"),
        "robot"
    );
    ns.kubectl(&["set", "selector", "service", "web", "app=other"]);
    assert_eq!(field(&ns, "service/web", ".spec.selector"), r#"{"app":"other"}"#);
    ns.kubectl(&["create", "role", "r", "--verb=get", "--resource=pods"]);
    ns.kubectl(&["create", "rolebinding", "rb", "--role=r", "--user=one"]);
    ns.kubectl(&["set", "subject", "rolebinding", "rb", "--user=two"]);
    assert_eq!(field(&ns, "rolebinding/rb", ".subjects[*].name"), "one two");
    rolled_out(&ns);
}

#[test]
fn a_drained_node_is_left_and_taken_again() {
    let (cluster, _gate) = crate::alone();
    let ns = cluster.namespace("drain");
    ready_deployment(&ns);
    let node = cluster.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
    let unschedulable = || cluster.kubectl(&["get", "node", &node, "-o", "jsonpath={.spec.unschedulable}"]);
    assert_eq!(
        cluster.kubectl(&["taint", "node", &node, "e2e=yes:PreferNoSchedule"]),
        format!("node/{node} tainted\n")
    );
    has_all(
        &cluster.kubectl(&["describe", "node", &node]),
        &["e2e=yes:PreferNoSchedule"],
    );
    assert_eq!(
        cluster.kubectl(&["taint", "node", &node, "e2e-"]),
        format!("node/{node} untainted\n")
    );
    assert_eq!(cluster.kubectl(&["cordon", &node]), format!("node/{node} cordoned\n"));
    has_all(&cluster.kubectl(&["get", "nodes"]), &["Ready,SchedulingDisabled"]);
    assert_eq!(
        cluster.kubectl(&["uncordon", &node]),
        format!("node/{node} uncordoned\n")
    );
    assert_eq!(unschedulable(), "");

    let before = ns.kubectl(&["get", "pods", "-o", "name"]);
    let drained = cluster.kubectl(&[
        "drain",
        &node,
        "--pod-selector=app=web",
        "--ignore-daemonsets",
        "--timeout=120s",
    ]);
    for pod in before.lines() {
        let name = pod.trim_start_matches("pod/");
        has_all(&drained, &[&format!("pod/{name} evicted")]);
    }
    assert_eq!(unschedulable(), "true");
    let pending = ns.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"]);
    assert_eq!(pending, "", "nothing new comes to a cordoned node");
    cluster.kubectl(&["uncordon", &node]);
    rolled_out(&ns);

    // A budget that allows no loss holds a drain up.
    ns.kubectl(&["create", "pdb", "web", "--selector=app=web", "--min-available=2"]);
    let args = [
        "drain",
        &node,
        "--pod-selector=app=web",
        "--ignore-daemonsets",
        "--timeout=3s",
    ];
    let held = cluster.try_kubectl(&args, None);
    cluster.kubectl(&["uncordon", &node]);
    refused(
        &held,
        "Cannot evict pod as it would violate the pod's disruption budget",
    );
    ns.kubectl(&["delete", "pdb", "web"]);
    wait::until("both pods", || {
        match field(&ns, "deployment/web", ".status.readyReplicas").as_str() {
            "2" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
}
