//! rollout history, pause, resume, undo and restart.

use e2e::wait;

use super::{field, has_all, ready_deployment, rolled_out};

#[test]
fn a_paused_rollout_waits_and_an_undone_one_goes_back() {
    let (cluster, _gate) = crate::shared();
    let ns = cluster.namespace("pause");
    ready_deployment(&ns);
    ns.kubectl(&["annotate", "deployment/web", "kubernetes.io/change-cause=the first"]);
    assert_eq!(
        ns.kubectl(&["rollout", "pause", "deployment/web"]),
        "deployment.apps/web paused\n"
    );
    ns.kubectl(&["set", "image", "deployment/web", "web=docker.io/corten/web:2"]);
    wait::until("the paused Deployment to be looked at", || {
        let (seen, wanted) = (
            field(&ns, "deployment/web", ".status.observedGeneration"),
            field(&ns, "deployment/web", ".metadata.generation"),
        );
        if seen == wanted {
            Ok(())
        } else {
            Err(format!("{seen} of {wanted}"))
        }
    });
    assert_eq!(ns.kubectl(&["get", "replicasets", "-o", "name"]).lines().count(), 1);
    assert_eq!(
        ns.kubectl(&["rollout", "resume", "deployment/web"]),
        "deployment.apps/web resumed\n"
    );
    rolled_out(&ns);
    assert_eq!(ns.kubectl(&["get", "replicasets", "-o", "name"]).lines().count(), 2);
    let history = ns.kubectl(&["rollout", "history", "deployment/web"]);
    has_all(
        &history,
        &[
            "deployment.apps/web",
            "REVISION  CHANGE-CAUSE",
            "1         the first",
            "2         ",
        ],
    );
    let second = ns.kubectl(&["rollout", "history", "deployment/web", "--revision=2"]);
    has_all(&second, &["revision #2", "docker.io/corten/web:2"]);
    ns.kubectl(&["rollout", "undo", "deployment/web", "--to-revision=1"]);
    rolled_out(&ns);
    assert_eq!(
        field(&ns, "deployment/web", ".spec.template.spec.containers[0].image"),
        "docker.io/corten/web:1"
    );
    ns.kubectl(&["rollout", "restart", "deployment/web"]);
    rolled_out(&ns);
    assert!(!field(&ns, "deployment/web", ".spec.template.metadata.annotations").is_empty());
}
