#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::json;

use super::modes::{AlwaysDeny, Privileged};
use super::node::graph::Graph;
use super::node::{NODES_GROUP, NodeAuthorizer};
use super::rbac::{Rbac, escalation, feed, rule::Rule};
use super::*;

fn info(verb: &str, uri: &str) -> RequestInfo {
    let method = match verb {
        "create" => "POST",
        "update" => "PUT",
        "delete" => "DELETE",
        "patch" => "PATCH",
        _ => "GET",
    };
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    RequestInfo::parse(&method.parse().unwrap(), path, query)
}

#[tokio::test]
async fn refusals_read_as_upstreams() {
    let union = Union::new(vec![Arc::new(Privileged), Arc::new(Rbac::default())]);
    let user = UserInfo::new("x", &[]);
    for (verb, uri, want) in [
        (
            "list",
            "/apis/apps/v1/namespaces/ns/deployments",
            r#"deployments.apps is forbidden: User "x" cannot list resource "deployments" in API group "apps" in the namespace "ns""#,
        ),
        (
            "list",
            "/api/v1/nodes",
            r#"nodes is forbidden: User "x" cannot list resource "nodes" in API group "" at the cluster scope"#,
        ),
        (
            "create",
            "/api/v1/namespaces/ns/pods/p/exec",
            r#"pods "p" is forbidden: User "x" cannot create resource "pods/exec" in API group "" in the namespace "ns""#,
        ),
        ("get", "/metrics", r#"forbidden: User "x" cannot get path "/metrics""#),
    ] {
        let err = union.check(&user, &info(verb, uri)).await.unwrap_err();
        assert_eq!(err.message, want);
        assert_eq!(err.code, 403);
    }
    let admin = UserInfo::new("a", &["system:masters"]);
    assert!(union.check(&admin, &info("list", "/api/v1/nodes")).await.is_ok());
    let deny = Union::new(vec![Arc::new(AlwaysDeny)]);
    assert!(
        deny.check(&user, &info("list", "/api/v1/nodes"))
            .await
            .unwrap_err()
            .message
            .ends_with(": Everything is forbidden.")
    );
}

fn sample() -> Rbac {
    let rbac = Rbac::default();
    let objects = [
        (
            "clusterroles",
            json!({"metadata":{"name":"reader"},"rules":[
            {"verbs":["get","list"],"apiGroups":["","apps"],"resources":["pods","deployments","*/scale"]},
            {"verbs":["get"],"apiGroups":[""],"resources":["secrets"],"resourceNames":["one"]},
            {"verbs":["get"],"nonResourceURLs":["/healthz/*"]}]}),
        ),
        (
            "clusterrolebindings",
            json!({"metadata":{"name":"all"},"roleRef":{"kind":"ClusterRole","name":"reader"},
            "subjects":[{"kind":"User","name":"ann"}]}),
        ),
        (
            "rolebindings",
            json!({"metadata":{"name":"sa","namespace":"a"},"roleRef":{"kind":"ClusterRole","name":"reader"},
            "subjects":[{"kind":"ServiceAccount","name":"bot"},{"kind":"Group","name":"team"}]}),
        ),
        (
            "rolebindings",
            json!({"metadata":{"name":"broken","namespace":"a"},"roleRef":{"kind":"Role","name":"gone"},
            "subjects":[{"kind":"User","name":"bob"}]}),
        ),
    ];
    feed(&rbac, objects.iter().map(|(r, o)| (*r, o)));
    rbac
}

#[tokio::test]
async fn rbac_rules_match_groups_names_subresources_and_urls() {
    let rbac = sample();
    let ann = UserInfo::new("ann", &[]);
    let bot = UserInfo::new("system:serviceaccount:a:bot", &[]);
    let team = UserInfo::new("x", &["team"]);
    for (user, verb, uri, allowed) in [
        (&ann, "list", "/api/v1/pods", true),
        (&ann, "get", "/apis/apps/v1/namespaces/z/deployments/d", true),
        (&ann, "get", "/apis/apps/v1/namespaces/z/statefulsets/d/scale", true),
        (&ann, "get", "/apis/apps/v1/namespaces/z/statefulsets/d/status", false),
        (&ann, "get", "/apis/batch/v1/namespaces/z/jobs/d/scale", false),
        (&ann, "get", "/api/v1/namespaces/z/secrets/one", true),
        (&ann, "get", "/api/v1/namespaces/z/secrets/two", false),
        (&ann, "get", "/api/v1/namespaces/z/pods/p/log", false),
        (&ann, "create", "/api/v1/namespaces/z/pods", false),
        (&ann, "get", "/healthz/etcd", true),
        (&ann, "get", "/healthz", false),
        (&bot, "list", "/api/v1/namespaces/a/pods", true),
        (&bot, "list", "/api/v1/namespaces/b/pods", false),
        (&bot, "list", "/api/v1/pods", false),
        (&team, "list", "/api/v1/namespaces/a/pods", true),
        // A namespaced binding never allows URLs.
        (&team, "get", "/healthz/etcd", false),
    ] {
        let info = info(verb, uri);
        let got = rbac.authorize(&Attributes { user, info: &info }).await;
        assert_eq!(
            matches!(got, Decision::Allow(_)),
            allowed,
            "{} {verb} {uri}: {got:?}",
            user.name
        );
    }
    let got = rbac
        .authorize(&Attributes {
            user: &bot,
            info: &info("list", "/api/v1/namespaces/a/pods"),
        })
        .await;
    assert_eq!(
        got,
        Decision::Allow(
            r#"RBAC: allowed by RoleBinding "sa/a" of ClusterRole "reader" to ServiceAccount "bot/a""#.into()
        )
    );
    let bob = UserInfo::new("bob", &[]);
    let got = rbac
        .authorize(&Attributes {
            user: &bob,
            info: &info("list", "/api/v1/namespaces/a/pods"),
        })
        .await;
    assert_eq!(
        got,
        Decision::NoOpinion(r#"RBAC: role.rbac.authorization.k8s.io "gone" not found"#.into())
    );
}

#[tokio::test]
async fn deleting_a_binding_takes_its_rights_away() {
    let rbac = sample();
    let ann = UserInfo::new("ann", &[]);
    rbac.apply("clusterrolebindings", "", "all", None);
    let got = rbac
        .authorize(&Attributes {
            user: &ann,
            info: &info("list", "/api/v1/pods"),
        })
        .await;
    assert_eq!(got, Decision::NoOpinion(String::new()));
}

#[test]
fn nobody_grants_what_they_do_not_hold() {
    let rbac = sample();
    let ann = UserInfo::new("ann", &[]);
    let rule = |v: &str, g: &str, r: &str| Rule::from_value(&json!({"verbs":[v],"apiGroups":[g],"resources":[r]}));
    assert!(escalation::confirm_no_escalation(&rbac, &ann, "", &[rule("get", "apps", "deployments")]).is_ok());
    let err = escalation::confirm_no_escalation(&rbac, &ann, "", &[rule("delete", "", "pods")]).unwrap_err();
    assert!(
        err.contains(
            r#"is attempting to grant RBAC permissions not currently held:
{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}"#
        ),
        "{err}"
    );
    assert!(escalation::confirm_no_escalation(&rbac, &ann, "", &[rule("get", "", "secrets")]).is_err());
}

#[tokio::test]
async fn a_node_reads_only_what_its_pods_use() {
    let graph = Arc::new(Graph::default());
    graph.apply(
        "pods",
        "ns",
        "p",
        Some(
            &json!({"metadata":{"name":"p"},"spec":{"nodeName":"n1","serviceAccountName":"sa",
        "volumes":[{"name":"v","secret":{"secretName":"s1"}},{"name":"w","persistentVolumeClaim":{"claimName":"c"}},
                   {"name":"x","projected":{"sources":[{"configMap":{"name":"cm"}}]}}],
        "containers":[{"env":[{"name":"E","valueFrom":{"secretKeyRef":{"name":"s2"}}}]}]}}),
        ),
    );
    graph.apply(
        "pods",
        "ns",
        "mirror",
        Some(
            &json!({"metadata":{"name":"mirror","annotations":{"kubernetes.io/config.mirror":"x"}},
        "spec":{"nodeName":"n1","volumes":[{"secret":{"secretName":"stolen"}}]}}),
        ),
    );
    graph.apply(
        "persistentvolumes",
        "",
        "pv",
        Some(&json!({"spec":{"claimRef":{"namespace":"ns","name":"c"},
        "csi":{"nodeStageSecretRef":{"namespace":"other","name":"s3"}}}})),
    );
    graph.apply("volumeattachments", "", "va", Some(&json!({"spec":{"nodeName":"n1"}})));
    let rules = vec![Rule::from_value(
        &json!({"verbs":["create","patch","update"],"apiGroups":[""],"resources":["events","nodes","nodes/status","pods/status"]}),
    )];
    let node = NodeAuthorizer::new(graph.clone(), rules);
    let n1 = UserInfo::new("system:node:n1", &[NODES_GROUP]);
    let n2 = UserInfo::new("system:node:n2", &[NODES_GROUP]);
    for (verb, uri, one, two) in [
        ("get", "/api/v1/namespaces/ns/secrets/s1", true, false),
        ("get", "/api/v1/namespaces/ns/secrets/s2", true, false),
        ("get", "/api/v1/namespaces/other/secrets/s3", true, false),
        ("get", "/api/v1/namespaces/ns/secrets/stolen", false, false),
        ("list", "/api/v1/namespaces/ns/secrets", false, false),
        (
            "list",
            "/api/v1/namespaces/ns/secrets?fieldSelector=metadata.name%3Ds1",
            true,
            false,
        ),
        ("get", "/api/v1/namespaces/ns/configmaps/cm", true, false),
        ("get", "/api/v1/namespaces/ns/persistentvolumeclaims/c", true, false),
        ("get", "/api/v1/persistentvolumes/pv", true, false),
        ("get", "/apis/storage.k8s.io/v1/volumeattachments/va", true, false),
        ("create", "/api/v1/namespaces/ns/serviceaccounts/sa/token", true, false),
        (
            "create",
            "/api/v1/namespaces/ns/serviceaccounts/other/token",
            false,
            false,
        ),
        ("get", "/api/v1/nodes/n1", true, false),
        ("list", "/api/v1/nodes?fieldSelector=metadata.name%3Dn2", false, true),
        ("list", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", true, false),
        ("list", "/api/v1/pods", false, false),
        // One term about the phase, whose value has a comma.
        (
            "list",
            r"/api/v1/pods?fieldSelector=status.phase!%3Dx\,spec.nodeName%3Dn1",
            false,
            false,
        ),
        (
            "list",
            "/apis/resource.k8s.io/v1/resourceslices?fieldSelector=spec.nodeName%3Dn1",
            true,
            false,
        ),
        (
            "list",
            r"/apis/resource.k8s.io/v1/resourceslices?fieldSelector=spec.driver!%3Dx\,spec.nodeName%3Dn1",
            false,
            false,
        ),
        ("get", "/api/v1/namespaces/ns/pods/p", true, false),
        ("create", "/api/v1/namespaces/ns/events", true, true),
        ("patch", "/api/v1/nodes/n1/status", true, true),
        (
            "update",
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1",
            true,
            false,
        ),
        (
            "update",
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/n1",
            false,
            false,
        ),
        ("create", "/api/v1/namespaces/ns/secrets", false, false),
    ] {
        let info = info(verb, uri);
        for (user, want) in [(&n1, one), (&n2, two)] {
            let got = node.authorize(&Attributes { user, info: &info }).await;
            assert_eq!(
                matches!(got, Decision::Allow(_)),
                want,
                "{} {verb} {uri}: {got:?}",
                user.name
            );
        }
    }
    graph.apply("pods", "ns", "p", None);
    let gone = info("get", "/api/v1/namespaces/ns/secrets/s1");
    assert_eq!(
        node.authorize(&Attributes { user: &n1, info: &gone }).await,
        Decision::NoOpinion("no relationship found between node 'n1' and this object".into())
    );
    let plain = UserInfo::new("system:node:n1", &[]);
    assert_eq!(
        node.authorize(&Attributes {
            user: &plain,
            info: &gone
        })
        .await,
        Decision::NoOpinion(String::new())
    );
}
