#![allow(clippy::unwrap_used)]

use super::{Choice, Failure, schedule};
use crate::cache::Snapshot;
use crate::framework::plugin::Cycle;
use crate::framework::profile::Profile;
use crate::testing::{PodBuilder, node, pod, snapshot};

fn profile() -> Profile {
    crate::configuration::Configuration::default()
        .profiles(&crate::plugins::tests::handle())
        .unwrap()
        .remove(0)
}

fn run(snapshot: &Snapshot, pod: PodBuilder) -> Result<Choice, String> {
    let pod = pod.info();
    let profile = profile();
    let cycle = Cycle { pod: &pod, snapshot };
    schedule(&profile, cycle, 0, &mut |_| 0).map_err(|failure| match failure {
        Failure::NoNodes => "no nodes".to_owned(),
        Failure::Error(error) => error,
        Failure::Unfit(mut diagnosis) => {
            diagnosis.post_filter_message = profile.post_filter(cycle, &diagnosis).message;
            diagnosis.message()
        }
    })
}

fn goes_to(snapshot: &Snapshot, pod: PodBuilder) -> String {
    run(snapshot, pod).unwrap().node.to_string()
}

#[test]
fn the_emptier_node_is_chosen() {
    let nodes = snapshot(
        vec![node("busy"), node("idle")],
        vec![pod("a").cpu("2").memory("4Gi").on("busy")],
    );
    assert_eq!(goes_to(&nodes, pod("p").cpu("100m").memory("100Mi")), "idle");
}

#[test]
fn required_rules_exclude_nodes() {
    let nodes = snapshot(
        vec![
            node("cordoned").cordoned(),
            node("tainted").taint("k", "NoSchedule"),
            node("small").cpu("100m"),
            node("ssd").label("disk", "ssd"),
            node("port"),
        ],
        vec![pod("a").host_port(80).on("port")],
    );
    assert_eq!(goes_to(&nodes, pod("p").cpu("1").select("disk", "ssd")), "ssd");
    let choice = run(&nodes, pod("p").cpu("1").host_port(80)).unwrap();
    assert_eq!((&*choice.node, choice.evaluated, choice.feasible), ("ssd", 5, 1));
    assert_eq!(
        goes_to(
            &nodes,
            pod("p")
                .cpu("1")
                .tolerate("k")
                .select("none", "x")
                .spec(|s| s.node_selector = None)
                .host_port(80)
                .spec(|s| s.node_name = Some("tainted".into()))
        ),
        "tainted"
    );
}

#[test]
fn messages_are_upstreams() {
    let tainted = snapshot(vec![node("n").taint("k", "NoSchedule")], vec![]);
    assert_eq!(
        run(&tainted, pod("p")).unwrap_err(),
        "0/1 nodes are available: 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/1 \
         nodes are available: 1 Preemption is not helpful for scheduling."
    );
    let full = snapshot(vec![node("n").cpu("1")], vec![pod("a").cpu("1").on("n")]);
    assert_eq!(
        run(&full, pod("p").cpu("1")).unwrap_err(),
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are \
         available: 1 No preemption victims found for incoming pod."
    );
    assert_eq!(
        run(&full, pod("p").cpu("5").request("example.com/gpu", "1")).unwrap_err(),
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient example.com/gpu. no new claims to deallocate, \
         preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    );
    assert_eq!(run(&Snapshot::default(), pod("p")).unwrap_err(), "no nodes");
}

#[test]
fn a_pod_pinned_by_field_asks_only_its_node() {
    let pinned = |name: &str| {
        let affinity = serde_json::json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}]}}});
        pod("p").spec(|spec| spec.affinity = serde_json::from_value(affinity).unwrap())
    };
    let nodes = snapshot(vec![node("a"), node("b").cordoned(), node("c")], vec![]);
    assert_eq!(run(&nodes, pinned("a")).unwrap().evaluated, 1);
    assert_eq!(
        run(&nodes, pinned("b")).unwrap_err(),
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. no \
         new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
}

