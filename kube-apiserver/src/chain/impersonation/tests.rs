#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use http::HeaderValue;
use serde_json::json;

use super::*;
use crate::authz::rbac::{Rbac, feed};
use crate::request::RequestInfo;

/// Everybody holds these rules in the cluster.
fn authorizer(rules: serde_json::Value) -> Union {
    let rbac = Rbac::default();
    let role = json!({"metadata": {"name": "r"}, "rules": rules});
    let binding = json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"},
        "subjects": [{"kind": "Group", "name": "all"}]});
    feed(&rbac, [("clusterroles", &role), ("clusterrolebindings", &binding)]);
    Union::new(vec![Arc::new(rbac)])
}

fn context() -> RequestContext {
    RequestContext {
        user: UserInfo {
            extra: [(
                "authentication.kubernetes.io/node-name".to_owned(),
                vec!["n1".to_owned()],
            )]
            .into(),
            ..UserInfo::new("system:serviceaccount:ns:agent", &["all"])
        },
        info: RequestInfo::parse(&http::Method::GET, "/api/v1/pods", ""),
        ..Default::default()
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

async fn outcome(rules: &serde_json::Value, pairs: &[(&'static str, &str)]) -> Result<UserInfo> {
    let (mut ctx, mut headers) = (context(), headers(pairs));
    apply(&authorizer(rules.clone()), &mut ctx, &mut headers).await?;
    assert!(headers.is_empty(), "{headers:?}");
    Ok(ctx.user)
}

fn rule(verbs: &[&str], group: &str, resource: &str) -> serde_json::Value {
    json!({"verbs": verbs, "apiGroups": [group], "resources": [resource]})
}

#[tokio::test]
async fn every_part_of_a_user_is_asked_for() {
    let users = rule(&["impersonate"], "", "users");
    let groups = rule(&["impersonate"], "", "groups");
    let extras = rule(&["impersonate"], "authentication.k8s.io", "userextras/scopes");
    let user = [("impersonate-user", "jane")];
    let grouped = [("impersonate-user", "jane"), ("impersonate-group", "devs")];
    let extra = [("impersonate-user", "jane"), ("impersonate-extra-scopes", "view")];
    for (rules, pairs, allowed) in [
        (json!([]), &user[..], false),
        (json!([users]), &user[..], true),
        (json!([users]), &grouped[..], false),
        (json!([users, groups]), &grouped[..], true),
        (json!([users, groups]), &extra[..], false),
        (json!([users, extras]), &extra[..], true),
    ] {
        assert_eq!(outcome(&rules, pairs).await.is_ok(), allowed, "{rules} {pairs:?}");
    }
    let got = outcome(&json!([users, groups]), &grouped).await.unwrap();
    assert_eq!(
        (got.name.as_str(), got.groups),
        ("jane", vec!["devs".to_owned(), "system:authenticated".to_owned()])
    );
}

#[tokio::test]
async fn a_name_beyond_ascii_is_a_name() {
    // Were the header overlooked, the request would run with the rights of whoever sent it.
    let rules = json!([rule(&["impersonate"], "", "users")]);
    let got = outcome(&rules, &[("impersonate-user", "jürgen")]).await.unwrap();
    assert_eq!(got.name, "jürgen");
    assert!(outcome(&json!([]), &[("impersonate-user", "jürgen")]).await.is_err());
}

#[tokio::test]
async fn parts_without_a_name_are_refused() {
    let error = outcome(&json!([]), &[("impersonate-group", "a")]).await.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (
            400,
            r#"requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"a"}, Extra:map[string][]string(nil)} without impersonating a user name"#
        )
    );
}

#[tokio::test]
async fn constrained_impersonation_needs_the_right_to_the_request_too() {
    let auth = "authentication.k8s.io";
    let on = |mode: &str, verb: &str| json!({"verbs": [format!("impersonate-on:{mode}:{verb}")], "apiGroups": [""], "resources": ["pods"]});
    let nodes = rule(&["impersonate:associated-node"], auth, "nodes");
    let any_node = rule(&["impersonate:arbitrary-node"], auth, "nodes");
    let accounts = rule(&["impersonate:serviceaccount"], auth, "serviceaccounts");
    let users = rule(&["impersonate:user-info"], auth, "users");
    let groups = rule(&["impersonate:user-info"], auth, "groups");
    for (rules, pairs, allowed) in [
        (
            json!([users, on("user-info", "list")]),
            &[("impersonate-user", "jane")][..],
            true,
        ),
        (
            json!([users, on("user-info", "get")]),
            &[("impersonate-user", "jane")],
            false,
        ),
        (json!([on("user-info", "list")]), &[("impersonate-user", "jane")], false),
        (
            json!([users, groups, on("user-info", "list")]),
            &[("impersonate-user", "jane"), ("impersonate-group", "system:masters")],
            false,
        ),
        (
            json!([nodes, on("associated-node", "list")]),
            &[("impersonate-user", "system:node:n1")],
            true,
        ),
        (
            json!([nodes, on("associated-node", "list")]),
            &[("impersonate-user", "system:node:n2")],
            false,
        ),
        (
            json!([any_node, on("arbitrary-node", "list")]),
            &[("impersonate-user", "system:node:n2")],
            true,
        ),
        // Nodes and service accounts are no other users.
        (
            json!([users, on("user-info", "list")]),
            &[("impersonate-user", "system:node:n2")],
            false,
        ),
        (
            json!([accounts, on("serviceaccount", "list")]),
            &[("impersonate-user", "system:serviceaccount:a:b")],
            true,
        ),
    ] {
        assert_eq!(outcome(&rules, pairs).await.is_ok(), allowed, "{rules} {pairs:?}");
    }
    let rules = json!([nodes, on("associated-node", "list")]);
    let got = outcome(&rules, &[("impersonate-user", "system:node:n1")]).await;
    assert_eq!(got.unwrap().groups, ["system:nodes", "system:authenticated"]);
    let error = outcome(&json!([]), &[("impersonate-user", "jane")]).await.unwrap_err();
    assert_eq!(
        error.message,
        r#"pods is forbidden: User "system:serviceaccount:ns:agent" cannot impersonate-on:user-info:list resource "pods" in API group "" at the cluster scope"#
    );
}
