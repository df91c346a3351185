//! What is wrong is refused with upstream's words, and nothing is written.

use e2e::cluster;

/// One mistake: the manifest, and what kubectl must print.
struct Case {
    what: &'static str,
    manifest: &'static str,
    expected: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        what: "a malformed manifest",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: [",
        expected: &["error"],
    },
    Case {
        what: "an unknown field",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndatum: {}\n",
        expected: &["strict decoding error: unknown field \"datum\""],
    },
    Case {
        what: "an invalid name",
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: Not_Valid\n",
        expected: &[
            "The ConfigMap \"Not_Valid\" is invalid: metadata.name: Invalid value: \"Not_Valid\": a lowercase RFC 1123 subdomain must consist of",
        ],
    },
    Case {
        what: "a Deployment whose selector does not match its template",
        manifest: "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: x\nspec:\n  selector:\n    matchLabels: {a: b}\n  template:\n    metadata:\n      labels: {a: c}\n    spec:\n      containers: [{name: c, image: i}]\n",
        expected: &["`selector` does not match template `labels`"],
    },
    Case {
        what: "a wrong type",
        manifest: "apiVersion: v1\nkind: Service\nmetadata:\n  name: x\nspec:\n  ports: 7\n",
        expected: &["Service"],
    },
    Case {
        what: "a kind that does not exist",
        manifest: "apiVersion: v1\nkind: Nothing\nmetadata:\n  name: x\n",
        expected: &["no matches for kind \"Nothing\" in version \"v1\""],
    },
];

#[test]
fn every_mistake_is_named_and_nothing_is_written() {
    let (cluster, _gate) = cluster::shared(&[]);
    let ns = cluster.namespace("mistakes");
    let written = || {
        let keys = cluster.keys("/registry/");
        keys.into_iter()
            .filter(|key| key.contains(&format!("/{}/x", ns.name())) || key.contains("Not_Valid"))
            .count()
    };
    for case in CASES {
        let output = ns.try_kubectl(&["create", "-f", "-"], Some(case.manifest));
        assert_ne!(output.code, 0, "{} was accepted", case.what);
        for expected in case.expected {
            assert!(
                output.stderr.contains(expected),
                "{}: no {expected:?} in {}",
                case.what,
                output.stderr
            );
        }
    }
    assert_eq!(written(), 0);
}

#[test]
fn missing_namespace_is_not_found() {
    let (cluster, _gate) = cluster::shared(&[]);
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: no-such-namespace\n";
    let output = cluster.try_kubectl(&["create", "-f", "-"], Some(manifest));
    let expected =
        "Error from server (NotFound): error when creating \"STDIN\": namespaces \"no-such-namespace\" not found";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
}

#[test]
fn stale_resource_version_is_a_conflict() {
    let (cluster, _gate) = cluster::shared(&[]);
    let ns = cluster.namespace("conflict");
    ns.kubectl(&["create", "configmap", "x", "--from-literal=a=1"]);
    let old = ns.get(&["configmap", "x"]).to_string();
    ns.kubectl(&["label", "configmap", "x", "newer=yes"]);
    let output = ns.try_kubectl(&["replace", "-f", "-"], Some(&old));
    assert!(
        output.stderr.contains("(Conflict)") && output.stderr.contains("the object has been modified"),
        "{}",
        output.stderr
    );
}

#[test]
fn wrong_credentials_are_unauthorized() {
    let (cluster, _gate) = cluster::shared(&[]);
    let output = cluster.try_kubectl(
        &[
            "--kubeconfig=/dev/null",
            "--server=https://10.88.0.1:6443",
            "--insecure-skip-tls-verify",
            "--token=not.a.token",
            "get",
            "pods",
        ],
        None,
    );
    assert_ne!(output.code, 0);
    assert!(
        output.stderr.contains("Unauthorized") || output.stderr.contains("must be logged in"),
        "{}",
        output.stderr
    );
}

#[test]
fn rbac_refuses_with_the_whole_sentence() {
    let (cluster, _gate) = cluster::shared(&[]);
    let ns = cluster.namespace("rbac");
    let user = format!("--as=system:serviceaccount:{}:default", ns.name());
    let output = ns.try_kubectl(&["get", "secrets", &user], None);
    let expected = format!(
        "secrets is forbidden: User \"system:serviceaccount:{0}:default\" cannot list resource \"secrets\" in API group \"\" in the namespace \"{0}\"",
        ns.name()
    );
    assert!(output.stderr.contains(&expected), "{}", output.stderr);
}
