#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use base64::Engine as _;
use serde_json::{Value, json};

use super::*;
use crate::objects::memory::MemoryObjects;
use crate::request::UserInfo;

fn world(objects: Arc<MemoryObjects>) -> World {
    World {
        objects,
        authorizer: Union::default(),
        rbac: None,
        toleration_seconds: Default::default(),
        configurations: Default::default(),
    }
}

fn context(group: &str, resource: &str, sub: &str, ns: &str, name: &str, user: UserInfo) -> RequestContext {
    let mut ctx = RequestContext::internal_for("create", group, "v1", resource, ns, name);
    ctx.info.subresource = sub.to_owned();
    ctx.user = user;
    ctx
}

async fn run(
    chain: &Chain,
    ctx: &RequestContext,
    op: Operation,
    old: Option<&Value>,
    mut obj: Value,
) -> Result<Value, ApiError> {
    let attrs = Attributes {
        ctx,
        operation: op,
        old,
    };
    chain.admit(&attrs, &mut obj).await?;
    chain.validate(&attrs, &obj).await?;
    Ok(obj)
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

#[test]
fn plugin_flags_add_subtract_and_refuse_unknown_names() {
    let on = plugins::enabled(&names(&["NodeRestriction"]), &names(&["LimitRanger"])).unwrap();
    assert!(on.contains(&"NodeRestriction") && on.contains(&"ServiceAccount") && !on.contains(&"LimitRanger"));
    let errors = plugins::enabled(&names(&["Nope"]), &names(&["Bad"])).unwrap_err();
    assert_eq!(
        errors,
        [
            r#"enable-admission-plugins plugin "Nope" is unknown"#,
            r#"disable-admission-plugins plugin "Bad" is unknown"#
        ]
    );
    assert!(plugins::enabled(&names(&["LimitRanger"]), &names(&["LimitRanger"])).is_err());
}

#[test]
fn a_plugin_that_cannot_be_made_is_named_with_what_is_wrong() {
    let refusal = Chain::new(&world(base()), &names(&["EventRateLimit"]), &[]).err();
    let wanted = r#"couldn't init admission plugin "EventRateLimit": limits: Invalid value: null: must not be empty"#;
    assert_eq!(refusal, Some(vec![wanted.to_owned()]));
}

fn base() -> Arc<MemoryObjects> {
    MemoryObjects::with(&[
        (
            "",
            "namespaces",
            json!({"metadata":{"name":"ns"},"status":{"phase":"Active"}}),
        ),
        (
            "",
            "namespaces",
            json!({"metadata":{"name":"dying"},"status":{"phase":"Terminating"}}),
        ),
        (
            "",
            "serviceaccounts",
            json!({"metadata":{"name":"default","namespace":"ns"},"imagePullSecrets":[{"name":"pull"}]}),
        ),
        ("", "nodes", json!({"metadata":{"name":"n1","uid":"node-uid"}})),
        (
            "",
            "pods",
            json!({"metadata":{"name":"mounts","namespace":"ns","uid":"u"},"spec":{"nodeName":"n1","volumes":[
                {"name":"t","projected":{"sources":[{"serviceAccountToken":{"audience":"vault"}}]}},
                {"name":"v","csi":{"driver":"d"}}]}}),
        ),
        (
            "storage.k8s.io",
            "csidrivers",
            json!({"metadata":{"name":"d"},"spec":{"tokenRequests":[{"audience":"of-the-driver"}]}}),
        ),
        (
            "scheduling.k8s.io",
            "priorityclasses",
            json!({"metadata":{"name":"high"},"value":1000,"preemptionPolicy":"Never"}),
        ),
        (
            "storage.k8s.io",
            "storageclasses",
            json!({"metadata":{"name":"std","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}),
        ),
    ])
}

fn chain(objects: Arc<MemoryObjects>) -> Chain {
    Chain::new(&world(objects), &names(&["NodeRestriction"]), &[]).unwrap()
}

#[tokio::test]
async fn a_plain_pod_gets_account_token_tolerations_and_priority() {
    let ctx = context("", "pods", "", "ns", "", UserInfo::new("u", &[]));
    let pod = json!({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}});
    let out = run(&chain(base()), &ctx, Operation::Create, None, pod).await.unwrap();
    let spec = &out["spec"];
    assert_eq!(
        (&spec["serviceAccountName"], &spec["serviceAccount"]),
        (&json!("default"), &json!("default"))
    );
    assert_eq!(spec["imagePullSecrets"], json!([{"name":"pull"}]));
    assert_eq!(
        (&spec["priority"], &spec["preemptionPolicy"]),
        (&json!(0), &json!("PreemptLowerPriority"))
    );
    assert_eq!(spec["tolerations"].as_array().unwrap().len(), 2);
    assert_eq!(spec["tolerations"][0]["key"], "node.kubernetes.io/not-ready");
    let volume = &spec["volumes"][0];
    assert!(volume["name"].as_str().unwrap().starts_with("kube-api-access-"));
    assert_eq!(
        volume["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"],
        3607
    );
    assert_eq!(volume["projected"]["defaultMode"], 420);
    assert_eq!(
        spec["containers"][0]["volumeMounts"][0]["mountPath"],
        "/var/run/secrets/kubernetes.io/serviceaccount"
    );
}

#[tokio::test]
async fn automount_can_be_turned_off() {
    let ctx = context("", "pods", "", "ns", "", UserInfo::new("u", &[]));
    let pod =
        json!({"metadata":{"name":"p"},"spec":{"automountServiceAccountToken":false,"containers":[{"name":"c"}]}});
    let out = run(&chain(base()), &ctx, Operation::Create, None, pod).await.unwrap();
    assert!(out["spec"].get("volumes").is_none());
}

#[tokio::test]
async fn refusals_have_upstreams_words() {
    let chain = chain(base());
    let u = || UserInfo::new("u", &[]);
    let n = || UserInfo::new("system:node:n1", &["system:nodes"]);
    let pod = |spec: Value| json!({"metadata":{"name":"p"},"spec":spec});
    for (ctx, op, old, obj, code, message) in [
        (
            context("", "pods", "", "nope", "", u()),
            Operation::Create,
            None,
            pod(json!({})),
            404,
            r#"namespaces "nope" not found"#,
        ),
        (
            context("", "pods", "", "dying", "", u()),
            Operation::Create,
            None,
            pod(json!({})),
            403,
            r#"pods "p" is forbidden: unable to create new content in namespace dying because it is being terminated"#,
        ),
        (
            context("", "namespaces", "", "", "default", u()),
            Operation::Delete,
            None,
            Value::Null,
            403,
            r#"namespaces "default" is forbidden: this namespace may not be deleted"#,
        ),
        (
            context("", "pods", "", "ns", "", u()),
            Operation::Create,
            None,
            pod(json!({"serviceAccountName":"gone"})),
            403,
            r#"pods "p" is forbidden: error looking up service account ns/gone: serviceaccount "gone" not found"#,
        ),
        (
            context("", "pods", "", "ns", "", u()),
            Operation::Create,
            None,
            pod(json!({"priorityClassName":"x"})),
            403,
            r#"pods "p" is forbidden: no PriorityClass with name x was found"#,
        ),
        (
            context("", "pods", "", "ns", "", u()),
            Operation::Create,
            None,
            pod(json!({"runtimeClassName":"x"})),
            403,
            r#"pods "p" is forbidden: pod rejected: RuntimeClass "x" not found"#,
        ),
        (
            context("", "pods", "", "ns", "", n()),
            Operation::Create,
            None,
            pod(json!({"nodeName":"n1"})),
            403,
            r#"pods "p" is forbidden: pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods"#,
        ),
        (
            context("", "nodes", "", "", "n2", n()),
            Operation::Update,
            Some(json!({})),
            json!({}),
            403,
            r#"nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2""#,
        ),
        (
            context("", "nodes", "", "", "n1", n()),
            Operation::Update,
            Some(json!({})),
            json!({"metadata":{"labels":{"node-restriction.kubernetes.io/a":"b","example.com/ok":"1","kubernetes.io/os":"linux"}}}),
            403,
            r#"nodes "n1" is forbidden: is not allowed to modify labels: node-restriction.kubernetes.io/a"#,
        ),
        (
            context("", "nodes", "", "", "n1", n()),
            Operation::Update,
            Some(json!({"spec":{"taints":[{"key":"a"}]}})),
            json!({}),
            403,
            r#"nodes "n1" is forbidden: node "n1" is not allowed to modify taints"#,
        ),
        (
            context("", "nodes", "", "", "n1", n()),
            Operation::Update,
            Some(json!({})),
            json!({"metadata":{"labels":{"node-restriction.kubernetes.io/a":"b"},"ownerReferences":[{"name":"o"}]}}),
            403,
            r#"nodes "n1" is forbidden: node "n1" is not allowed to modify ownerReferences"#,
        ),
        (
            context("", "nodes", "", "", "n1", n()),
            Operation::Create,
            None,
            json!({"spec":{"configSource":{}}}),
            403,
            r#"nodes "n1" is forbidden: node "n1" is not allowed to create pods with a non-nil configSource"#,
        ),
        (
            context("", "nodes", "", "", "n1", n()),
            Operation::Update,
            Some(json!({})),
            json!({"spec":{"configSource":{"configMap":{"name":"of-others"}},"taints":[{"key":"a"}]}}),
            403,
            r#"nodes "n1" is forbidden: node "n1" is not allowed to update configSource to a new non-nil configSource"#,
        ),
        (
            context("", "serviceaccounts", "token", "ns", "default", n()),
            Operation::Create,
            None,
            json!({"spec":{}}),
            403,
            r#"serviceaccounts "default" is forbidden: node requested token not bound to a pod"#,
        ),
        (
            context("", "serviceaccounts", "token", "ns", "default", n()),
            Operation::Create,
            None,
            token(&["vault", "other"]),
            403,
            r#"serviceaccounts "default" is forbidden: node may only request 0 or 1 audiences"#,
        ),
        (
            context("", "serviceaccounts", "token", "ns", "default", n()),
            Operation::Create,
            None,
            token(&["other"]),
            403,
            r#"serviceaccounts "default" is forbidden: audience "other" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience"#,
        ),
        (
            context("", "pods", "status", "ns", "p", n()),
            Operation::Update,
            Some(json!({"spec":{"nodeName":"n1"}})),
            json!({"spec":{"nodeName":"n1"},"status":{"resourceClaimStatuses":[{"name":"a","resourceClaimName":"of-others"}]}}),
            403,
            r#"pods "p" is forbidden: node "n1" cannot update resource claim statues"#,
        ),
        (
            context("", "pods", "status", "ns", "p", n()),
            Operation::Update,
            Some(json!({"spec":{"nodeName":"n1"}})),
            json!({"spec":{"nodeName":"n1"},"status":{"extendedResourceClaimStatus":{"resourceClaimName":"of-others"}}}),
            403,
            r#"pods "p" is forbidden: node "n1" cannot update extended resource claim status"#,
        ),
        (
            context("", "persistentvolumeclaims", "status", "ns", "c", n()),
            Operation::Update,
            Some(json!({"metadata":{"resourceVersion":"1"},"status":{"phase":"Bound"}})),
            json!({"metadata":{"resourceVersion":"1"},"status":{"phase":"Lost"}}),
            403,
            r#"persistentvolumeclaims "c" is forbidden: node "n1" is not allowed to update fields other than status.quantity and status.conditions"#,
        ),
        (
            context("resource.k8s.io", "resourceslices", "", "", "", n()),
            Operation::Create,
            None,
            json!({"metadata":{"name":"s"},"spec":{"nodeName":"n2"}}),
            403,
            r#"resourceslices.resource.k8s.io "s" is forbidden: can only create ResourceSlice with the same NodeName as the requesting node"#,
        ),
        (
            context("resource.k8s.io", "resourceslices", "", "", "s", n()),
            Operation::Delete,
            Some(json!({"metadata":{"name":"s"},"spec":{}})),
            Value::Null,
            403,
            r#"resourceslices.resource.k8s.io "s" is forbidden: can only delete ResourceSlice with the same NodeName as the requesting node"#,
        ),
        (
            context("certificates.k8s.io", "certificatesigningrequests", "", "", "", n()),
            Operation::Create,
            None,
            csr("system:node:n2"),
            403,
            r#"certificatesigningrequests.certificates.k8s.io "c" is forbidden: can only create a node CSR with CN=system:node:n1"#,
        ),
    ] {
        let err = run(&chain, &ctx, op, old.as_ref(), obj).await.unwrap_err();
        assert_eq!((err.code, err.message.as_str()), (code, message));
    }
}

/// A kubelet's request for a token of the pod `mounts`.
fn token(audiences: &[&str]) -> Value {
    json!({"spec":{"audiences":audiences,"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"mounts","uid":"u"}}})
}

fn csr(name: &str) -> Value {
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let pem = params
        .serialize_request(&rcgen::KeyPair::generate().unwrap())
        .unwrap()
        .pem()
        .unwrap();
    let request = base64::engine::general_purpose::STANDARD.encode(pem);
    json!({"metadata":{"name":"c"},"spec":{"signerName":"kubernetes.io/kubelet-serving","request":request}})
}

#[tokio::test]
async fn pods_carry_the_topology_of_their_node() {
    let objects = base();
    let labels = json!({"topology.kubernetes.io/zone":"z","topology.kubernetes.io/region":"r","other":"x"});
    objects.put("", "nodes", json!({"metadata":{"name":"n3","labels":labels}}));
    let chain = chain(objects);
    let u = || UserInfo::new("u", &[]);
    let binding = |node: &str| json!({"metadata":{"name":"p"},"target":{"kind":"Node","name":node}});
    let want = json!({"topology.kubernetes.io/zone":"z","topology.kubernetes.io/region":"r"});
    for (sub, obj, labels) in [
        ("binding", binding("n3"), Some(&want)),
        ("binding", binding("gone"), None),
        (
            "",
            json!({"metadata":{"name":"p"},"spec":{"nodeName":"n3"}}),
            Some(&want),
        ),
    ] {
        let ctx = context("", "pods", sub, "ns", "p", u());
        let got = run(&chain, &ctx, Operation::Create, None, obj).await.unwrap();
        assert_eq!(got.pointer("/metadata/labels"), labels, "{got}");
    }
}

#[tokio::test]
async fn a_claim_grows_when_it_is_bound_and_its_class_allows_it() {
    let objects = base();
    let class = |name: &str, grows: bool| json!({"metadata":{"name":name},"allowVolumeExpansion":grows});
    objects.put("storage.k8s.io", "storageclasses", class("grows", true));
    objects.put("storage.k8s.io", "storageclasses", class("fixed", false));
    let chain = chain(objects);
    let claim = |class: &str, phase: &str, size: &str| {
        json!({"metadata":{"name":"c"},"status":{"phase":phase},
            "spec":{"storageClassName":class,"resources":{"requests":{"storage":size}}}})
    };
    for (class, phase, size, allowed) in [
        ("grows", "Bound", "2Gi", true),
        ("grows", "Pending", "2Gi", false),
        ("fixed", "Bound", "2Gi", false),
        ("gone", "Bound", "2Gi", false),
        ("fixed", "Bound", "1024Mi", true),
    ] {
        let ctx = context("", "persistentvolumeclaims", "", "ns", "c", UserInfo::new("u", &[]));
        let old = claim(class, phase, "1Gi");
        let got = run(&chain, &ctx, Operation::Update, Some(&old), claim(class, phase, size)).await;
        assert_eq!(got.is_ok(), allowed, "{class} {phase} {size}: {got:?}");
    }
}

#[tokio::test]
async fn a_kubelet_writes_what_is_its_own() {
    let chain = chain(base());
    let n = || UserInfo::new("system:node:n1", &["system:nodes"]);
    for (ctx, op, old, obj) in [
        (
            context("", "serviceaccounts", "token", "ns", "default", n()),
            Operation::Create,
            None,
            token(&["vault"]),
        ),
        (
            context("", "serviceaccounts", "token", "ns", "default", n()),
            Operation::Create,
            None,
            token(&["of-the-driver"]),
        ),
        (
            context("", "persistentvolumeclaims", "status", "ns", "c", n()),
            Operation::Update,
            Some(json!({"metadata":{"resourceVersion":"1"}})),
            json!({"metadata":{"resourceVersion":"1"},"status":{"capacity":{"storage":"1Gi"}}}),
        ),
        (
            context("resource.k8s.io", "resourceslices", "", "", "", n()),
            Operation::Create,
            None,
            json!({"metadata":{"name":"s"},"spec":{"nodeName":"n1"}}),
        ),
        (
            context("certificates.k8s.io", "certificatesigningrequests", "", "", "", n()),
            Operation::Create,
            None,
            csr("system:node:n1"),
        ),
    ] {
        let got = run(&chain, &ctx, op, old.as_ref(), obj).await;
        assert!(got.is_ok(), "{} {got:?}", ctx.info.resource);
    }
}

#[tokio::test]
async fn a_kubelet_may_create_its_mirror_pod() {
    let ctx = context(
        "",
        "pods",
        "",
        "ns",
        "",
        UserInfo::new("system:node:n1", &["system:nodes"]),
    );
    let pod = json!({"metadata":{"name":"p","annotations":{"kubernetes.io/config.mirror":"x"},
        "ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n1","uid":"node-uid","controller":true}]},
        "spec":{"nodeName":"n1","containers":[{"name":"c"}]}});
    let out = run(&chain(base()), &ctx, Operation::Create, None, pod).await.unwrap();
    assert!(out["spec"].get("serviceAccountName").is_none());
}

#[tokio::test]
async fn a_kubelet_may_say_what_is_so_anyway_of_its_node() {
    let user = UserInfo::new("system:node:n1", &["system:nodes"]);
    let ctx = context("", "nodes", "status", "", "n1", user);
    let old = json!({"metadata":{"name":"n1"},"spec":{"configSource":{"configMap":{"name":"c"}}}});
    let empty = json!({"metadata":{"name":"n1","ownerReferences":[]},"spec":{"taints":[]}});
    for new in [old.clone(), empty] {
        run(&chain(base()), &ctx, Operation::Update, Some(&old), new)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn defaults_for_other_kinds() {
    let chain = chain(base());
    let u = || UserInfo::new("u", &[]);
    let node = run(
        &chain,
        &context("", "nodes", "", "", "", u()),
        Operation::Create,
        None,
        json!({"metadata":{"name":"n"}}),
    )
    .await
    .unwrap();
    assert_eq!(
        node["spec"]["taints"],
        json!([{"key":"node.kubernetes.io/not-ready","effect":"NoSchedule"}])
    );
    let claim = json!({"metadata":{"name":"c"},"spec":{}});
    let claim = run(
        &chain,
        &context("", "persistentvolumeclaims", "", "ns", "", u()),
        Operation::Create,
        None,
        claim,
    )
    .await
    .unwrap();
    assert_eq!(claim["spec"]["storageClassName"], "std");
    assert_eq!(claim["metadata"]["finalizers"], json!(["kubernetes.io/pvc-protection"]));
}

#[tokio::test]
async fn limit_ranges_default_and_bound_containers() {
    let objects = base();
    objects.put(
        "",
        "limitranges",
        json!({"metadata":{"name":"l","namespace":"ns"},"spec":{"limits":[
        {"type":"Container","default":{"cpu":"500m"},"defaultRequest":{"cpu":"100m"},"max":{"cpu":"1"}}]}}),
    );
    let chain = chain(objects);
    let ctx = context("", "pods", "", "ns", "", UserInfo::new("u", &[]));
    let pod = json!({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c"}]}});
    let out = run(&chain, &ctx, Operation::Create, None, pod).await.unwrap();
    assert_eq!(
        out["spec"]["containers"][0]["resources"],
        json!({"limits":{"cpu":"500m"},"requests":{"cpu":"100m"}})
    );
    let pod = json!({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"2"},"requests":{"cpu":"1"}}}]}});
    let err = run(&chain, &ctx, Operation::Create, None, pod).await.unwrap_err();
    assert_eq!(
        err.message,
        r#"pods "p" is forbidden: maximum cpu usage per Container is 1, but limit is 2"#
    );
}

#[tokio::test]
async fn nobody_grants_more_than_they_have() {
    let rbac = Arc::new(crate::authz::rbac::Rbac::default());
    let role = json!({"metadata":{"name":"reader"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]});
    let writer =
        json!({"metadata":{"name":"writer"},"rules":[{"verbs":["delete"],"apiGroups":[""],"resources":["pods"]}]});
    let binding = json!({"metadata":{"name":"b"},"roleRef":{"kind":"ClusterRole","name":"reader"},
        "subjects":[{"kind":"User","name":"u"}]});
    let objects = [
        ("clusterroles", &role),
        ("clusterroles", &writer),
        ("clusterrolebindings", &binding),
    ];
    crate::authz::rbac::feed(&rbac, objects);
    let mut w = world(base());
    w.authorizer = Union::new(vec![rbac.clone()]);
    w.rbac = Some(rbac);
    let chain = Chain::new(&w, &[], &[]).unwrap();
    let group = "rbac.authorization.k8s.io";
    let u = || UserInfo::new("u", &["devs"]);
    let masters = || UserInfo::new("root", &["system:masters"]);
    let bind = |role: &str| json!({"metadata":{"name":"x"},"roleRef":{"kind":"ClusterRole","name":role}});
    let aggregate =
        json!({"metadata":{"name":"a"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"a":"b"}}]}});
    for (resource, user, obj, ok) in [
        ("clusterroles", u(), role.clone(), true),
        ("clusterroles", u(), writer.clone(), false),
        ("clusterroles", masters(), writer.clone(), true),
        ("clusterrolebindings", u(), bind("reader"), true),
        ("clusterrolebindings", u(), bind("writer"), false),
        ("clusterrolebindings", u(), bind("missing"), false),
        ("clusterroles", u(), aggregate.clone(), false),
    ] {
        let ctx = context(group, resource, "", "", "", user);
        let got = run(&chain, &ctx, Operation::Create, None, obj.clone()).await;
        assert_eq!(got.is_ok(), ok, "{resource} {obj}: {got:?}");
    }
    let stronger = writer.clone();
    let ctx = context(group, "clusterroles", "", "", "", u());
    let err = run(&chain, &ctx, Operation::Create, None, writer).await.unwrap_err();
    assert_eq!(
        err.message,
        r#"clusterroles.rbac.authorization.k8s.io "writer" is forbidden: user "u" (groups=["devs"]) is attempting to grant RBAC permissions not currently held:
{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}"#
    );

    // Changes: (old, new, allowed).
    let labelled = |role: &Value| {
        let mut role = role.clone();
        role["metadata"]["labels"] = json!({"rbac.authorization.k8s.io/aggregate-to-view": "true"});
        role
    };
    let with_finalizer = |role: &Value| {
        let mut role = role.clone();
        role["metadata"]["finalizers"] = json!(["x/y"]);
        role
    };
    let plain = json!({"metadata":{"name":"a"},"rules":[]});
    for (old, new, ok) in [
        // A label may put a role's rules into another role.
        (&stronger, labelled(&stronger), false),
        (&role, labelled(&role), true),
        (&stronger, with_finalizer(&stronger), true),
        (&aggregate, plain.clone(), false),
    ] {
        let ctx = context(group, "clusterroles", "", "", "writer", u());
        let got = run(&chain, &ctx, Operation::Update, Some(old), new.clone()).await;
        assert_eq!(got.is_ok(), ok, "{old} -> {new}: {got:?}");
    }
    let ctx = context(group, "clusterroles", "", "", "a", u());
    let err = run(&chain, &ctx, Operation::Update, Some(&aggregate), plain)
        .await
        .unwrap_err();
    assert_eq!(
        err.message,
        r#"clusterroles.rbac.authorization.k8s.io "a" is forbidden: must have cluster-admin privileges to use the aggregationRule"#
    );
}
