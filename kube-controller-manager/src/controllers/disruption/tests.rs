use serde_json::{Value, json};

use super::*;

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn ago(seconds: i64) -> String {
    Timestamp::from_second(1_000_000 - seconds).unwrap().to_string()
}

fn budget(spec: Value, status: Value) -> PodDisruptionBudget {
    serde_json::from_value(json!({"metadata": {"name": "b", "generation": 2}, "spec": spec, "status": status})).unwrap()
}

fn empty() -> Value {
    json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0})
}

fn pods(ready: &[bool]) -> Vec<Arc<Pod>> {
    let one = |(index, ready): (usize, &bool)| {
        let state = if *ready { "True" } else { "False" };
        let pod = json!({"metadata": {"name": format!("p{index}")},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": state}]}});
        Arc::new(serde_json::from_value(pod).unwrap())
    };
    ready.iter().enumerate().map(one).collect()
}

#[test]
fn what_may_go_is_what_is_healthy_beyond_what_is_wanted() {
    let three = BTreeMap::from([("u".to_owned(), 3)]);
    let huge = BTreeMap::from([("u".to_owned(), i32::MAX), ("v".to_owned(), i32::MAX)]);
    let none = BTreeMap::new();
    // spec, readiness, scales; expected, desired, healthy, allowed
    let cases = [
        (json!({"minAvailable": 2}), vec![true, true, true], &none, (3, 2, 3, 1)),
        (json!({"minAvailable": 2}), vec![true, true, false], &none, (3, 2, 2, 0)),
        (json!({"minAvailable": 0}), vec![], &none, (0, 0, 0, 0)),
        (
            json!({"minAvailable": "50%"}),
            vec![true, true, true],
            &three,
            (3, 2, 3, 1),
        ),
        (
            json!({"maxUnavailable": 1}),
            vec![true, true, true],
            &three,
            (3, 2, 3, 1),
        ),
        (json!({"maxUnavailable": 1}), vec![true, true], &three, (3, 2, 2, 0)),
        (
            json!({"maxUnavailable": "34%"}),
            vec![true, true, true],
            &three,
            (3, 1, 3, 2),
        ),
        (
            json!({"maxUnavailable": 9}),
            vec![true, false, false],
            &three,
            (3, 0, 1, 1),
        ),
        // More pods than a number can have.
        (
            json!({"maxUnavailable": 0}),
            vec![true],
            &huge,
            (i32::MAX, i32::MAX, 1, 0),
        ),
    ];
    for (spec, ready, scales, wanted) in cases {
        let status = plan::plan(&budget(spec.clone(), empty()), &pods(&ready), scales, now()).status;
        let found = (
            status.expected_pods,
            status.desired_healthy,
            status.current_healthy,
            status.disruptions_allowed,
        );
        let some = |(a, b, c, d): (i32, i32, i32, i32)| (Some(a), Some(b), Some(c), Some(d));
        assert_eq!(found, some(wanted), "{spec} {ready:?}");
        assert_eq!(status.observed_generation, Some(2));
        let condition = &status.conditions.unwrap()[0];
        let reason = if wanted.3 > 0 {
            "SufficientPods"
        } else {
            "InsufficientPods"
        };
        assert_eq!(
            (condition.type_.as_str(), condition.reason.as_str()),
            ("DisruptionAllowed", reason)
        );
    }
}

#[test]
fn a_second_look_finds_nothing_to_write() {
    let mut budget = budget(json!({"minAvailable": 1}), empty());
    let pods = pods(&[true, true]);
    budget.status = Some(plan::plan(&budget, &pods, &BTreeMap::new(), now()).status);
    let later = Timestamp::from_second(1_000_100).unwrap();
    assert_eq!(
        Some(plan::plan(&budget, &pods, &BTreeMap::new(), later).status),
        budget.status
    );
}

#[test]
fn evicted_pods_count_as_gone_until_they_are_overdue() {
    let mut status = empty();
    status["disruptedPods"] = json!({"p0": ago(20), "p1": ago(121), "elsewhere": ago(1)});
    let budget = budget(json!({"minAvailable": 1}), status);
    let looked = plan::plan(&budget, &pods(&[true, true, true]), &BTreeMap::new(), now());
    assert_eq!(looked.status.current_healthy, Some(2));
    assert_eq!(looked.status.disrupted_pods.unwrap().keys().collect::<Vec<_>>(), ["p0"]);
    assert_eq!(looked.recheck, Some(Duration::from_secs(100)));
    assert_eq!(looked.not_deleted.len(), 1);
}

#[test]
fn without_numbers_nothing_may_go() {
    let mut budget = budget(json!({"maxUnavailable": 1}), empty());
    budget.status.as_mut().unwrap().disruptions_allowed = Some(3);
    let status = plan::failed(&budget, "found no controllers for pod \"p\"", now());
    assert_eq!(status.disruptions_allowed, Some(0));
    let condition = &status.conditions.unwrap()[0];
    assert_eq!(
        (condition.status.as_str(), condition.reason.as_str()),
        ("False", "SyncFailed")
    );
}

#[test]
fn a_pod_that_was_not_disrupted_in_time_says_so() {
    let pod = |condition: Value| -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "generation": 7},
            "status": {"phase": "Running", "conditions": [condition]}}))
        .unwrap()
    };
    let said = |seconds: i64, reason: &str| {
        pod(json!({"type": "DisruptionTarget", "status": "True", "reason": reason, "lastTransitionTime": ago(seconds)}))
    };
    let cases = [
        (said(20, "EvictionByEvictionAPI"), Some(Duration::from_secs(100))),
        (said(500, "EvictionByEvictionAPI"), Some(Duration::ZERO)),
        (said(500, "TerminationByKubelet"), None),
        (pod(json!({"type": "Ready", "status": "True"})), None),
    ];
    for (pod, wanted) in &cases {
        assert_eq!(plan::stale_in(pod, now()), *wanted);
    }
    let reset = plan::not_disrupted(&cases[1].0, now());
    assert_eq!(plan::stale_in(&reset, now()), None);
    let condition = &reset.status.unwrap().conditions.unwrap()[0];
    assert_eq!(
        (condition.status.as_str(), condition.observed_generation),
        ("False", Some(7))
    );
}
