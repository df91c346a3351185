//! The bootstrap RBAC objects against upstream's v1.36 with default feature gates: each role by name
//! and number of rules (facts: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy`).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use crate::bootstrap::policy::policy;
use crate::objects::{items, text};

/// Aggregated roles have no rules of their own.
const AGGREGATED: [&str; 3] = ["admin", "edit", "view"];

const CLUSTER_ROLES: [(&str, usize); 66] = [
    ("cluster-admin", 2),
    ("system:aggregate-to-admin", 2),
    ("system:aggregate-to-edit", 15),
    ("system:aggregate-to-view", 12),
    ("system:auth-delegator", 2),
    ("system:basic-user", 2),
    ("system:certificates.k8s.io:certificatesigningrequests:nodeclient", 1),
    (
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        1,
    ),
    ("system:certificates.k8s.io:kube-apiserver-client-approver", 1),
    ("system:certificates.k8s.io:kube-apiserver-client-kubelet-approver", 1),
    ("system:certificates.k8s.io:kubelet-serving-approver", 1),
    ("system:certificates.k8s.io:legacy-unknown-approver", 1),
    ("system:controller:attachdetach-controller", 8),
    ("system:controller:certificate-controller", 6),
    ("system:controller:clusterrole-aggregation-controller", 1),
    ("system:controller:cronjob-controller", 6),
    ("system:controller:daemon-set-controller", 8),
    ("system:controller:deployment-controller", 6),
    ("system:controller:device-taint-eviction-controller", 6),
    ("system:controller:disruption-controller", 9),
    ("system:controller:endpoint-controller", 4),
    ("system:controller:endpointslice-controller", 4),
    ("system:controller:endpointslicemirroring-controller", 5),
    ("system:controller:ephemeral-volume-controller", 4),
    ("system:controller:expand-controller", 4),
    ("system:controller:generic-garbage-collector", 2),
    ("system:controller:horizontal-pod-autoscaler", 8),
    ("system:controller:job-controller", 5),
    ("system:controller:legacy-service-account-token-cleaner", 2),
    ("system:controller:namespace-controller", 3),
    ("system:controller:node-controller", 5),
    ("system:controller:persistent-volume-binder", 9),
    ("system:controller:pod-garbage-collector", 3),
    ("system:controller:pv-protection-controller", 2),
    ("system:controller:pvc-protection-controller", 4),
    ("system:controller:replicaset-controller", 5),
    ("system:controller:replication-controller", 5),
    ("system:controller:resource-claim-controller", 7),
    ("system:controller:resourcequota-controller", 3),
    ("system:controller:root-ca-cert-publisher", 2),
    ("system:controller:route-controller", 3),
    ("system:controller:selinux-warning-controller", 5),
    ("system:controller:service-account-controller", 2),
    ("system:controller:service-cidrs-controller", 5),
    ("system:controller:service-controller", 4),
    ("system:controller:statefulset-controller", 10),
    ("system:controller:ttl-after-finished-controller", 2),
    ("system:controller:ttl-controller", 2),
    ("system:controller:validatingadmissionpolicy-status-controller", 3),
    ("system:controller:volumeattributesclass-protection-controller", 4),
    ("system:discovery", 1),
    ("system:heapster", 2),
    ("system:kube-aggregator", 1),
    ("system:kube-controller-manager", 11),
    ("system:kube-dns", 1),
    ("system:kube-scheduler", 27),
    ("system:kubelet-api-admin", 4),
    ("system:monitoring", 2),
    ("system:node", 25),
    ("system:node-bootstrapper", 1),
    ("system:node-problem-detector", 3),
    ("system:node-proxier", 5),
    ("system:persistent-volume-provisioner", 5),
    ("system:public-info-viewer", 1),
    ("system:service-account-issuer-discovery", 1),
    ("system:volume-scheduler", 3),
];

const ROLES: [(&str, usize); 7] = [
    ("kube-public/system:controller:bootstrap-signer", 3),
    ("kube-system/extension-apiserver-authentication-reader", 1),
    ("kube-system/system::leader-locking-kube-controller-manager", 2),
    ("kube-system/system::leader-locking-kube-scheduler", 2),
    ("kube-system/system:controller:bootstrap-signer", 1),
    ("kube-system/system:controller:cloud-provider", 1),
    ("kube-system/system:controller:token-cleaner", 2),
];

/// Bindings that are not those of controllers, by number of subjects.
const CLUSTER_ROLE_BINDINGS: [(&str, usize); 12] = [
    ("cluster-admin", 1),
    ("system:basic-user", 1),
    ("system:discovery", 1),
    ("system:kube-controller-manager", 1),
    ("system:kube-dns", 1),
    ("system:kube-scheduler", 1),
    ("system:monitoring", 1),
    ("system:node", 0),
    ("system:node-proxier", 1),
    ("system:public-info-viewer", 2),
    ("system:service-account-issuer-discovery", 1),
    ("system:volume-scheduler", 1),
];

fn counts<'a>(objects: &'a [serde_json::Value], field: &str) -> BTreeMap<String, usize> {
    let count = |o: &'a serde_json::Value| {
        let (ns, name) = (text(o, "/metadata/namespace"), text(o, "/metadata/name"));
        let id = if ns.is_empty() {
            name.to_owned()
        } else {
            format!("{ns}/{name}")
        };
        (id, items(o, field).len())
    };
    objects.iter().map(count).collect()
}

fn table(rows: &[(&str, usize)]) -> BTreeMap<String, usize> {
    rows.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect()
}

#[test]
fn the_roles_are_upstreams() {
    let mut have = counts(&policy().cluster_roles, "/rules");
    for name in AGGREGATED {
        assert!(have.remove(name).unwrap() > 0, "{name}");
    }
    assert_eq!(have, table(&CLUSTER_ROLES));
    assert_eq!(counts(&policy().roles, "/rules"), table(&ROLES));
}

#[test]
fn the_bindings_are_upstreams() {
    let have = counts(&policy().cluster_role_bindings, "/subjects");
    let (controllers, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
        have.into_iter().partition(|(n, _)| n.starts_with("system:controller:"));
    assert_eq!(others, table(&CLUSTER_ROLE_BINDINGS));
    let roles = CLUSTER_ROLES
        .iter()
        .filter(|(n, _)| n.starts_with("system:controller:"));
    assert_eq!(controllers, roles.map(|(n, _)| ((*n).to_owned(), 1)).collect());
    let namespaced = counts(&policy().role_bindings, "/subjects");
    assert_eq!(namespaced.len(), ROLES.len());
    assert_eq!(
        namespaced["kube-system/system::leader-locking-kube-controller-manager"],
        3
    );
}
