#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::admission::{Chain, Configurations};
use crate::authz::Union;
use crate::objects::memory::MemoryObjects;
use crate::registry::{CachedObjects, Hooks, Registry};
use crate::request::RequestContext;
use crate::storage::memory::Memory;

fn world(objects: Arc<dyn Objects>) -> World {
    World {
        objects,
        authorizer: Union::default(),
        rbac: None,
        toleration_seconds: Default::default(),
        configurations: Default::default(),
    }
}

fn quota(name: &str, spec: Value, used: Value) -> Value {
    let status = json!({"hard": spec["hard"], "used": used});
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name, "namespace": "ns"},
        "spec": spec, "status": status})
}

fn with(quotas: &[Value]) -> Arc<MemoryObjects> {
    let quotas: Vec<_> = quotas
        .iter()
        .map(|quota| ("", "resourcequotas", quota.clone()))
        .collect();
    MemoryObjects::with(&quotas)
}

fn plugin(world: &World) -> ResourceQuota {
    ResourceQuota::new(world).unwrap()
}

/// One write, as `<group>/<resource>/<subresource>`.
fn context(what: &str) -> RequestContext {
    let mut parts = what.split('/');
    let mut part = || parts.next().unwrap_or_default();
    let mut ctx = RequestContext::internal_for("create", part(), "v1", part(), "ns", "");
    ctx.info.subresource = part().to_owned();
    ctx
}

async fn write(plugin: &ResourceQuota, ctx: &RequestContext, old: Option<&Value>, obj: &Value) -> Result<(), ApiError> {
    let operation = if old.is_some() {
        Operation::Update
    } else {
        Operation::Create
    };
    plugin.validate(&Attributes { ctx, operation, old }, obj).await
}

async fn used(objects: &dyn Objects, name: &str) -> Value {
    let quota = objects.latest("", "resourcequotas", "ns", name).await.unwrap();
    quota["status"]["used"].clone()
}

fn pod(name: &str, requests: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "ns"},
        "spec": {"containers": [{"name": "c", "resources": {"requests": requests}}]}})
}

#[tokio::test]
async fn a_create_takes_its_share_or_is_told_what_is_missing() {
    let hard = json!({"hard": {"pods": "2", "requests.cpu": "1", "requests.memory": "1Gi"}});
    let none = json!({"pods": "0", "requests.cpu": "0", "requests.memory": "0"});
    let cases = [
        (
            pod("p", json!({"cpu": "600m", "memory": "1Gi"})),
            none.clone(),
            Ok(json!({"pods": "1",
            "requests.cpu": "600m", "requests.memory": "1Gi"})),
        ),
        (
            pod("p", json!({"cpu": "600m"})),
            none.clone(),
            Err("failed quota: q: must specify requests.memory for: c"),
        ),
        (
            pod("p", json!({"cpu": "2", "memory": "2Gi"})),
            none.clone(),
            Err("exceeded quota: q, requested: \
            requests.cpu=2,requests.memory=2Gi, used: requests.cpu=0,requests.memory=0, \
            limited: requests.cpu=1,requests.memory=1Gi"),
        ),
        (
            pod("p", json!({"cpu": "1m", "memory": "1"})),
            json!({"pods": "2", "requests.cpu": "0",
            "requests.memory": "0"}),
            Err("exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"),
        ),
        (
            pod("p", json!({"cpu": "1m", "memory": "1"})),
            json!({"pods": "0"}),
            Err("status unknown for quota: q, resources: pods,requests.cpu,requests.memory"),
        ),
        (
            pod("p", json!({"cpu": "-1", "memory": "1"})),
            none.clone(),
            Err("quota usage is negative for resource(s): cpu,requests.cpu"),
        ),
    ];
    for (pod, before, wanted) in cases {
        let objects = with(&[quota("q", hard.clone(), before.clone())]);
        let outcome = write(&plugin(&world(objects.clone())), &context("/pods"), None, &pod).await;
        let after = used(&*objects, "q").await;
        match wanted {
            Ok(amounts) => {
                assert_eq!(outcome, Ok(()), "{pod}");
                assert_eq!(after, amounts, "{pod}");
            }
            Err(why) => {
                let error = outcome.unwrap_err();
                assert_eq!((error.code, &*error.reason), (403, "Forbidden"));
                assert_eq!(error.message, format!("pods \"p\" is forbidden: {why}"));
                assert_eq!(after, before, "{pod}");
            }
        }
    }
}

