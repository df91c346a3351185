#![allow(clippy::unwrap_used)]
use super::*;

fn raw(pairs: &[(&str, &str)]) -> RawResourceList {
    pairs
        .iter()
        .map(|(k, v)| (k.to_string(), RawQuantity(v.to_string())))
        .collect()
}

fn container(name: &str, requests: &[(&str, &str)], limits: &[(&str, &str)]) -> Container {
    Container {
        name: name.into(),
        resources: Some(ResourceRequirements {
            requests: Some(raw(requests)),
            limits: Some(raw(limits)),
            claims: None,
        }),
        ..Container::default()
    }
}

fn sidecar(name: &str, requests: &[(&str, &str)]) -> Container {
    Container {
        restart_policy: Some("Always".into()),
        ..container(name, requests, &[])
    }
}

fn pod(containers: Vec<Container>, init: Vec<Container>) -> Pod {
    Pod {
        spec: Some(PodSpec {
            containers,
            init_containers: Some(init),
            ..PodSpec::default()
        }),
        ..Pod::default()
    }
}

fn milli_cpu(list: &ResourceList) -> i64 {
    list["cpu"].milli_value()
}

#[test]
fn requests_follow_the_sidecar_formula() {
    let cpu = |v| vec![("cpu", v)];
    let cases = [
        (
            pod(
                vec![container("a", &cpu("1"), &[]), container("b", &cpu("500m"), &[])],
                vec![],
            ),
            1500,
        ),
        // A plain init container counts only when it is wider than the containers.
        (
            pod(
                vec![container("a", &cpu("1"), &[])],
                vec![container("i", &cpu("2"), &[])],
            ),
            2000,
        ),
        // A sidecar adds to both the containers and the later init containers.
        (
            pod(
                vec![container("a", &cpu("1"), &[])],
                vec![sidecar("s", &cpu("1")), container("i", &cpu("2"), &[])],
            ),
            3000,
        ),
        // An init container before the sidecar does not run beside it.
        (
            pod(
                vec![container("a", &cpu("1"), &[])],
                vec![container("i", &cpu("2"), &[]), sidecar("s", &cpu("1"))],
            ),
            2000,
        ),
    ];
    for (pod, want) in cases {
        assert_eq!(milli_cpu(&pod_requests(&pod, Options::default())), want, "{pod:?}");
    }
}

#[test]
fn pod_level_requests_replace_the_sum_and_overhead_comes_on_top() {
    let mut pod = pod(vec![container("a", &[("cpu", "1")], &[("cpu", "2")])], vec![]);
    let spec = pod.spec.as_mut().unwrap();
    spec.overhead = Some(raw(&[("cpu", "250m"), ("memory", "1Mi")]));
    spec.resources = Some(ResourceRequirements {
        requests: Some(raw(&[("cpu", "4")])),
        ..ResourceRequirements::default()
    });
    assert_eq!(milli_cpu(&pod_requests(&pod, Options::default())), 4250);
    let bare = Options {
        exclude_overhead: true,
        skip_pod_level: true,
        ..Options::default()
    };
    assert_eq!(milli_cpu(&pod_requests(&pod, bare)), 1000);
    let limits = pod_limits(&pod, Options::default());
    assert_eq!(milli_cpu(&limits), 2250);
    assert!(!limits.contains_key("memory"), "overhead does not invent a limit");
}

#[test]
fn missing_requests_take_the_given_default() {
    let pod = pod(
        vec![container("a", &[], &[]), container("b", &[("cpu", "0")], &[])],
        vec![],
    );
    let defaults = parse_list(Some(&raw(&[("cpu", "100m")])));
    let options = Options {
        non_missing: Some(&defaults),
        ..Options::default()
    };
    assert_eq!(milli_cpu(&pod_requests(&pod, options)), 100);
}

#[test]
fn status_resources_count_when_they_are_larger() {
    let mut pod = pod(vec![container("a", &[("cpu", "1")], &[])], vec![]);
    pod.status = Some(PodStatus {
        container_statuses: Some(vec![ContainerStatus {
            name: "a".into(),
            allocated_resources: Some(raw(&[("cpu", "3")])),
            ..ContainerStatus::default()
        }]),
        ..PodStatus::default()
    });
    let options = Options {
        use_status: true,
        ..Options::default()
    };
    assert_eq!(milli_cpu(&pod_requests(&pod, options)), 3000);
    assert_eq!(milli_cpu(&pod_requests(&pod, Options::default())), 1000);
}
