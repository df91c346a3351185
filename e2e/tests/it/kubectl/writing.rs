//! create, apply (both ways), diff, patch, edit, replace, label, annotate.

use super::{field, has_all, refused};

fn settings(word: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{word: {word}}}\n")
}

#[test]
fn apply_creates_changes_and_prunes_fields() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("apply");
    assert_eq!(ns.apply(&settings("one")), "configmap/settings created\n");
    assert_eq!(ns.apply(&settings("one")), "configmap/settings unchanged\n");
    assert_eq!(ns.apply(&settings("two")), "configmap/settings configured\n");
    ns.kubectl(&["patch", "configmap", "settings", "-p", r#"{"data":{"foreign":"kept"}}"#]);
    let more = settings("two").replace("{word: two}", "{word: two, extra: x}");
    ns.apply(&more);
    ns.apply(&settings("two"));
    assert_eq!(
        field(&ns, "configmap/settings", ".data"),
        r#"{"foreign":"kept","word":"two"}"#
    );
    let view = ns.kubectl(&["apply", "view-last-applied", "configmap/settings"]);
    has_all(&view, &["word: two"]);

    let difference = ns.try_kubectl(&["diff", "-f", "-"], Some(&settings("three")));
    assert_eq!(difference.code, 1, "{}", difference.stderr);
    has_all(&difference.stdout, &["-  word: two", "+  word: three"]);
    let none = ns.try_kubectl(&["diff", "-f", "-"], Some(&settings("two")));
    assert_eq!((none.code, none.stdout.as_str()), (0, ""), "{}", none.stderr);

    let unknown = settings("two").replace("\ndata:", "\ndota:");
    let strict = ns.try_kubectl(&["apply", "-f", "-"], Some(&unknown));
    refused(&strict, "unknown field \"dota\"");
    let dry = ["apply", "--dry-run=server", "-f", "-"];
    let tried = ns.try_kubectl(&dry, Some(&settings("four")));
    assert_eq!(
        tried.stdout, "configmap/settings configured (server dry run)\n",
        "{}",
        tried.stderr
    );
    assert_eq!(field(&ns, "configmap/settings", ".data.word"), "two");
}

#[test]
fn server_side_apply_keeps_owners_apart() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("ssa");
    let apply = |args: &[&str], manifest: &str| {
        let args = [&["apply", "--server-side", "-f", "-"], args].concat();
        ns.try_kubectl(&args, Some(manifest))
    };
    assert_eq!(
        apply(&[], &settings("one")).stdout,
        "configmap/settings serverside-applied\n"
    );
    let conflict = apply(&["--field-manager=other"], &settings("two"));
    refused(&conflict, "conflict with \"kubectl\": .data.word");
    assert_eq!(field(&ns, "configmap/settings", ".data.word"), "one");
    let forced = apply(&["--field-manager=other", "--force-conflicts"], &settings("two"));
    assert_eq!(forced.code, 0, "{}", forced.stderr);
    assert_eq!(field(&ns, "configmap/settings", ".data.word"), "two");
    let diff = ["diff", "--server-side", "--field-manager=other", "-f", "-"];
    let difference = ns.try_kubectl(&diff, Some(&settings("three")));
    assert_eq!(difference.code, 1, "{}", difference.stderr);
    has_all(&difference.stdout, &["+  word: three"]);

    // What its only owner no longer says goes; what another one says too stays.
    let shared = settings("two").replace("{word: two}", "{word: two, mine: x}");
    assert_eq!(apply(&["--field-manager=other"], &shared).code, 0);
    assert_eq!(apply(&[], &settings("two")).code, 0);
    assert_eq!(
        apply(
            &["--field-manager=other"],
            &settings("two").replace("data: {word: two}", "")
        )
        .code,
        0
    );
    assert_eq!(field(&ns, "configmap/settings", ".data"), r#"{"word":"two"}"#);
    let shown = ns.kubectl(&["get", "configmap", "settings", "--show-managed-fields", "-o", "yaml"]);
    has_all(&shown, &["manager: kubectl\n", "f:word: {}", "operation: Apply"]);

    // An object of client-side apply changes hands without a conflict.
    let moved = settings("one").replace("settings", "moved");
    ns.apply(&moved);
    assert_eq!(
        apply(&[], &moved.replace("one", "two")).stdout,
        "configmap/moved serverside-applied\n"
    );
    assert_eq!(field(&ns, "configmap/moved", ".data.word"), "two");
}

#[test]
fn the_three_patches_and_edit_change_objects() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("patch");
    ns.apply(&settings("one"));
    let patch = |kind: &str, patch: &str| {
        let kind = format!("--type={kind}");
        ns.try_kubectl(&["patch", "configmap", "settings", &kind, "-p", patch], None)
    };
    assert_eq!(
        patch("strategic", r#"{"data":{"a":"1"}}"#).stdout,
        "configmap/settings patched\n"
    );
    assert_eq!(
        patch("merge", r#"{"data":{"a":null,"b":"2"}}"#).stdout,
        "configmap/settings patched\n"
    );
    let operations = r#"[{"op":"test","path":"/data/b","value":"2"},{"op":"move","from":"/data/b","path":"/data/c"}]"#;
    assert_eq!(patch("json", operations).stdout, "configmap/settings patched\n");
    assert_eq!(patch("merge", "{}").stdout, "configmap/settings patched (no change)\n");
    assert_eq!(field(&ns, "configmap/settings", ".data"), r#"{"c":"2","word":"one"}"#);
    refused(&patch("json", operations), "the server rejected our request");

    let edited = ns
        .command(&["edit", "configmap", "settings"])
        .env("KUBE_EDITOR", "sed -i s/one/edited/")
        .output()
        .expect("running kubectl");
    assert_eq!(String::from_utf8_lossy(&edited.stdout), "configmap/settings edited\n");
    assert_eq!(field(&ns, "configmap/settings", ".data.word"), "edited");
    let untouched = ns
        .command(&["edit", "configmap", "settings"])
        .env("KUBE_EDITOR", "true")
        .output()
        .expect("running kubectl");
    assert_eq!(
        String::from_utf8_lossy(&untouched.stderr),
        "Edit cancelled, no changes made.\n"
    );
}

#[test]
fn replace_puts_a_whole_object_in_place() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("replace");
    ns.apply(&settings("one"));
    let old = ns.kubectl(&["get", "configmap", "settings", "-o", "yaml"]);
    let uid = field(&ns, "configmap/settings", ".metadata.uid");
    let replace = |args: &[&str], manifest: &str| {
        let args = [&["replace", "-f", "-"], args].concat();
        ns.try_kubectl(&args, Some(manifest))
    };
    assert_eq!(
        replace(&[], &old.replace("word: one", "word: two")).stdout,
        "configmap/settings replaced\n"
    );
    assert_eq!(field(&ns, "configmap/settings", ".data.word"), "two");
    refused(
        &replace(&[], &old),
        "the object has been modified; please apply your changes to the latest version",
    );
    let forced = replace(&["--force"], &settings("three"));
    assert_eq!(forced.code, 0, "{}", forced.stderr);
    assert_ne!(field(&ns, "configmap/settings", ".metadata.uid"), uid);
    assert_eq!(field(&ns, "configmap/settings", ".data.word"), "three");
    let missing = settings("x").replace("settings", "nobody");
    refused(&replace(&[], &missing), "configmaps \"nobody\" not found");
}

#[test]
fn create_makes_every_kind_it_has_a_word_for() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("create");
    let cases: [(&[&str], &str); 14] = [
        (&["configmap", "c", "--from-literal=a=b"], "configmap/c created\n"),
        (&["secret", "generic", "s", "--from-literal=a=b"], "secret/s created\n"),
        (
            &[
                "secret",
                "docker-registry",
                "pull",
                "--docker-server=r",
                "--docker-username=u",
                "--docker-password=p",
            ],
            "secret/pull created\n",
        ),
        (&["serviceaccount", "sa"], "serviceaccount/sa created\n"),
        (
            &["role", "r", "--verb=get", "--resource=pods"],
            "role.rbac.authorization.k8s.io/r created\n",
        ),
        (
            &["rolebinding", "rb", "--role=r", "--user=u"],
            "rolebinding.rbac.authorization.k8s.io/rb created\n",
        ),
        (
            &["deployment", "d", "--image=i", "--replicas=0"],
            "deployment.apps/d created\n",
        ),
        (&["job", "j", "--image=i"], "job.batch/j created\n"),
        (
            &["cronjob", "cj", "--image=i", "--schedule=0 0 1 1 *"],
            "cronjob.batch/cj created\n",
        ),
        (
            &["service", "clusterip", "cip", "--tcp=80:8080"],
            "service/cip created\n",
        ),
        (
            &["service", "externalname", "en", "--external-name=example.test"],
            "service/en created\n",
        ),
        (
            &["ingress", "in", "--rule=example.test/=cip:80"],
            "ingress.networking.k8s.io/in created\n",
        ),
        (&["quota", "q", "--hard=pods=5"], "resourcequota/q created\n"),
        (
            &["poddisruptionbudget", "pdb", "--selector=app=x", "--min-available=1"],
            "poddisruptionbudget.policy/pdb created\n",
        ),
    ];
    for (args, wanted) in cases {
        assert_eq!(ns.kubectl(&[&["create"], args].concat()), wanted);
    }
    assert_eq!(field(&ns, "service/cip", ".spec.ports[0].targetPort"), "8080");
    assert_eq!(field(&ns, "secret/pull", ".type"), "kubernetes.io/dockerconfigjson");
    assert_eq!(field(&ns, "cronjob/cj", ".spec.concurrencyPolicy"), "Allow");
    let again = ns.try_kubectl(&["create", "configmap", "c"], None);
    refused(
        &again,
        "error: failed to create configmap: configmaps \"c\" already exists",
    );
    let bad = ns.try_kubectl(&["create", "configmap", "Capital"], None);
    refused(&bad, "a lowercase RFC 1123 subdomain must consist of");
    let generated = "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: made-}\n";
    let made = ns.try_kubectl(&["create", "-f", "-"], Some(generated));
    assert!(
        made.stdout.starts_with("configmap/made-"),
        "{}{}",
        made.stdout,
        made.stderr
    );
    let deleted = ns.kubectl(&["delete", "configmap/c", "secret/s"]);
    has_all(&deleted, &["configmap \"c\" deleted", "secret \"s\" deleted"]);
    ns.kubectl(&["delete", "all", "--all"]);
    assert_eq!(ns.kubectl(&["get", "all", "-o", "name"]), "");
}

#[test]
fn labels_and_annotations_come_change_and_go() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("label");
    ns.kubectl(&["create", "configmap", "c"]);
    assert_eq!(
        ns.kubectl(&["label", "configmap", "c", "tier=front"]),
        "configmap/c labeled\n"
    );
    let second = ns.try_kubectl(&["label", "configmap", "c", "tier=back"], None);
    refused(&second, "already has a value (front), and --overwrite is false");
    ns.kubectl(&["label", "configmap", "c", "tier=back", "--overwrite"]);
    assert_eq!(
        ns.kubectl(&["get", "configmaps", "-l", "tier=back", "-o", "name"]),
        "configmap/c\n"
    );
    assert_eq!(
        ns.kubectl(&["label", "configmap", "c", "tier-"]),
        "configmap/c unlabeled\n"
    );
    assert_eq!(
        ns.kubectl(&["annotate", "configmap", "c", "note=a b"]),
        "configmap/c annotated\n"
    );
    assert_eq!(field(&ns, "configmap/c", ".metadata.annotations"), r#"{"note":"a b"}"#);
    ns.kubectl(&["annotate", "configmap", "c", "note-"]);
    assert_eq!(field(&ns, "configmap/c", ".metadata.annotations"), "");
    let invalid = ns.try_kubectl(&["label", "configmap", "c", "bad=no/slash"], None);
    refused(&invalid, "invalid label value");
}