#[tokio::test]
async fn writes_that_take_nothing_are_let_through() {
    let full = json!({"pods": "1", "services": "1", "count/pods": "1", "count/deployments.apps": "1",
        "persistentvolumeclaims": "1", "requests.cpu": "1"});
    let objects = with(&[quota("q", json!({"hard": full}), full.clone())]);
    let quotas = plugin(&world(objects.clone()));
    let small = pod("p", json!({"cpu": "1"}));
    let large = pod("p", json!({"cpu": "2"}));
    let done = json!({"spec": small["spec"], "status": {"phase": "Failed"}});
    let cases = [
        ("/pods", Some(&small), &large, true),
        ("/pods/resize", Some(&small), &large, false),
        ("/pods/resize", Some(&large), &small, true),
        ("/pods/status", Some(&small), &done, true),
        ("/pods/binding", None, &small, true),
        ("/pods/eviction", None, &small, true),
        ("apps/deployments", None, &small, false),
        ("apps/deployments", Some(&small), &large, true),
        ("apps/deployments/scale", Some(&small), &large, true),
        ("extensions/deployments", None, &small, true),
        ("/events", None, &small, true),
        ("authorization.k8s.io/localsubjectaccessreviews", None, &small, true),
    ];
    for (what, old, new, through) in cases {
        let outcome = write(&quotas, &context(what), old, new).await;
        assert_eq!(outcome.is_ok(), through, "{what} {outcome:?}");
    }
    assert_eq!(used(&*objects, "q").await, full);
}

#[tokio::test]
async fn an_update_is_charged_for_what_it_adds_and_gives_nothing_back() {
    let hard = json!({"services": "2", "services.nodeports": "2", "services.loadbalancers": "1"});
    let before = json!({"services": "1", "services.nodeports": "0", "services.loadbalancers": "0"});
    let objects = with(&[quota("q", json!({"hard": hard}), before)]);
    let quotas = plugin(&world(objects.clone()));
    let service = |kind: &str, ports: usize| {
        let ports: Vec<Value> = (0..ports).map(|port| json!({"port": port + 80})).collect();
        json!({"metadata": {"name": "s"}, "spec": {"type": kind, "ports": ports}})
    };
    let steps = [
        ("ClusterIP", 2, "NodePort", 2, None, ["1", "2", "0"]),
        ("NodePort", 2, "LoadBalancer", 2, None, ["1", "2", "1"]),
        ("LoadBalancer", 2, "ClusterIP", 2, None, ["1", "2", "1"]),
        (
            "ClusterIP",
            1,
            "NodePort",
            1,
            Some("services.nodeports=1, used: services.nodeports=2"),
            ["1", "2", "1"],
        ),
    ];
    for (old, old_ports, new, ports, refused, amounts) in steps {
        let (old, new) = (service(old, old_ports), service(new, ports));
        let outcome = write(&quotas, &context("/services"), Some(&old), &new).await;
        match refused {
            None => outcome.unwrap(),
            Some(why) => assert!(outcome.unwrap_err().message.contains(why)),
        }
        let wanted = json!({"services": amounts[0], "services.nodeports": amounts[1],
            "services.loadbalancers": amounts[2]});
        assert_eq!(used(&*objects, "q").await, wanted);
    }
}

