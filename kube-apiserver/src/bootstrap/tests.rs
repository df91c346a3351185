#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use serde_json::{Value, json};

use super::policy::policy;
use super::*;
use crate::authz::rbac::{Rbac, feed};
use crate::authz::{Attributes, Authorizer as _, Decision};
use crate::objects::memory::MemoryObjects;
use crate::objects::{Objects as _, items, text};
use crate::request::{RequestInfo, UserInfo};

fn index() -> Rbac {
    let rbac = Rbac::default();
    let p = policy();
    feed(&rbac, p.cluster_roles.iter().map(|o| ("clusterroles", o)));
    feed(
        &rbac,
        p.cluster_role_bindings.iter().map(|o| ("clusterrolebindings", o)),
    );
    feed(&rbac, p.roles.iter().map(|o| ("roles", o)));
    feed(&rbac, p.role_bindings.iter().map(|o| ("rolebindings", o)));
    rbac
}

#[tokio::test]
async fn the_policy_lets_each_component_do_its_work() {
    let rbac = index();
    let kcm = || UserInfo::new("system:kube-controller-manager", &[]);
    let sched = || UserInfo::new("system:kube-scheduler", &[]);
    let proxy = || UserInfo::new("system:kube-proxy", &[]);
    let sa = |name: &str| {
        UserInfo::new(
            &format!("system:serviceaccount:kube-system:{name}"),
            &["system:serviceaccounts"],
        )
    };
    let anonymous = || UserInfo::new("system:anonymous", &["system:unauthenticated"]);
    for (user, method, uri, allowed) in [
        (
            kcm(),
            "POST",
            "/api/v1/namespaces/kube-system/serviceaccounts/x/token",
            true,
        ),
        (kcm(), "GET", "/apis/apps/v1/deployments", true),
        (kcm(), "PUT", "/apis/apps/v1/namespaces/a/deployments/d", false),
        (sched(), "POST", "/api/v1/namespaces/a/pods/p/binding", true),
        (
            sched(),
            "GET",
            "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication",
            true,
        ),
        (proxy(), "GET", "/apis/discovery.k8s.io/v1/endpointslices?watch=1", true),
        (proxy(), "GET", "/api/v1/secrets", false),
        (
            sa("deployment-controller"),
            "POST",
            "/apis/apps/v1/namespaces/a/replicasets",
            true,
        ),
        (
            sa("namespace-controller"),
            "DELETE",
            "/apis/anything/v1/namespaces/a/things",
            true,
        ),
        (
            sa("root-ca-cert-publisher"),
            "POST",
            "/api/v1/namespaces/a/configmaps",
            true,
        ),
        (
            sa("endpointslice-controller"),
            "DELETE",
            "/apis/discovery.k8s.io/v1/namespaces/a/endpointslices/x",
            true,
        ),
        (anonymous(), "GET", "/healthz", true),
        (anonymous(), "GET", "/version", true),
        (anonymous(), "GET", "/api", false),
        (
            UserInfo::new("joe", &["system:authenticated"]),
            "GET",
            "/apis/apps/v1",
            true,
        ),
        (
            UserInfo::new("joe", &["system:authenticated"]),
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            true,
        ),
    ] {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let info = RequestInfo::parse(&method.parse().unwrap(), path, query);
        let got = rbac
            .authorize(&Attributes {
                user: &user,
                info: &info,
            })
            .await;
        assert_eq!(
            matches!(got, Decision::Allow(_)),
            allowed,
            "{} {method} {uri}: {got:?}",
            user.name
        );
    }
}

#[test]
fn aggregated_roles_carry_what_they_aggregate() {
    let rules = |name: &str| {
        items(
            policy()
                .cluster_roles
                .iter()
                .find(|r| text(r, "/metadata/name") == name)
                .unwrap(),
            "/rules",
        )
        .len()
    };
    assert_eq!(rules("view"), rules("system:aggregate-to-view"));
    assert!(rules("edit") >= rules("view") + rules("system:aggregate-to-edit") - 1);
    assert!(rules("admin") > rules("edit"));
}

