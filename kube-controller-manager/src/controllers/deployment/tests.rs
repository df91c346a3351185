use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    DeploymentCondition, DeploymentSpec, DeploymentStatus, DeploymentStrategy, ReplicaSetSpec, ReplicaSetStatus,
    RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{Container, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;

use super::*;

fn template(image: &str) -> PodTemplateSpec {
    let container = Container {
        name: "c".into(),
        image: Some(image.into()),
        ..Container::default()
    };
    let metadata = ObjectMeta {
        labels: Some([("app".to_owned(), "web".to_owned())].into()),
        ..ObjectMeta::default()
    };
    PodTemplateSpec {
        metadata: Some(metadata),
        spec: Some(PodSpec {
            containers: vec![container],
            ..PodSpec::default()
        }),
    }
}

fn deployment(replicas: i32, surge: &str, unavailable: &str) -> Deployment {
    let number = |text: &str| match text.parse() {
        Ok(n) => IntOrString::Int(n),
        Err(_) => IntOrString::String(text.into()),
    };
    let rolling = RollingUpdateDeployment {
        max_surge: Some(number(surge)),
        max_unavailable: Some(number(unavailable)),
    };
    let mut d = Deployment::default();
    d.metadata.name = Some("web".into());
    d.metadata.generation = Some(1);
    d.spec = Some(DeploymentSpec {
        replicas: Some(replicas),
        progress_deadline_seconds: Some(600),
        revision_history_limit: Some(10),
        strategy: Some(DeploymentStrategy {
            type_: Some("RollingUpdate".into()),
            rolling_update: Some(rolling),
        }),
        template: template("v2"),
        ..DeploymentSpec::default()
    });
    d
}

/// A ReplicaSet told to have `wanted`, with as many pods, of which `available` are.
fn set(name: &str, wanted: i32, available: i32) -> ReplicaSet {
    let mut s = ReplicaSet::default();
    s.metadata.name = Some(name.into());
    s.metadata.creation_timestamp = Some(Time(Timestamp::from_second(1000).unwrap()));
    s.spec = Some(ReplicaSetSpec {
        replicas: Some(wanted),
        ..ReplicaSetSpec::default()
    });
    s.status = Some(ReplicaSetStatus {
        replicas: wanted,
        ready_replicas: Some(available),
        available_replicas: Some(available),
        ..ReplicaSetStatus::default()
    });
    s
}

#[test]
fn surge_rounds_up_unavailable_down_and_both_are_never_zero() {
    for (replicas, surge, unavailable, want) in [
        (10, "25%", "25%", (3, 2)),
        (3, "25%", "25%", (1, 0)),
        (1, "25%", "25%", (1, 0)),
        (4, "0", "0", (0, 1)),
        (4, "0%", "10%", (0, 1)),
        (5, "1", "0", (1, 0)),
    ] {
        let d = deployment(replicas, surge, unavailable);
        assert_eq!(
            (plan::max_surge(&d), plan::max_unavailable(&d)),
            want,
            "{replicas} {surge} {unavailable}"
        );
    }
}

#[test]
fn new_set_grows_within_the_surge() {
    // (desired, surge, total told, new told) -> new size
    for (desired, surge, total, new, want) in [
        (10, "25%", 10, 0, 3),
        (10, "25%", 13, 3, 3),
        (10, "25%", 11, 3, 5),
        (3, "25%", 3, 0, 1),
        (3, "1", 0, 0, 3),
        (10, "100%", 10, 0, 10),
    ] {
        let d = deployment(desired, surge, "25%");
        assert_eq!(
            plan::new_set_replicas(&d, total, new),
            want,
            "{desired} {surge} {total} {new}"
        );
    }
}

#[test]
fn old_sets_shrink_by_what_is_unhealthy_and_what_availability_allows() {
    struct Case {
        name: &'static str,
        old: Vec<ReplicaSet>,
        new: ReplicaSet,
        want: Vec<(usize, i32)>,
    }
    for case in [
        Case {
            name: "nothing available yet",
            old: vec![set("a", 10, 10)],
            new: set("n", 3, 0),
            want: vec![(0, 8)],
        },
        Case {
            name: "at the limit",
            old: vec![set("a", 8, 8)],
            new: set("n", 5, 0),
            want: vec![],
        },
        Case {
            name: "new ones came",
            old: vec![set("a", 8, 8)],
            new: set("n", 5, 2),
            want: vec![(0, 6)],
        },
        Case {
            name: "unhealthy first, oldest first",
            old: vec![set("a", 4, 0), set("b", 6, 6)],
            new: set("n", 3, 3),
            want: vec![(0, 0), (1, 5)],
        },
        Case {
            name: "done",
            old: vec![set("a", 0, 0)],
            new: set("n", 10, 10),
            want: vec![],
        },
    ] {
        let d = deployment(10, "30%", "20%");
        assert_eq!(plan::shrink_old(&d, &case.old, &case.new), case.want, "{}", case.name);
    }
}

/// Drives a rollout by the plan alone: pods become available at once.
#[test]
fn a_rollout_ends_with_all_replicas_new_and_never_breaks_its_bounds() {
    let d = deployment(10, "25%", "25%");
    let (mut old, mut new) = (set("old", 10, 10), set("new", 0, 0));
    for _ in 0..20 {
        let total = plan::wanted(&old) + plan::wanted(&new);
        let grown = plan::new_set_replicas(&d, total, plan::wanted(&new));
        if grown != plan::wanted(&new) {
            new.spec.as_mut().unwrap().replicas = Some(grown);
        } else if let Some((_, size)) = plan::shrink_old(&d, std::slice::from_ref(&old), &new).first() {
            old = set("old", *size, *size);
        } else {
            let wanted = plan::wanted(&new);
            new = set("new", wanted, wanted);
        }
        let total = plan::wanted(&old) + plan::wanted(&new);
        let available = plan::available(&old) + plan::available(&new);
        assert!(total <= 13, "too many: {total}");
        assert!(available >= 8, "too few: {available}");
    }
    assert_eq!((plan::wanted(&old), plan::wanted(&new)), (0, 10));
}

#[test]
fn scaling_in_the_middle_keeps_proportions() {
    let mut d = deployment(20, "0", "1");
    d.status = Some(DeploymentStatus {
        replicas: Some(10),
        ..DeploymentStatus::default()
    });
    let mut sets = vec![set("a", 6, 6), set("b", 4, 4)];
    for s in &mut sets {
        let notes = s.metadata.annotations.get_or_insert_default();
        notes.insert("deployment.kubernetes.io/desired-replicas".into(), "10".into());
        notes.insert("deployment.kubernetes.io/max-replicas".into(), "10".into());
    }
    assert_eq!(plan::proportional(&d, &sets), [12, 8]);
    d.spec.as_mut().unwrap().replicas = Some(5);
    assert_eq!(plan::proportional(&d, &sets), [3, 2]);
    d.spec.as_mut().unwrap().replicas = Some(0);
    assert_eq!(plan::proportional(&d, &sets), [0, 0]);
}

#[test]
fn the_set_of_the_template_is_found_whatever_its_hash_label() {
    let d = deployment(3, "25%", "25%");
    let made = revision::new_set(&d, 4, 0);
    assert_eq!(plan::wanted(&made), 3);
    assert_eq!(revision::of(&made.metadata), 4);
    assert_eq!(revision::max_annotation(&made), Some(4));
    let hash = made.metadata.labels.as_ref().unwrap()["pod-template-hash"].clone();
    assert_eq!(made.metadata.name.as_deref(), Some(format!("web-{hash}").as_str()));
    let selector = made.spec.as_ref().unwrap().selector.match_labels.clone().unwrap();
    assert_eq!(selector["pod-template-hash"], hash);
    let mut other = made.clone();
    other.spec.as_mut().unwrap().template = Some(template("v1"));
    assert_eq!(revision::find_new(&d, &[other.clone(), made]), Some(1));
    assert_eq!(revision::find_new(&d, &[other]), None);
}

#[test]
fn what_clients_write_out_and_leave_out_is_the_same_template() {
    let mut spelled = template("v1");
    let container = &mut spelled.spec.as_mut().unwrap().containers[0];
    container.resources = Some(ResourceRequirements::default());
    container.env = Some(vec![]);
    spelled.metadata.as_mut().unwrap().annotations = Some(BTreeMap::new());
    assert!(revision::same_template(&spelled, &template("v1")));
    spelled.spec.as_mut().unwrap().security_context = Some(PodSecurityContext::default());
    assert!(!revision::same_template(&spelled, &template("v1")));
}

#[test]
fn a_rollback_gives_the_old_set_the_next_revision_and_remembers_the_old_one() {
    let mut d = deployment(3, "25%", "25%");
    d.metadata.annotations = Some(
        [
            ("kubernetes.io/change-cause", "x"),
            ("kubectl.kubernetes.io/last-applied-configuration", "y"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into(),
    );
    let set = revision::new_set(&d, 1, 0);
    let (set, changed) = revision::annotate(&d, &set, 3, true);
    assert!(changed);
    let notes = set.metadata.annotations.clone().unwrap();
    assert_eq!(notes["deployment.kubernetes.io/revision"], "3");
    assert_eq!(notes["deployment.kubernetes.io/revision-history"], "1");
    assert_eq!(notes["kubernetes.io/change-cause"], "x");
    assert!(!notes.contains_key("kubectl.kubernetes.io/last-applied-configuration"));
    let (again, changed) = revision::annotate(&d, &set, 2, true);
    assert!(!changed);
    assert_eq!(again, set);
}

#[test]
fn history_beyond_the_limit_is_the_lowest_revisions_without_pods() {
    let mut d = deployment(3, "25%", "25%");
    d.spec.as_mut().unwrap().revision_history_limit = Some(1);
    let with = |name: &str, revision: i64, replicas| {
        let mut s = set(name, replicas, replicas);
        s.metadata.annotations = Some([("deployment.kubernetes.io/revision".to_owned(), revision.to_string())].into());
        s
    };
    let old = [with("a", 5, 0), with("b", 2, 0), with("c", 3, 1)];
    assert_eq!(plan::beyond_history(&d, &old), [1]);
    d.spec.as_mut().unwrap().revision_history_limit = None;
    assert!(plan::beyond_history(&d, &old).is_empty());
}

fn progressing(d: &Deployment, status: &DeploymentStatus) -> (String, String, String) {
    let conditions = status.conditions.clone().unwrap();
    let c = conditions
        .iter()
        .find(|c| c.type_ == "Progressing")
        .unwrap_or_else(|| panic!("{d:?}"));
    (c.status.clone(), c.reason.clone().unwrap(), c.message.clone().unwrap())
}

#[test]
fn progressing_tells_the_story_of_a_rollout() {
    let start = Timestamp::from_second(10_000).unwrap();
    let later = |s: i64| Timestamp::from_second(10_000 + s).unwrap();
    let mut d = deployment(2, "1", "0");
    let (old, new) = (set("old", 2, 2), set("web-1", 1, 0));
    d.status = Some(DeploymentStatus {
        replicas: Some(2),
        ..DeploymentStatus::default()
    });
    let moved = status::rollout(&d, &[old.clone(), new.clone()], Some(&new), start);
    assert_eq!(
        progressing(&d, &moved),
        (
            "True".into(),
            "ReplicaSetUpdated".into(),
            "ReplicaSet \"web-1\" is progressing.".into()
        )
    );
    d.status = Some(moved);
    assert_eq!(
        status::rollout(&d, &[old.clone(), new.clone()], Some(&new), later(100)),
        d.status.clone().unwrap()
    );
    let check = status::next_check(&d, d.status.as_ref().unwrap(), later(100)).unwrap();
    assert_eq!(check.as_secs(), 501);
    let stuck = status::rollout(&d, &[old, new.clone()], Some(&new), later(601));
    assert_eq!(
        progressing(&d, &stuck),
        (
            "False".into(),
            "ProgressDeadlineExceeded".into(),
            "ReplicaSet \"web-1\" has timed out progressing.".into()
        )
    );
    d.status = Some(stuck);
    let new = set("web-1", 2, 2);
    let done = status::rollout(&d, std::slice::from_ref(&new), Some(&new), later(700));
    assert!(status::is_complete(&d, &done));
    assert_eq!(
        progressing(&d, &done),
        (
            "True".into(),
            "NewReplicaSetAvailable".into(),
            "ReplicaSet \"web-1\" has successfully progressed.".into()
        )
    );
    d.status = Some(done.clone());
    assert_eq!(
        status::rollout(&d, std::slice::from_ref(&new), Some(&new), later(9000)),
        done
    );
    assert_eq!(status::next_check(&d, &done, later(9000)), None);
}

#[test]
fn availability_is_a_condition() {
    let d = deployment(4, "1", "1");
    let status_of = |available| {
        let s = set("web-1", 4, available);
        let status = status::compute(&d, std::slice::from_ref(&s), Some(&s), Timestamp::UNIX_EPOCH);
        let c: DeploymentCondition = status.conditions.clone().unwrap().remove(0);
        (c.status, c.reason.unwrap(), status.unavailable_replicas)
    };
    assert_eq!(
        status_of(3),
        ("True".into(), "MinimumReplicasAvailable".into(), Some(1))
    );
    assert_eq!(
        status_of(2),
        ("False".into(), "MinimumReplicasUnavailable".into(), Some(2))
    );
    assert_eq!(status_of(4), ("True".into(), "MinimumReplicasAvailable".into(), None));
}