#[tokio::test]
async fn only_the_quotas_whose_scopes_look_at_a_pod_are_charged() {
    let scoped = |scope: &str| json!({"hard": {"pods": "1"}, "scopes": [scope]});
    let names = ["Terminating", "NotTerminating", "BestEffort", "NotBestEffort"];
    let high = json!({"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [
        {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}});
    let mut all: Vec<Value> = names
        .iter()
        .map(|name| quota(name, scoped(name), json!({"pods": "0"})))
        .collect();
    all.push(quota("high", high, json!({"pods": "0"})));
    let objects = with(&all);
    let quotas = plugin(&world(objects.clone()));
    let charged = async || {
        let mut charged = Vec::new();
        for name in names.iter().chain([&"high"]) {
            if used(&*objects, name).await == json!({"pods": "1"}) {
                charged.push(*name);
            }
        }
        charged
    };
    let mut first = pod("first", json!({}));
    first["spec"]["priorityClassName"] = json!("high");
    write(&quotas, &context("/pods"), None, &first).await.unwrap();
    assert_eq!(charged().await, ["NotTerminating", "BestEffort", "high"]);

    let mut short = pod("short", json!({"cpu": "1"}));
    short["spec"]["activeDeadlineSeconds"] = json!(5);
    let error = write(&quotas, &context("/pods"), None, &pod("second", json!({})))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("exceeded quota: BestEffort,"),
        "{}",
        error.message
    );
    write(&quotas, &context("/pods"), None, &short).await.unwrap();
    assert_eq!(
        charged().await,
        ["Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "high"]
    );

    // An update that brings a pod into a scope is charged there in full.
    let mut later = first.clone();
    later["spec"]["activeDeadlineSeconds"] = json!(5);
    let error = write(&quotas, &context("/pods"), Some(&first), &later)
        .await
        .unwrap_err();
    assert!(
        error.message.contains("exceeded quota: Terminating,"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn claims_are_charged_by_class_and_their_status_is_counted_but_not_refused() {
    let hard = json!({"persistentvolumeclaims": "1", "requests.storage": "2Gi",
        "gold.storageclass.storage.k8s.io/requests.storage": "2Gi"});
    let none = json!({"persistentvolumeclaims": "0", "requests.storage": "0",
        "gold.storageclass.storage.k8s.io/requests.storage": "0"});
    let objects = with(&[quota("q", json!({"hard": hard}), none)]);
    let quotas = plugin(&world(objects.clone()));
    let claim = |storage: &str, allocated: Value| {
        json!({"metadata": {"name": "c"}, "spec": {"storageClassName": "gold",
            "resources": {"requests": {"storage": storage}}}, "status": {"allocatedResources": allocated}})
    };
    let (small, grown) = (claim("1Gi", json!({})), claim("3Gi", json!({})));
    write(&quotas, &context("/persistentvolumeclaims"), None, &small)
        .await
        .unwrap();
    let error = write(&quotas, &context("/persistentvolumeclaims"), Some(&small), &grown)
        .await
        .unwrap_err();
    assert!(error.message.ends_with(
        "exceeded quota: q, requested: gold.storageclass.storage.k8s.io/requests.storage=2Gi,requests.storage=2Gi, \
         used: gold.storageclass.storage.k8s.io/requests.storage=1Gi,requests.storage=1Gi, \
         limited: gold.storageclass.storage.k8s.io/requests.storage=2Gi,requests.storage=2Gi"
    ));
    let allocated = claim("1Gi", json!({"storage": "3Gi"}));
    write(
        &quotas,
        &context("/persistentvolumeclaims/status"),
        Some(&small),
        &allocated,
    )
    .await
    .unwrap();
    let wanted = json!({"persistentvolumeclaims": "1", "requests.storage": "3Gi",
        "gold.storageclass.storage.k8s.io/requests.storage": "3Gi"});
    assert_eq!(used(&*objects, "q").await, wanted);
}

#[tokio::test]
async fn devices_of_a_claim_are_charged_by_class_and_by_the_resource_they_give() {
    let hard = json!({"count/resourceclaims.resource.k8s.io": "2", "gpu.deviceclass.resource.k8s.io/devices": "2",
        "requests.example.com/gpu": "2"});
    let none = json!({"count/resourceclaims.resource.k8s.io": "0", "gpu.deviceclass.resource.k8s.io/devices": "0",
        "requests.example.com/gpu": "0"});
    let objects = with(&[quota("q", json!({"hard": hard}), none)]);
    let class = json!({"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": "example.com/gpu"}});
    objects.put("resource.k8s.io", "deviceclasses", class);
    let quotas = plugin(&world(objects.clone()));
    let claim = |count: i64| {
        json!({"metadata": {"name": "c"}, "spec": {"devices": {"requests": [{"name": "r", "exactly":
            {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": count}}]}}})
    };
    let ctx = context("resource.k8s.io/resourceclaims");
    assert!(write(&quotas, &ctx, None, &claim(3)).await.is_err());
    write(&quotas, &ctx, None, &claim(2)).await.unwrap();
    let wanted = json!({"count/resourceclaims.resource.k8s.io": "1", "gpu.deviceclass.resource.k8s.io/devices": "2",
        "requests.example.com/gpu": "2"});
    assert_eq!(used(&*objects, "q").await, wanted);
}

#[tokio::test]
async fn a_dry_run_is_refused_like_any_other_and_takes_nothing() {
    let objects = with(&[quota("q", json!({"hard": {"secrets": "1"}}), json!({"secrets": "0"}))]);
    let quotas = plugin(&world(objects.clone()));
    let secret = json!({"metadata": {"name": "s"}});
    let mut dry = context("/secrets");
    dry.dry_run = true;
    for _ in 0..3 {
        write(&quotas, &dry, None, &secret).await.unwrap();
    }
    assert_eq!(used(&*objects, "q").await, json!({"secrets": "0"}));
    write(&quotas, &context("/secrets"), None, &secret).await.unwrap();
    assert!(write(&quotas, &dry, None, &secret).await.is_err());
    assert_eq!(used(&*objects, "q").await, json!({"secrets": "1"}));
}

/// Objects that count what is asked of the store, and change a quota behind the plugin's back.
struct Meddled {
    inner: Arc<MemoryObjects>,
    copies: Vec<Arc<Value>>,
    requests: AtomicUsize,
    /// What happens before the next writes of a status.
    foreign: Mutex<Vec<Value>>,
}

impl Meddled {
    /// `list` answers from a copy that stays as it is now.
    async fn new(quotas: &[Value], foreign: Vec<Value>) -> Arc<Self> {
        let inner = with(quotas);
        let copies = inner.list("", "resourcequotas", "ns").await.unwrap();
        Arc::new(Meddled {
            inner,
            copies,
            requests: AtomicUsize::default(),
            foreign: Mutex::new(foreign),
        })
    }
}

#[async_trait]
impl Objects for Meddled {
    async fn get(&self, _: &str, _: &str, _: &str, _: &str) -> Result<Arc<Value>, ApiError> {
        unreachable!("quotas are listed")
    }
    async fn latest(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Arc<Value>, ApiError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.inner.get(group, resource, namespace, name).await
    }
    async fn list(&self, _: &str, _: &str, namespace: &str) -> Result<Vec<Arc<Value>>, ApiError> {
        Ok(if namespace == "ns" {
            self.copies.clone()
        } else {
            Vec::new()
        })
    }
    async fn create(&self, _: &str, _: &str, _: &str, _: Value) -> Result<Arc<Value>, ApiError> {
        unreachable!("quotas are not created here")
    }
    async fn update(&self, _: &str, _: &str, _: &str, _: Value) -> Result<Arc<Value>, ApiError> {
        unreachable!("only the status is written")
    }
    async fn update_status(&self, group: &str, resource: &str, ns: &str, obj: Value) -> Result<Arc<Value>, ApiError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let foreign = self.foreign.lock().pop();
        match foreign {
            Some(Value::Null) => drop(self.inner.delete(group, resource, ns, "q").await),
            Some(quota) => drop(self.inner.put(group, resource, quota)),
            None => {}
        }
        self.inner.update(group, resource, ns, obj).await
    }
    async fn delete(&self, _: &str, _: &str, _: &str, _: &str) -> Result<(), ApiError> {
        unreachable!("quotas are not deleted here")
    }
}

#[tokio::test]
async fn a_namespace_without_quotas_costs_no_request() {
    let objects = Meddled::new(&[], vec![]).await;
    let quotas = plugin(&world(objects.clone()));
    write(&quotas, &context("/pods"), None, &pod("p", json!({})))
        .await
        .unwrap();
    assert_eq!(objects.requests.load(Ordering::Relaxed), 0);
    assert!(quotas.turns.is_idle());
}

#[tokio::test]
async fn a_quota_that_somebody_else_wrote_is_read_again() {
    let spec = json!({"hard": {"configmaps": "3"}});
    let now = |used: &str| quota("q", spec.clone(), json!({"configmaps": used}));
    let conflict = "Operation cannot be fulfilled on resourcequotas \"q\"";
    let cases = [
        (vec![now("1")], Ok(json!({"configmaps": "2"}))),
        (vec![now("2"), now("1")], Ok(json!({"configmaps": "3"}))),
        (
            vec![now("3")],
            Err("exceeded quota: q, requested: configmaps=1, used: configmaps=3, limited: configmaps=3"),
        ),
        (vec![now("1"), now("1"), now("1"), now("1")], Err(conflict)),
        (vec![Value::Null], Ok(Value::Null)),
    ];
    for (foreign, wanted) in cases {
        let objects = Meddled::new(&[now("0")], foreign.clone()).await;
        let quotas = plugin(&world(objects.clone()));
        let outcome = write(
            &quotas,
            &context("/configmaps"),
            None,
            &json!({"metadata": {"name": "c"}}),
        )
        .await;
        match wanted {
            Ok(Value::Null) => outcome.unwrap(),
            Ok(amounts) => {
                assert_eq!(outcome, Ok(()), "{foreign:?}");
                assert_eq!(used(&*objects, "q").await, amounts, "{foreign:?}");
            }
            Err(why) => {
                let error = outcome.unwrap_err();
                assert!(error.message.contains(why), "{}", error.message);
            }
        }
    }
}

#[tokio::test]
async fn a_second_try_neither_charges_the_other_quotas_again_nor_asks_whether_they_cover_the_write() {
    let hard = |name: &str| json!({"hard": {name: "3"}});
    let cover = quota("cover", hard("requests.cpu"), json!({"requests.cpu": "0"}));
    let objects = Meddled::new(
        &[cover, quota("q", hard("pods"), json!({"pods": "0"}))],
        vec![quota("q", hard("pods"), json!({"pods": "1"}))],
    )
    .await;
    let mut world = world(objects.clone());
    world.configurations = Configurations::telling(
        "ResourceQuota",
        json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "ResourceQuotaConfiguration",
            "limitedResources": [{"resource": "pods", "matchContains": ["requests.cpu"]}]}),
    );
    let pod = pod("p", json!({"cpu": "1"}));
    write(&plugin(&world), &context("/pods"), None, &pod).await.unwrap();
    assert_eq!(used(&*objects, "cover").await, json!({"requests.cpu": "1"}));
    assert_eq!(used(&*objects, "q").await, json!({"pods": "2"}));
}

#[tokio::test]
async fn what_this_server_wrote_is_newer_than_a_copy_that_is_behind() {
    let objects = Meddled::new(
        &[quota(
            "q",
            json!({"hard": {"configmaps": "2"}}),
            json!({"configmaps": "0"}),
        )],
        vec![],
    )
    .await;
    let quotas = plugin(&world(objects.clone()));
    let one = async || {
        write(
            &quotas,
            &context("/configmaps"),
            None,
            &json!({"metadata": {"name": "c"}}),
        )
        .await
    };
    one().await.unwrap();
    one().await.unwrap();
    assert!(one().await.is_err());
    // Two writes, no conflict.
    assert_eq!(objects.requests.load(Ordering::Relaxed), 2);
}

/// Validating admission of one chain, as a store calls it.
struct Guard<'a>(&'a Chain, &'a RequestContext);

#[async_trait]
impl Hooks for Guard<'_> {
    async fn admit(&self, _: &mut Value, _: Option<&Value>) -> Result<(), ApiError> {
        Ok(())
    }
    async fn validate(&self, obj: Option<&Value>, old: Option<&Value>) -> Result<(), ApiError> {
        let operation = if old.is_some() {
            Operation::Update
        } else {
            Operation::Create
        };
        let attrs = Attributes {
            ctx: self.1,
            operation,
            old,
        };
        self.0.validate(&attrs, obj.unwrap()).await
    }
}

/// A registry with one quota of `hard` configmaps that its controller has seen.
async fn registry(hard: usize) -> Arc<Registry> {
    let registry = Registry::new(Arc::new(Memory::default()), Default::default());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}});
    registry.create("", "namespaces", "", namespace).await.unwrap();
    let hard = json!({"configmaps": hard.to_string()});
    let new = quota("q", json!({"hard": hard}), json!({}));
    let mut seen = (*registry.create("", "resourcequotas", "ns", new).await.unwrap()).clone();
    seen["status"] = json!({"hard": hard, "used": {"configmaps": "0"}});
    registry.update_status("", "resourcequotas", "ns", seen).await.unwrap();
    registry
}

async fn create(registry: &Registry, chain: &Chain, name: &str) -> Result<(), ApiError> {
    let ctx = context("/configmaps");
    let store = registry.store("", "configmaps").unwrap();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    store.create(&ctx, "ns", map, &Guard(chain, &ctx)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_creates_at_once_as_many_succeed_as_the_quota_has_room_for() {
    const HARD: usize = 30;
    let shutdown = CancellationToken::new();
    let registry = registry(HARD).await;
    let objects = CachedObjects::start(&registry, &shutdown);
    let chain = Chain::new(&world(objects), &[], &[]).unwrap();
    assert_eq!(chain.names().last(), Some(&"ResourceQuota"));
    let all = (0..100).map(|i| {
        let (registry, chain) = (registry.clone(), chain.clone());
        tokio::spawn(async move { create(&registry, &chain, &format!("map-{i}")).await })
    });
    let mut made = 0;
    for outcome in futures::future::join_all(all).await {
        match outcome.unwrap() {
            Ok(()) => made += 1,
            Err(error) => assert!(error.message.contains("exceeded quota: q"), "{}", error.message),
        }
    }
    let there = registry.list("", "configmaps", "ns").await.unwrap().len();
    assert_eq!((made, there), (HARD, HARD));
    assert_eq!(used(&*registry, "q").await, json!({"configmaps": HARD.to_string()}));
    shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_servers_together_let_through_no_more_than_there_is_room_for() {
    const HARD: usize = 10;
    let shutdown = CancellationToken::new();
    let registry = registry(HARD).await;
    let chains = [0, 1].map(|_| {
        let objects = CachedObjects::start(&registry, &shutdown);
        Chain::new(&world(objects), &[], &[]).unwrap()
    });
    let all = (0..60).map(|i| {
        let (registry, chain) = (registry.clone(), chains[i % 2].clone());
        tokio::spawn(async move { create(&registry, &chain, &format!("map-{i}")).await })
    });
    futures::future::join_all(all).await;
    let there = registry.list("", "configmaps", "ns").await.unwrap().len();
    let used: usize = used(&*registry, "q").await["configmaps"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(0 < there && there <= used && used <= HARD, "{there} {used}");
    shutdown.cancel();
}

#[tokio::test]
async fn what_fails_after_it_was_charged_stays_charged_until_the_controller_counts_again() {
    let shutdown = CancellationToken::new();
    let registry = registry(5).await;
    let objects = CachedObjects::start(&registry, &shutdown);
    let chain = Chain::new(&world(objects), &[], &[]).unwrap();
    create(&registry, &chain, "a").await.unwrap();
    assert!(create(&registry, &chain, "a").await.unwrap_err().is_already_exists());
    assert_eq!(used(&*registry, "q").await, json!({"configmaps": "2"}));
    // The quota is charged to this server's own account, its spec is as it was.
    let quota = registry.get("", "resourcequotas", "ns", "q").await.unwrap();
    assert_eq!(quota["spec"]["hard"], json!({"configmaps": "5"}));
    assert_eq!(quota["metadata"]["managedFields"][1]["subresource"], "status");
    shutdown.cancel();
}

#[tokio::test]
async fn what_is_limited_by_default_needs_a_quota() {
    let configuration = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "ResourceQuotaConfiguration",
        "limitedResources": [
            {"resource": "pods", "matchContains": ["cpu"]},
            {"resource": "pods", "matchScopes": [
                {"scopeName": "PriorityClass", "operator": "In", "values": ["high", "higher"]}]}]});
    let cpu = pod("p", json!({"cpu": "1"}));
    let mut high = pod("p", json!({}));
    high["spec"]["priorityClassName"] = json!("high");
    let none = json!({"pods": "0", "requests.cpu": "0", "cpu": "0"});
    let all = quota("q", json!({"hard": {"requests.cpu": "2", "cpu": "2"}}), none.clone());
    let some = quota("q", json!({"hard": {"requests.cpu": "2"}}), none.clone());
    let of_class = json!({"hard": {"pods": "2"}, "scopeSelector": {"matchExpressions": [
        {"scopeName": "PriorityClass", "operator": "Exists"}]}});
    let cases = [
        (
            vec![],
            &cpu,
            Some((
                403,
                "pods \"p\" is forbidden: insufficient quota to consume: cpu,requests.cpu",
            )),
        ),
        (
            vec![some],
            &cpu,
            Some((403, "pods \"p\" is forbidden: insufficient quota to consume: cpu")),
        ),
        (vec![all], &cpu, None),
        (vec![], &pod("p", json!({})), None),
        (
            vec![],
            &high,
            Some((
                500,
                "insufficient quota to match these scopes: [{PriorityClass In [high higher]}]",
            )),
        ),
        (vec![quota("q", of_class, none)], &high, None),
    ];
    for (quotas, pod, wanted) in cases {
        let mut world = world(with(&quotas));
        world.configurations = Configurations::telling("ResourceQuota", configuration.clone());
        let outcome = write(&plugin(&world), &context("/pods"), None, pod).await;
        let said = outcome.as_ref().err().map(|e| (e.code, e.message.as_str()));
        assert_eq!(said, wanted, "{quotas:?} {pod}");
    }
}

#[test]
fn a_configuration_that_cannot_be_is_refused_at_start() {
    let telling = |kind: &str, rules: Value| {
        let value = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": kind, "limitedResources": rules});
        limited::rules(&Configurations::telling("ResourceQuota", value)).err()
    };
    assert_eq!(
        telling("ResourceQuotaConfiguration", json!([{"resource": "pods"}])),
        None
    );
    for (kind, rules, wanted) in [
        (
            "Configuration",
            json!([]),
            "no kind \"Configuration\" is registered for version",
        ),
        (
            "ResourceQuotaConfiguration",
            json!([{}]),
            "limitedResources[0].resource: Required value",
        ),
        (
            "ResourceQuotaConfiguration",
            json!([{"name": "pods"}]),
            "strict decoding error: unknown field \"name\"",
        ),
    ] {
        let wrong = telling(kind, rules).unwrap();
        assert!(wrong.starts_with(wanted), "{wrong}");
    }
}
