//! Every command of kubectl that a person uses, against the running cluster.

use e2e::{
    kubectl::{Namespace, Output},
    wait,
};

mod reading;
mod rights;
mod rollouts;
mod streams;
mod workloads;
mod writing;

/// One pod that serves, called `web`, with a label for selectors.
const POD: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: web
      image: docker.io/corten/web:1
      imagePullPolicy: IfNotPresent
      args: [serve, --port, \"8080\"]
      ports: [{name: http, containerPort: 8080}]
";

/// A Deployment that serves, called `web`, of two pods.
const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: docker.io/corten/web:1
          imagePullPolicy: IfNotPresent
          args: [serve, --port, \"8080\"]
          ports: [{name: http, containerPort: 8080}]
";

/// The pod of [`POD`], Ready.
fn ready_pod(ns: &Namespace<'_>) {
    ns.apply(POD);
    ns.kubectl(&["wait", "--for=condition=Ready", "pod/web", "--timeout=120s"]);
}

/// The Deployment of [`DEPLOYMENT`], rolled out.
fn ready_deployment(ns: &Namespace<'_>) {
    ns.apply(DEPLOYMENT);
    rolled_out(ns);
}

fn rolled_out(ns: &Namespace<'_>) {
    ns.kubectl(&["rollout", "status", "deployment/web", "--timeout=120s"]);
}

/// One field of an object, as `-o jsonpath` prints it.
fn field(ns: &Namespace<'_>, object: &str, path: &str) -> String {
    ns.kubectl(&["get", object, "-o", &format!("jsonpath={{{path}}}")])
}

/// The command has to fail, and to say why.
fn refused(output: &Output, why: &str) {
    assert!(
        output.code != 0 && output.stderr.contains(why),
        "not refused with {why:?} but {}: {}{}",
        output.code,
        output.stdout,
        output.stderr
    );
}

/// The text has all the parts.
fn has_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "there is no {part:?} in:\n{text}");
    }
}

/// The command comes to say all the parts: events and statuses come when they come.
fn says(ns: &Namespace<'_>, args: &[&str], parts: &[&str]) {
    wait::until(&format!("kubectl {}", args.join(" ")), || {
        let text = ns.kubectl(args);
        match parts.iter().find(|part| !text.contains(**part)) {
            None => Ok(()),
            Some(part) => Err(format!("there is no {part:?} in:\n{text}")),
        }
    });
}
