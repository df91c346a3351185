//! What is wrong is refused with upstream's words, and nothing is written.

use e2e::{cluster, wait};

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
    let (cluster, _gate) = crate::shared();
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
    let (cluster, _gate) = crate::shared();
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: no-such-namespace\n";
    let output = cluster.try_kubectl(&["create", "-f", "-"], Some(manifest));
    let expected =
        "Error from server (NotFound): error when creating \"STDIN\": namespaces \"no-such-namespace\" not found";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
}

#[test]
fn stale_resource_version_is_a_conflict() {
    let (cluster, _gate) = crate::shared();
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

/// What kubectl says of a 401.
const UNAUTHORIZED: &str = "error: You must be logged in to the server";
const SERVER: &str = "--server=https://10.88.0.1:6443";

#[test]
fn tokens_that_are_none_or_have_expired_are_unauthorized() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("tokens");
    let account = wait::until("the default account", || {
        let output = ns.try_kubectl(
            &["get", "serviceaccount", "default", "-o", "jsonpath={.metadata.uid}"],
            None,
        );
        if output.code == 0 {
            Ok(output.stdout)
        } else {
            Err(output.stderr)
        }
    });
    let ca = format!(
        "--certificate-authority={}",
        cluster.state().join("pki/ca.crt").display()
    );
    let ask = |token: &str| {
        let token = format!("--token={token}");
        cluster.try_kubectl(&["--kubeconfig=/dev/null", SERVER, &ca, &token, "auth", "whoami"], None)
    };
    let good = ns.kubectl(&["create", "token", "default"]);
    let output = ask(good.trim());
    assert!(
        output
            .stdout
            .contains(&format!("system:serviceaccount:{}:default", ns.name())),
        "{}",
        output.stderr
    );

    let expired = expired_token(cluster, ns.name(), &account);
    for token in ["not.a.token", &expired] {
        let output = ask(token);
        assert!(
            output.code != 0 && output.stderr.contains(UNAUTHORIZED),
            "{}{}",
            output.stdout,
            output.stderr
        );
    }
}

/// As the API server signs them, with an end in the past.
fn expired_token(cluster: &cluster::Cluster, namespace: &str, account_uid: &str) -> String {
    let key = std::fs::read(cluster.state().join("pki/sa.key")).expect("the cluster has a signing key");
    let key = jsonwebtoken::EncodingKey::from_ec_pem(&key).expect("the signing key is an EC key");
    let claims = serde_json::json!({
        "iss": "https://kubernetes.default.svc.cluster.local",
        "aud": ["https://kubernetes.default.svc.cluster.local"],
        "iat": 1_600_000_000,
        "nbf": 1_600_000_000,
        "exp": 1_600_003_600,
        "sub": format!("system:serviceaccount:{namespace}:default"),
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": "default", "uid": account_uid}},
    });
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    jsonwebtoken::encode(&header, &claims, &key).expect("signing works")
}

#[test]
fn certificate_of_another_authority_is_unauthorized() {
    let (cluster, _gate) = crate::shared();
    let pki = cluster.state().join("pki");
    let file = |flag: &str, name: &str| format!("--{flag}={}", pki.join(name).display());
    let output = cluster.try_kubectl(
        &[
            "--kubeconfig=/dev/null",
            SERVER,
            &file("certificate-authority", "ca.crt"),
            &file("client-certificate", "etcd/healthcheck-client.crt"),
            &file("client-key", "etcd/healthcheck-client.key"),
            "get",
            "pods",
        ],
        None,
    );
    assert!(
        output.code != 0 && output.stderr.contains(UNAUTHORIZED),
        "{}{}",
        output.stdout,
        output.stderr
    );
}

#[test]
fn unreadable_flag_values_end_a_component_with_upstreams_words() {
    let (cluster, _gate) = crate::shared();
    for (component, flag, expected) in [
        (
            "kube-apiserver",
            "--secure-port=x",
            "Error: invalid argument \"x\" for \"--secure-port\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        (
            "kube-scheduler",
            "--leader-elect-retry-period=soon",
            "Error: invalid argument \"soon\" for \"--leader-elect-retry-period\" flag: time: invalid duration \"soon\"",
        ),
        (
            "kube-controller-manager",
            "--no-such-flag",
            "Error: unknown flag: --no-such-flag",
        ),
    ] {
        let binary = std::fs::read_link(format!("/proc/{}/exe", cluster.pid(component))).expect("it runs");
        let output = std::process::Command::new(binary)
            .arg(flag)
            .output()
            .expect("starting it");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{component}: {stderr}");
        assert!(stderr.contains(expected), "{component}: {stderr}");
    }
}

#[test]
fn rbac_refuses_with_the_whole_sentence() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("rbac");
    let user = format!("--as=system:serviceaccount:{}:default", ns.name());
    let output = ns.try_kubectl(&["get", "secrets", &user], None);
    let expected = format!(
        "secrets is forbidden: User \"system:serviceaccount:{0}:default\" cannot list resource \"secrets\" in API group \"\" in the namespace \"{0}\"",
        ns.name()
    );
    assert!(output.stderr.contains(&expected), "{}", output.stderr);
}
