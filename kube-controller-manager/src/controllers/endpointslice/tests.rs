use k8s_openapi::api::core::v1::{
    Container, ContainerPort, PodCondition, PodSpec, PodStatus, ServicePort, ServiceSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;

use super::*;

fn service(target: IntOrString) -> Service {
    let mut service = Service::default();
    service.metadata.name = Some("web".into());
    service.metadata.namespace = Some("ns".into());
    service.metadata.uid = Some("svc".into());
    service.metadata.labels = Some([("team".to_owned(), "x".to_owned())].into());
    let port = ServicePort {
        name: Some("http".into()),
        port: 80,
        target_port: Some(target),
        protocol: Some("TCP".into()),
        ..ServicePort::default()
    };
    service.spec = Some(ServiceSpec {
        cluster_ip: Some("10.96.0.10".into()),
        ip_families: Some(vec!["IPv4".into()]),
        selector: Some([("app".to_owned(), "web".to_owned())].into()),
        ports: Some(vec![port]),
        ..ServiceSpec::default()
    });
    service
}

fn pod(name: &str, ip: &str, ready: bool) -> Pod {
    let mut pod = Pod::default();
    pod.metadata.name = Some(name.into());
    pod.metadata.namespace = Some("ns".into());
    pod.metadata.uid = Some(name.into());
    let port = ContainerPort {
        name: Some("www".into()),
        container_port: 8080,
        ..ContainerPort::default()
    };
    let container = Container {
        name: "c".into(),
        ports: Some(vec![port]),
        ..Container::default()
    };
    pod.spec = Some(PodSpec {
        node_name: Some("n1".into()),
        containers: vec![container],
        ..PodSpec::default()
    });
    let condition = PodCondition {
        type_: "Ready".into(),
        status: if ready { "True" } else { "False" }.into(),
        ..PodCondition::default()
    };
    pod.status = Some(PodStatus {
        phase: Some("Running".into()),
        pod_ip: Some(ip.into()),
        conditions: Some(vec![condition]),
        ..PodStatus::default()
    });
    pod
}

fn no_zone(_: &str) -> Option<String> {
    None
}

fn run(service: &Service, pods: Vec<Pod>, existing: &[EndpointSlice], max: usize) -> slices::Plan {
    let pods: Vec<_> = pods.into_iter().map(Arc::new).collect();
    let existing: Vec<_> = existing.iter().cloned().map(Arc::new).collect();
    plan::plan(service, &pods, &no_zone, &existing, max)
}

fn counts(plan: &slices::Plan) -> (usize, usize, usize) {
    (plan.create.len(), plan.update.len(), plan.delete.len())
}

#[test]
fn endpoints_carry_state_and_named_ports() {
    let mut terminating = pod("c", "10.0.0.3", true);
    terminating.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    let mut finished = pod("d", "10.0.0.4", true);
    finished.status.as_mut().unwrap().phase = Some("Succeeded".into());
    let pods = vec![
        pod("a", "10.0.0.1", true),
        pod("b", "10.0.0.2", false),
        terminating,
        finished,
    ];
    let plan = run(&service(IntOrString::String("www".into())), pods, &[], 100);
    assert_eq!(counts(&plan), (1, 0, 0));
    let slice = &plan.create[0];
    assert_eq!(slice.ports.as_ref().unwrap()[0].port, Some(8080));
    assert_eq!(slice.ports.as_ref().unwrap()[0].name.as_deref(), Some("http"));
    let states: Vec<_> = slice
        .endpoints
        .as_ref()
        .unwrap()
        .iter()
        .map(|e| {
            let c = e.conditions.clone().unwrap();
            (
                e.addresses[0].clone(),
                c.ready.unwrap(),
                c.serving.unwrap(),
                c.terminating.unwrap(),
            )
        })
        .collect();
    assert_eq!(
        states,
        [
            ("10.0.0.1".into(), true, true, false),
            ("10.0.0.2".into(), false, false, false),
            ("10.0.0.3".into(), false, true, true)
        ]
    );
    let labels = slice.metadata.labels.as_ref().unwrap();
    assert_eq!(labels["kubernetes.io/service-name"], "web");
    assert_eq!(
        labels["endpointslice.kubernetes.io/managed-by"],
        "endpointslice-controller.k8s.io"
    );
    assert_eq!(labels["team"], "x");
    assert_eq!(slice.metadata.generate_name.as_deref(), Some("web-"));
}

/// A slice as the apiserver would have stored what was created.
fn stored(slice: &EndpointSlice, name: &str) -> EndpointSlice {
    let mut slice = slice.clone();
    slice.metadata.name = Some(name.into());
    slice.metadata.uid = Some(name.into());
    slice
}

#[test]
fn no_change_writes_nothing_and_a_change_updates_in_place() {
    let service = service(IntOrString::Int(8080));
    let pods = |ready| vec![pod("a", "10.0.0.1", true), pod("b", "10.0.0.2", ready)];
    let first = stored(&run(&service, pods(false), &[], 100).create[0], "s1");
    assert_eq!(
        counts(&run(&service, pods(false), std::slice::from_ref(&first), 100)),
        (0, 0, 0)
    );
    let plan = run(&service, pods(true), &[first], 100);
    assert_eq!(counts(&plan), (0, 1, 0));
    assert_eq!(plan.update[0].metadata.name.as_deref(), Some("s1"));
    assert_eq!(plan.update[0].endpoints.as_ref().unwrap().len(), 2);
}

#[test]
fn a_service_without_pods_keeps_one_empty_slice() {
    let service = service(IntOrString::Int(8080));
    let plan = run(&service, vec![], &[], 100);
    assert_eq!(counts(&plan), (1, 0, 0));
    let empty = stored(&plan.create[0], "s0");
    assert_eq!(empty.endpoints.as_deref(), Some(&[][..]));
    assert_eq!(
        counts(&run(&service, vec![], std::slice::from_ref(&empty), 100)),
        (0, 0, 0)
    );
    // Pods come: the placeholder has no ports, so a new slice takes its place. Nobody sees both.
    let plan = run(&service, vec![pod("a", "10.0.0.1", true)], &[empty], 100);
    assert_eq!(counts(&plan), (0, 1, 0));
    assert_eq!(plan.update[0].metadata.name.as_deref(), Some("s0"));
    assert_eq!(plan.update[0].ports.as_ref().map(Vec::len), Some(1));
}

#[test]
fn many_pods_fill_several_slices_and_room_is_reused() {
    let service = service(IntOrString::Int(8080));
    let pods = |n: usize| {
        (0..n)
            .map(|i| pod(&format!("p{i:03}"), &format!("10.0.1.{}", 100 + i), true))
            .collect::<Vec<_>>()
    };
    let plan = run(&service, pods(25), &[], 10);
    let sizes: Vec<_> = plan
        .create
        .iter()
        .map(|s| s.endpoints.as_ref().unwrap().len())
        .collect();
    assert_eq!(sizes, [10, 10, 5]);
    let slices: Vec<_> = plan
        .create
        .iter()
        .enumerate()
        .map(|(i, s)| stored(s, &format!("s{i}")))
        .collect();
    let plan = run(&service, pods(28), &slices, 10);
    assert_eq!(counts(&plan), (0, 1, 0));
    assert_eq!(plan.update[0].metadata.name.as_deref(), Some("s2"));
    let plan = run(&service, pods(10), &slices, 10);
    assert_eq!(counts(&plan), (0, 0, 2));
}

#[test]
fn both_families_get_their_slices() {
    let mut service = service(IntOrString::Int(8080));
    service.spec.as_mut().unwrap().ip_families = Some(vec!["IPv4".into(), "IPv6".into()]);
    let mut dual = pod("a", "10.0.0.1", true);
    dual.status.as_mut().unwrap().pod_ips = Some(
        ["10.0.0.1", "fd00::1"]
            .map(|ip| k8s_openapi::api::core::v1::PodIP { ip: ip.into() })
            .into(),
    );
    let plan = run(&service, vec![dual], &[], 100);
    let types: Vec<_> = plan.create.iter().map(|s| s.address_type.as_str()).collect();
    assert_eq!(types, ["IPv4", "IPv6"]);
}

#[test]
fn a_service_that_asks_for_closeness_gets_hints_on_ready_endpoints() {
    let mut service = service(IntOrString::Int(8080));
    let hints = |service: &Service| {
        let pods = [pod("a", "10.0.0.1", true), pod("b", "10.0.0.2", false)];
        let pods: Vec<_> = pods.into_iter().map(Arc::new).collect();
        let plan = plan::plan(service, &pods, &|node| Some(format!("zone-of-{node}")), &[], 100);
        let endpoints = plan.create[0].endpoints.clone().unwrap();
        assert_eq!(endpoints[1].hints, None);
        endpoints[0].hints.clone().map(|h| {
            (
                h.for_zones.map(|z| z[0].name.clone()),
                h.for_nodes.map(|n| n[0].name.clone()),
            )
        })
    };
    assert_eq!(hints(&service), None);
    service.spec.as_mut().unwrap().traffic_distribution = Some("PreferClose".into());
    assert_eq!(hints(&service), Some((Some("zone-of-n1".into()), None)));
    service.spec.as_mut().unwrap().traffic_distribution = Some("PreferSameNode".into());
    assert_eq!(hints(&service), Some((Some("zone-of-n1".into()), Some("n1".into()))));
}
