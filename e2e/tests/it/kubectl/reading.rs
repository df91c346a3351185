//! get, describe, explain, api-resources, api-versions, events, wait.

use e2e::kubectl::Aside;
use serde_json::Value;

use super::{POD, has_all, ready_deployment, ready_pod, refused, says};

#[test]
fn every_served_kind_is_listed_and_explained() {
    let (cluster, _gate) = crate::shared();
    let versions = cluster.kubectl(&["api-versions"]);
    for version in ["v1", "apps/v1", "autoscaling/v2", "rbac.authorization.k8s.io/v1"] {
        assert!(versions.lines().any(|line| line == version), "{versions}");
    }
    let resources = cluster.kubectl(&["api-resources", "--no-headers"]);
    has_all(&resources, &["deploy ", "netpol ", "pvc ", "HorizontalPodAutoscaler"]);
    for line in resources.lines() {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a resource has a name");
        let [kind, _namespaced, version]: [&str; 3] = words
            .rev()
            .take(3)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_else(|_| panic!("{line:?} has too few columns"));
        let explained = cluster.kubectl(&["explain", name, "--api-version", version]);
        has_all(
            &explained,
            &[&format!("KIND:       {kind}\n"), "DESCRIPTION:", "FIELDS:"],
        );
        assert!(!explained.contains("<empty>"), "{explained}");
    }
}

#[test]
fn nested_fields_are_explained_and_unknown_ones_refused() {
    let (cluster, _gate) = crate::shared();
    let cases = [
        (
            "pod.spec.containers.livenessProbe.httpGet.port",
            "FIELD: port <IntOrString>",
        ),
        (
            "deployment.spec.strategy.rollingUpdate.maxSurge",
            "FIELD: maxSurge <IntOrString>",
        ),
        ("networkpolicy.spec.ingress.from.ipBlock", "cidr\t<string> -required-"),
        (
            "hpa.spec.behavior.scaleDown.policies",
            "periodSeconds\t<integer> -required-",
        ),
        ("configmap.metadata", "Standard object's metadata"),
        ("pod.spec.dnsPolicy", "ENUM:"),
    ];
    for (path, part) in cases {
        has_all(&cluster.kubectl(&["explain", path]), &[part]);
    }
    let all = cluster.kubectl(&["explain", "cronjob", "--recursive"]);
    has_all(
        &all,
        &[
            "jobTemplate\t<JobTemplateSpec>",
            "matchExpressions\t<[]LabelSelectorRequirement>",
        ],
    );
    let unknown = cluster.try_kubectl(&["explain", "pod.spec.nope"], None);
    refused(&unknown, "field \"nope\" does not exist");
}

#[test]
fn get_prints_in_every_form_and_selects() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("get");
    ready_pod(&ns);
    ns.kubectl(&["create", "configmap", "other"]);
    let table = ns.kubectl(&["get", "pods"]);
    assert!(
        table.starts_with("NAME   READY   STATUS    RESTARTS   AGE\nweb    1/1     Running   0"),
        "{table}"
    );
    let wide = ns.kubectl(&["get", "pod", "web", "-o", "wide", "--show-labels", "-L", "app"]);
    has_all(
        &wide,
        &["NOMINATED NODE", "READINESS GATES", "10.244.", "app=web", "APP"],
    );
    let cases: [(&[&str], &str); 7] = [
        (&["-o", "name"], "pod/web\n"),
        (
            &["-o", "jsonpath={.items[*].spec.containers[0].image}"],
            "docker.io/corten/web:1",
        ),
        (&["-o", "go-template={{range .items}}{{.metadata.name}}{{end}}"], "web"),
        (
            &["-o", "custom-columns=N:.metadata.name,P:.status.phase"],
            "N     P\nweb   Running\n",
        ),
        (&["-l", "app in (web, other),missing!=x", "-o", "name"], "pod/web\n"),
        (
            &[
                "--field-selector",
                "status.phase=Running,metadata.name=web",
                "-o",
                "name",
            ],
            "pod/web\n",
        ),
        (&["--field-selector", "status.phase!=Running", "-o", "name"], ""),
    ];
    for (args, wanted) in cases {
        let args = [&["get", "pods"], args].concat();
        assert_eq!(ns.kubectl(&args), wanted, "{args:?}");
    }
    let yaml = ns.kubectl(&["get", "pod", "web", "-o", "yaml"]);
    has_all(&yaml, &["apiVersion: v1\nkind: Pod\n", "  qosClass: BestEffort\n"]);
    let sorted = ns.kubectl(&["get", "configmaps", "--sort-by=.metadata.name", "-o", "name"]);
    assert_eq!(sorted, "configmap/kube-root-ca.crt\nconfigmap/other\n");
    let several = ns.kubectl(&["get", "pod/web", "configmap/other", "-o", "name"]);
    assert_eq!(several, "pod/web\nconfigmap/other\n");
    let everywhere = cluster.kubectl(&["get", "pods", "--all-namespaces"]);
    assert!(
        everywhere.starts_with("NAMESPACE ") && everywhere.contains(ns.name()),
        "{everywhere}"
    );
    let missing = ns.try_kubectl(&["get", "pod", "nobody"], None);
    refused(&missing, "Error from server (NotFound): pods \"nobody\" not found");
    let unknown = ns.try_kubectl(&["get", "nonsense"], None);
    refused(&unknown, "the server doesn't have a resource type \"nonsense\"");
}