#[test]
fn names_are_unique_and_bindings_lead_to_roles() {
    let p = policy();
    let names: HashSet<&str> = p.cluster_roles.iter().map(|r| text(r, "/metadata/name")).collect();
    assert_eq!(names.len(), p.cluster_roles.len());
    for b in &p.cluster_role_bindings {
        assert!(names.contains(text(b, "/roleRef/name")), "{b}");
    }
    for b in &p.role_bindings {
        let (ns, role) = (text(b, "/metadata/namespace"), text(b, "/roleRef/name"));
        assert!(
            p.roles
                .iter()
                .any(|r| text(r, "/metadata/namespace") == ns && text(r, "/metadata/name") == role),
            "{b}"
        );
    }
}

#[tokio::test]
async fn reconciling_restores_what_was_taken_and_keeps_what_was_added() {
    let objects = MemoryObjects::default();
    rbac::reconcile(&objects).await.unwrap();
    let group = crate::authz::rbac::GROUP;
    let mut role: Value = (*objects.get(group, "clusterroles", "", "system:kube-dns").await.unwrap()).clone();
    let own = json!({"verbs":["get"],"apiGroups":[""],"resources":["pods"]});
    role["rules"] = json!([own]);
    objects.put(group, "clusterroles", role.clone());
    rbac::reconcile(&objects).await.unwrap();
    let fixed = objects.get(group, "clusterroles", "", "system:kube-dns").await.unwrap();
    assert_eq!(items(&fixed, "/rules").len(), 2);
    assert!(items(&fixed, "/rules").contains(&own));

    role["metadata"]["annotations"][policy::AUTOUPDATE] = json!("false");
    objects.put(group, "clusterroles", role.clone());
    rbac::reconcile(&objects).await.unwrap();
    assert_eq!(
        items(
            &objects.get(group, "clusterroles", "", "system:kube-dns").await.unwrap(),
            "/rules"
        )
        .len(),
        1
    );
}

#[tokio::test]
async fn endpoints_follow_the_servers_alive() {
    let objects = MemoryObjects::default();
    let target = kubernetes_service::Target {
        cluster_ip: "10.96.0.1".parse().unwrap(),
        service_port: 443,
        secure_port: 6443,
    };
    kubernetes_service::reconcile_service(&objects, &target).await.unwrap();
    assert_eq!(objects.names("networking.k8s.io", "ipaddresses"), ["10.96.0.1"]);
    for ips in [
        vec!["192.0.2.1".to_owned()],
        vec!["192.0.2.1".to_owned(), "192.0.2.2".to_owned()],
        vec![],
    ] {
        kubernetes_service::reconcile_endpoints(&objects, &ips, &target)
            .await
            .unwrap();
        let e = objects.get("", "endpoints", "default", "kubernetes").await.unwrap();
        let got: Vec<&str> = items(&e, "/subsets/0/addresses")
            .iter()
            .map(|a| text(a, "/ip"))
            .collect();
        assert_eq!(got, ips);
        let s = objects
            .get("discovery.k8s.io", "endpointslices", "default", "kubernetes")
            .await
            .unwrap();
        assert_eq!(items(&s, "/endpoints").len(), ips.len());
    }
}

#[tokio::test]
async fn everything_else_is_created_once() {
    let objects = MemoryObjects::default();
    for _ in 0..2 {
        namespaces::reconcile(&objects).await.unwrap();
        priority_classes::reconcile(&objects).await.unwrap();
        flow_control::reconcile(&objects).await.unwrap();
        authentication_config::reconcile(&objects, &json!({"client-ca-file": "x"}))
            .await
            .unwrap();
    }
    assert_eq!(objects.names("", "namespaces").len(), 4);
    assert_eq!(objects.names("flowcontrol.apiserver.k8s.io", "flowschemas").len(), 13);
    assert_eq!(
        objects
            .names("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations")
            .len(),
        8
    );
}
