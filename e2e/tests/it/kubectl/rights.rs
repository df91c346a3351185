//! auth, create role, rolebinding and token: what a new identity may do.

use std::{fs, path::PathBuf, process};

use e2e::kubectl;

use super::{has_all, refused};

/// A copy of the administrator's kubeconfig that goes with the value.
struct Kubeconfig(PathBuf);

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

#[test]
fn a_service_account_may_do_what_its_roles_say() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("rights");
    assert_eq!(ns.kubectl(&["auth", "can-i", "create", "pods"]), "yes\n");
    has_all(
        &ns.kubectl(&["auth", "can-i", "--list"]),
        &["*.*", "[*]", "selfsubjectaccessreviews"],
    );
    has_all(&cluster.kubectl(&["auth", "whoami"]), &["Username", "system:masters"]);

    ns.kubectl(&["create", "serviceaccount", "robot"]);
    let robot = format!("--as=system:serviceaccount:{}:robot", ns.name());
    let may = |verb: &str, what: &str| ns.try_kubectl(&["auth", "can-i", verb, what, &robot], None);
    assert_eq!(
        (may("list", "pods").code, may("list", "pods").stdout.as_str()),
        (1, "no\n")
    );
    ns.kubectl(&[
        "create",
        "role",
        "reader",
        "--verb=get,list,watch",
        "--resource=pods,deployments.apps",
    ]);
    ns.kubectl(&[
        "create",
        "role",
        "one",
        "--verb=get",
        "--resource=configmaps",
        "--resource-name=shown",
    ]);
    let subject = format!("--serviceaccount={}:robot", ns.name());
    ns.kubectl(&["create", "rolebinding", "robot-reads", "--role=reader", &subject]);
    ns.kubectl(&["create", "rolebinding", "robot-one", "--role=one", &subject]);
    assert_eq!(may("list", "pods").stdout, "yes\n");
    assert_eq!(may("get", "deployments.apps").stdout, "yes\n");
    assert_eq!(may("delete", "pods").stdout, "no\n");
    assert_eq!(may("get", "configmaps/shown").stdout, "yes\n");
    assert_eq!(may("get", "configmaps/hidden").stdout, "no\n");

    // The account itself, with a token and no certificate.
    let token = ns.kubectl(&["create", "token", "robot", "--duration=15m"]);
    let config = Kubeconfig(std::env::temp_dir().join(format!("corten-rights-{}", process::id())));
    fs::copy(cluster.admin_kubeconfig(), &config.0).expect("copying the kubeconfig");
    let run = |args: &[&str]| kubectl::run(config.0.clone(), args, None);
    let set = run(&["config", "set-credentials", "robot", "--token", token.trim()]);
    assert_eq!(set.code, 0, "{}", set.stderr);
    assert_eq!(run(&["config", "set-context", "--current", "--user=robot"]).code, 0);
    let who = run(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    assert_eq!(
        who.stdout,
        format!("system:serviceaccount:{}:robot", ns.name()),
        "{}",
        who.stderr
    );
    assert_eq!(run(&["-n", ns.name(), "get", "pods"]).code, 0);
    let user = format!(
        "User \"system:serviceaccount:{}:robot\" cannot list resource \"secrets\"",
        ns.name()
    );
    refused(&run(&["-n", ns.name(), "get", "secrets"]), &user);
    // Nobody gives away more than they have.
    let args = [
        "-n",
        ns.name(),
        "create",
        "role",
        "more",
        "--verb=*",
        "--resource=*",
        &robot,
    ];
    refused(&cluster.try_kubectl(&args, None), "Forbidden");
}