#[test]
fn raw_requests_reach_every_path() {
    let (cluster, _gate) = crate::shared();
    assert_eq!(cluster.kubectl(&["get", "--raw", "/readyz"]), "ok");
    let version: Value = serde_json::from_str(&cluster.kubectl(&["get", "--raw", "/version"])).expect("JSON");
    assert_eq!(version["minor"], "36");
    let ns = cluster.namespace("raw");
    let collection = format!("/api/v1/namespaces/{}/configmaps", ns.name());
    let body = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"raw"},"data":{"a":"b"}}"#;
    let created = cluster.try_kubectl(&["create", "--raw", &collection, "-f", "-"], Some(body));
    assert_eq!(created.code, 0, "{}", created.stderr);
    let read = cluster.kubectl(&["get", "--raw", &format!("{collection}/raw")]);
    let read: Value = serde_json::from_str(&read).expect("JSON");
    assert_eq!(read["data"]["a"], "b");
    cluster.kubectl(&["delete", "--raw", &format!("{collection}/raw")]);
    let gone = cluster.try_kubectl(&["get", "--raw", &format!("{collection}/raw")], None);
    refused(&gone, "NotFound");
}

#[test]
fn get_watch_tells_what_happens() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("watch");
    let args = [
        "get",
        "configmaps",
        "-w",
        "--output-watch-events",
        "--no-headers",
        "-l",
        "watched",
    ];
    let mut watch = Aside::start(ns.command(&args));
    ns.kubectl(&["create", "configmap", "one"]);
    ns.kubectl(&["label", "configmap", "one", "watched=yes"]);
    let mut next = || watch.line().expect("the watch goes on");
    has_all(&next(), &["ADDED", "one"]);
    ns.kubectl(&["patch", "configmap", "one", "-p", r#"{"data":{"a":"b"}}"#]);
    has_all(&next(), &["MODIFIED", "one"]);
    ns.kubectl(&["delete", "configmap", "one"]);
    has_all(&next(), &["DELETED", "one"]);
}

#[test]
fn describe_tells_of_an_object_and_what_belongs_to_it() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("describe");
    ready_deployment(&ns);
    ns.kubectl(&["expose", "deployment", "web", "--port=80", "--target-port=http"]);
    ns.kubectl(&["create", "configmap", "settings", "--from-literal=key=value"]);
    ns.kubectl(&["create", "secret", "generic", "hidden", "--from-literal=word=12345"]);
    ns.kubectl(&["create", "quota", "few", "--hard=configmaps=10"]);
    let node = cluster.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
    let cases: [(&[&str], &[&str]); 9] = [
        (
            &["pods", "-l", "app=web", "--show-events"],
            &[
                "Controlled By:  ReplicaSet/web-",
                "Ready                       True",
                "Successfully assigned",
                "Started",
            ],
        ),
        (
            &["deployment", "web"],
            &["2 desired | 2 updated | 2 total | 2 available", "NewReplicaSet:   web-"],
        ),
        (
            &["replicaset", "-l", "app=web", "--show-events"],
            &["Controlled By:  Deployment/web", "SuccessfulCreate"],
        ),
        (&["service", "web"], &["Selector:", "app=web", "Endpoints:", "10.244."]),
        (&["configmap", "settings"], &["key:\n----\nvalue\n"]),
        (&["secret", "hidden"], &["word:  5 bytes"]),
        (&["quota", "few"], &["configmaps", "10"]),
        (&["serviceaccount", "default"], &["Name:                default"]),
        (
            &["endpointslice", "-l", "kubernetes.io/service-name=web"],
            &["AddressType:  IPv4", "Conditions:"],
        ),
    ];
    for (args, parts) in cases {
        says(&ns, &[&["describe"], args].concat(), parts);
    }
    let described = cluster.kubectl(&["describe", "node", &node]);
    has_all(
        &described,
        &[
            "Allocated resources:",
            "Non-terminated Pods:",
            "KubeletReady",
            ns.name(),
        ],
    );
    has_all(
        &cluster.kubectl(&["describe", "namespace", ns.name()]),
        &["Status:       Active", "few"],
    );
}

#[test]
fn events_of_an_object_are_told() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("events");
    ready_pod(&ns);
    let parts = ["LAST SEEN", "Scheduled", "Started", "Pod/web"];
    says(&ns, &["events", "--for", "pod/web"], &parts);
    says(&ns, &["events", "--types=Normal"], &["Normal", "Scheduled"]);
    let warnings = ns.try_kubectl(&["events", "--types=Warning", "--for", "pod/web"], None);
    assert_eq!((warnings.code, warnings.stdout.as_str()), (0, ""));
    has_all(
        &ns.kubectl(&["get", "events", "--field-selector", "reason=Started"]),
        &["pod/web"],
    );
}

#[test]
fn wait_sees_conditions_fields_and_ends() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("wait");
    ns.apply(POD);
    ns.kubectl(&[
        "wait",
        "--for=jsonpath={.status.phase}=Running",
        "pod/web",
        "--timeout=120s",
    ]);
    ns.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "pod",
        "-l",
        "app=web",
        "--timeout=120s",
    ]);
    let never = ns.try_kubectl(&["wait", "--for=condition=Nonsense", "pod/web", "--timeout=1s"], None);
    refused(&never, "timed out waiting for the condition");
    let mut gone = Aside::start(ns.command(&["wait", "--for=delete", "pod/web", "--timeout=120s"]));
    ns.kubectl(&["delete", "pod", "web", "--wait=false"]);
    assert_eq!(gone.line().as_deref(), Some("pod/web condition met"));
    assert_eq!(gone.end(), 0);
}