#[test]
fn the_least_important_pods_make_room() {
    let nodes = snapshot(
        vec![node("a").cpu("2"), node("b").cpu("2")],
        vec![
            pod("a-high").cpu("1").priority(50).on("a"),
            pod("a-low").cpu("1").priority(1).on("a"),
            pod("b-mid").cpu("2").priority(20).on("b"),
        ],
    );
    let incoming = pod("p").cpu("1").priority(100).info();
    let cycle = Cycle {
        pod: &incoming,
        snapshot: &nodes,
    };
    let profile = profile();
    let Err(Failure::Unfit(diagnosis)) = schedule(&profile, cycle, 0, &mut |_| 0) else {
        panic!("it does not fit")
    };
    let plan = profile.post_filter(cycle, &diagnosis).plan.unwrap();
    let victims: Vec<_> = plan.victims.iter().map(|victim| victim.name.to_string()).collect();
    assert_eq!((&*plan.node, victims), ("a", vec!["a-low".to_owned()]));
}

#[test]
fn preferences_weigh_nodes() {
    let nodes = snapshot(vec![node("a").taint("k", "PreferNoSchedule"), node("b")], vec![]);
    assert_eq!(goes_to(&nodes, pod("p")), "b");
    let preferred = serde_json::json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 10, "preference": {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["z"]}]}}]}});
    let nodes = snapshot(vec![node("a"), node("b").label("zone", "z")], vec![]);
    assert_eq!(
        goes_to(
            &nodes,
            pod("p").spec(|spec| spec.affinity = serde_json::from_value(preferred).unwrap())
        ),
        "b"
    );
}

fn near(name: &str, anti: bool, app: &str) -> PodBuilder {
    let rule = if anti { "podAntiAffinity" } else { "podAffinity" };
    let affinity = serde_json::json!({rule: {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "zone"}]}});
    pod(name)
        .label("app", "web")
        .spec(|spec| spec.affinity = serde_json::from_value(affinity).unwrap())
}

#[test]
fn pods_keep_their_distance_or_stay_together() {
    let nodes = || vec![node("a").label("zone", "1"), node("b").label("zone", "2")];
    let there = || vec![pod("x").label("app", "web").on("a")];
    assert_eq!(goes_to(&snapshot(nodes(), there()), near("p", true, "web")), "b");
    assert_eq!(goes_to(&snapshot(nodes(), there()), near("p", false, "web")), "a");
    assert_eq!(
        run(
            &snapshot(vec![node("a").label("zone", "1")], there()),
            near("p", true, "web")
        )
        .unwrap_err(),
        "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules. no new claims to deallocate, \
         preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    );
    let shy = vec![near("x", true, "web").on("a")];
    assert_eq!(
        goes_to(&snapshot(nodes(), shy), pod("p").label("app", "web")),
        "b",
        "the other pod's wish counts"
    );
    assert!(
        run(&snapshot(nodes(), vec![]), near("p", false, "web")).is_ok(),
        "the first of its kind goes anywhere"
    );
    assert!(run(&snapshot(nodes(), vec![]), near("p", false, "db")).is_err());
}

#[test]
fn pods_spread_over_zones() {
    let spread = |effect: &str| {
        let constraint = serde_json::json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": effect,
            "labelSelector": {"matchLabels": {"app": "web"}}}]);
        pod("p").label("app", "web").spec(|spec| {
            spec.topology_spread_constraints = serde_json::from_value(constraint).unwrap();
        })
    };
    let nodes = || {
        vec![
            node("a").label("zone", "1"),
            node("b").label("zone", "2").cordoned(),
            node("c").label("zone", "3"),
        ]
    };
    let there = || {
        let web = |name: &str| pod(name).label("app", "web");
        vec![web("1").on("a"), web("2").on("b"), web("3").on("c"), web("4").on("a")]
    };
    for effect in ["DoNotSchedule", "ScheduleAnyway"] {
        assert_eq!(goes_to(&snapshot(nodes(), there()), spread(effect)), "c", "{effect}");
    }
    let crowded = snapshot(
        vec![node("a").label("zone", "1"), node("b").label("zone", "2").cordoned()],
        there(),
    );
    assert!(
        run(&crowded, spread("DoNotSchedule"))
            .unwrap_err()
            .contains("1 node(s) didn't match pod topology spread")
    );
    let unlabelled = snapshot(vec![node("a")], vec![]);
    assert!(
        run(&unlabelled, spread("DoNotSchedule"))
            .unwrap_err()
            .contains("(missing required label)")
    );
}
