//! Pods and their subresources (pkg/registry/core/pod/strategy.go).

use std::collections::BTreeMap;

use api::core::v1::{defaults, validation, warnings};
use k8s_openapi::api::core::v1::{Affinity, Container, Pod, PodCondition, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde_json::Value;

use crate::registry::strategies::rules::{
    Fields, Rules, Warnings, differ, first_generation, flag_at, next_generation, text_at,
};
use crate::registry::strategy::Typed;

/// Pods.
pub(crate) static STRATEGY: Typed<Rules<Pod>> = Typed(Rules {
    default: defaults::pod,
    prepare_create: |ctx, pod| {
        prepare_create(pod);
        app_armor_fields(pod).into_iter().for_each(|w| ctx.warn(w));
    },
    prepare_update: |_, new, old| prepare_update(new, old),
    fields,
    grace,
    warnings: Warnings::Create(warnings::pod_create),
    status: Some(&STATUS),
    ..Rules::new(validation::pod_create, validation::pod_update)
});

/// `pods/status`: everything but the status stays (`podStatusStrategy.PrepareForUpdate`).
static STATUS: Typed<Rules<Pod>> = Typed(Rules {
    warnings: Warnings::Object(warnings::pod_status),
    ..Rules::updating(
        defaults::pod,
        |_, new, old| {
            new.spec.clone_from(&old.spec);
            new.metadata.owner_references.clone_from(&old.metadata.owner_references);
            new.metadata.generation = old.metadata.generation;
            let before = old.status.clone().unwrap_or_default();
            let status = new.status.get_or_insert_default();
            if status.qos_class.as_deref().is_none_or(str::is_empty) {
                status.qos_class = before.qos_class;
            }
            if status.observed_generation.is_none() {
                status.observed_generation = before.observed_generation;
            }
        },
        validation::pod_status_update,
    )
});

/// `pods/ephemeralcontainers`: only that list changes (`podEphemeralContainersStrategy`).
pub(crate) static EPHEMERAL_CONTAINERS: Typed<Rules<Pod>> = Typed(Rules::updating(
    defaults::pod,
    |_, new, old| {
        let added = new.spec.as_ref().and_then(|s| s.ephemeral_containers.clone());
        let metadata = new.metadata.clone();
        *new = old.clone();
        new.metadata.resource_version = metadata.resource_version;
        new.spec.get_or_insert_default().ephemeral_containers = added;
        defaults::pod(new);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    validation::pod_ephemeral_containers_update,
));

/// `pods/resize`: only container resources change (`podResizeStrategy`).
pub(crate) static RESIZE: Typed<Rules<Pod>> = Typed(Rules::updating(
    defaults::pod,
    |_, new, old| {
        new.status.clone_from(&old.status);
        defaults::pod(new);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    |new, old| {
        let class = new.spec.as_ref().map_or("", rules::qos::compute);
        let own = rules::qos::pod_qos(old);
        validation::pod_resize(new, old, Some(own).filter(|own| *own != class))
    },
));

/// `podStrategy.PrepareForCreate`: Pending, with its class of service; gated pods say so.
fn prepare_create(pod: &mut Pod) {
    first_generation(pod);
    let spec = pod.spec.get_or_insert_default();
    let gated = spec.scheduling_gates.as_ref().is_some_and(|g| !g.is_empty());
    let condition = PodCondition {
        type_: rules::pods::POD_SCHEDULED.to_string(),
        status: "False".to_string(),
        reason: Some("SchedulingGated".to_string()),
        message: Some("Scheduling is blocked due to non-empty scheduling gates".to_string()),
        ..PodCondition::default()
    };
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    label_keys(spec, &labels);
    let qos = rules::qos::compute(spec);
    pod.status = Some(PodStatus {
        phase: Some(rules::pods::PENDING.to_string()),
        qos_class: Some(qos.to_string()),
        conditions: gated.then(|| vec![condition]),
        ..PodStatus::default()
    });
}

/// Annotations of AppArmor become the fields they were before, and are warned about
/// (`applyAppArmorVersionSkew`).
fn app_armor_fields(pod: &mut Pod) -> Vec<String> {
    let mut out = vec![];
    let Some(spec) = pod.spec.as_mut() else { return out };
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return out;
    }
    let of_pod = spec.security_context.as_ref().and_then(|c| c.app_armor_profile.clone());
    let has_field = |c: &Container| {
        let context = c.security_context.as_ref();
        context.is_some_and(|c| c.app_armor_profile.is_some())
    };
    let all = spec.init_containers.iter_mut().flatten().chain(&mut spec.containers);
    for container in all.filter(|c| !has_field(c)) {
        let Some((text, profile)) = warnings::app_armor_of(&pod.metadata, &container.name) else {
            continue;
        };
        if profile.is_none() || profile != of_pod {
            out.push(text);
        }
        if profile.is_some() && profile != of_pod {
            container.security_context.get_or_insert_default().app_armor_profile = profile;
        }
    }
    out
}

/// Keys that stand for the pod's own labels become requirements of the selectors beside them
/// (`mutatePodAffinity`, `mutateTopologySpreadConstraints`).
fn label_keys(spec: &mut PodSpec, labels: &BTreeMap<String, String>) {
    let add = |selector: &mut Option<LabelSelector>, keys: &Option<Vec<String>>, operator: &str| {
        let Some(selector) = selector else { return };
        for key in keys.iter().flatten() {
            let Some(value) = labels.get(key) else { continue };
            let requirement = LabelSelectorRequirement {
                key: key.clone(),
                operator: operator.to_string(),
                values: Some(vec![value.clone()]),
            };
            let all = selector.match_expressions.get_or_insert_default();
            if !all.contains(&requirement) {
                all.push(requirement);
            }
        }
    };
    let mut none = Affinity::default();
    let affinity = spec.affinity.as_mut().unwrap_or(&mut none);
    let pods = affinity.pod_affinity.iter_mut().flat_map(|a| {
        let soft = a
            .preferred_during_scheduling_ignored_during_execution
            .iter_mut()
            .flatten();
        let hard = a
            .required_during_scheduling_ignored_during_execution
            .iter_mut()
            .flatten();
        hard.chain(soft.map(|w| &mut w.pod_affinity_term))
    });
    let others = affinity.pod_anti_affinity.iter_mut().flat_map(|a| {
        let soft = a
            .preferred_during_scheduling_ignored_during_execution
            .iter_mut()
            .flatten();
        let hard = a
            .required_during_scheduling_ignored_during_execution
            .iter_mut()
            .flatten();
        hard.chain(soft.map(|w| &mut w.pod_affinity_term))
    });
    for term in pods.chain(others) {
        add(&mut term.label_selector, &term.match_label_keys, "In");
        add(&mut term.label_selector, &term.mismatch_label_keys, "NotIn");
    }
    for constraint in spec.topology_spread_constraints.iter_mut().flatten() {
        add(&mut constraint.label_selector, &constraint.match_label_keys, "In");
    }
}

/// `podStrategy.PrepareForUpdate`.
fn prepare_update(new: &mut Pod, old: &Pod) {
    new.status.clone_from(&old.status);
    let changed = differ(&new.spec, &old.spec);
    next_generation(new, old, changed);
}

/// `ToSelectableFields`.
fn fields(obj: &Value) -> Fields {
    let ip = match text_at(obj, "/status/podIPs/0/ip") {
        ip if ip.is_empty() => text_at(obj, "/status/podIP"),
        ip => ip,
    };
    vec![
        ("spec.nodeName", text_at(obj, "/spec/nodeName")),
        ("spec.restartPolicy", text_at(obj, "/spec/restartPolicy")),
        ("spec.schedulerName", text_at(obj, "/spec/schedulerName")),
        ("spec.serviceAccountName", text_at(obj, "/spec/serviceAccountName")),
        ("spec.hostNetwork", flag_at(obj, "/spec/hostNetwork")),
        ("status.phase", text_at(obj, "/status/phase")),
        ("status.podIP", ip),
        ("status.nominatedNodeName", text_at(obj, "/status/nominatedNodeName")),
    ]
}

/// A period beyond every time there is cannot be added to now: 136 years are as good.
const LONGEST_GRACE: i64 = 1 << 32;

/// `CheckGracefulDelete`: the request's or the pod's period; none for pods that no kubelet runs.
fn grace(obj: &Value, requested: Option<i64>) -> Option<i64> {
    let own = || {
        obj.pointer("/spec/terminationGracePeriodSeconds")
            .and_then(Value::as_i64)
    };
    let period = requested.or_else(own).unwrap_or(0);
    let unscheduled = text_at(obj, "/spec/nodeName").is_empty();
    let ended = matches!(text_at(obj, "/status/phase").as_str(), "Failed" | "Succeeded");
    Some(match period {
        _ if unscheduled || ended => 0,
        negative if negative < 0 => 1,
        period => period.min(LONGEST_GRACE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::strategy::Strategy;
    use crate::request::RequestContext;
    use serde_json::json;

    #[test]
    fn grace_period_follows_request_spec_and_state() {
        let pod = |node: &str, phase: &str| json!({"spec": {"nodeName": node, "terminationGracePeriodSeconds": 30}, "status": {"phase": phase}});
        let cases = [
            (pod("n", "Running"), None, 30),
            (pod("n", "Running"), Some(5), 5),
            (pod("n", "Running"), Some(0), 0),
            (pod("n", "Running"), Some(-3), 1),
            (pod("", "Pending"), None, 0),
            (pod("n", "Succeeded"), Some(60), 0),
            (pod("n", "Running"), Some(i64::MAX), LONGEST_GRACE),
            (pod("n", "Running"), Some(i64::MIN), 1),
        ];
        for (pod, requested, want) in cases {
            assert_eq!(
                STRATEGY.graceful_deletion(&pod, requested),
                Some(want),
                "{pod} {requested:?}"
            );
        }
    }

    #[test]
    fn a_new_pod_is_pending_and_classified_whatever_the_client_says() {
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": "n"},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
            "status": {"phase": "Running", "podIP": "1.2.3.4"}});
        STRATEGY.default(&mut pod);
        STRATEGY.prepare_for_create(&RequestContext::internal(), &mut pod);
        assert_eq!(pod["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
        assert_eq!(pod["metadata"]["generation"], 1);
        assert_eq!(pod["kind"], "Pod");
        assert!(STRATEGY.validate_create(&RequestContext::internal(), &pod).is_empty());
    }

    #[test]
    fn annotations_of_app_armor_become_fields() {
        const PREFIX: &str = "container.apparmor.security.beta.kubernetes.io";
        let field = |profile: Value| json!({"appArmorProfile": profile});
        let cases = [
            ("runtime/default", field(json!({"type": "RuntimeDefault"})), true),
            (
                "localhost/p",
                field(json!({"type": "Localhost", "localhostProfile": "p"})),
                true,
            ),
            ("localhost/ p", json!(null), true),
            ("unconfined", json!(null), false),
        ];
        for (value, want, warned) in cases {
            let mut pod: Pod = serde_json::from_value(json!({
                "metadata": {"annotations": {format!("{PREFIX}/c"): value}},
                "spec": {"securityContext": {"appArmorProfile": {"type": "Unconfined"}},
                    "containers": [{"name": "c"}, {"name": "d"}]}}))
            .expect("a pod");
            let texts = app_armor_fields(&mut pod);
            let pod = json!(pod);
            assert_eq!(pod["spec"]["containers"][0]["securityContext"], want, "{value}");
            assert_eq!(pod["spec"]["containers"][1]["securityContext"], json!(null), "{value}");
            let text = format!(
                "metadata.annotations[{PREFIX}/c]: deprecated since v1.30; use the \"appArmorProfile\" field instead"
            );
            assert_eq!(texts, if warned { vec![text] } else { vec![] }, "{value}");
        }
    }

    #[test]
    fn label_keys_become_requirements() {
        let mut pod = json!({"metadata": {"name": "x", "namespace": "n", "labels": {"v": "1"}},
            "spec": {"containers": [{"name": "c", "image": "i"}],
                "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone",
                    "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {},
                    "matchLabelKeys": ["v", "absent"]}]}});
        STRATEGY.default(&mut pod);
        STRATEGY.prepare_for_create(&RequestContext::internal(), &mut pod);
        assert_eq!(
            pod["spec"]["topologySpreadConstraints"][0]["labelSelector"],
            json!({"matchExpressions": [{"key": "v", "operator": "In", "values": ["1"]}]})
        );
        assert!(pod["spec"].get("affinity").is_none());
        assert_eq!(STRATEGY.validate_create(&RequestContext::internal(), &pod), vec![]);
    }

    #[test]
    fn a_resize_keeps_the_class_of_service() {
        let ctx = RequestContext::internal();
        let pod = |cpu: &str, memory: &str| {
            let mut pod = json!({"metadata": {"name": "x", "namespace": "n", "resourceVersion": "1"},
                "spec": {"containers": [{"name": "c", "image": "i",
                    "resources": {"requests": {"cpu": cpu, "memory": memory}}}]},
                "status": {"qosClass": "Burstable"}});
            RESIZE.default(&mut pod);
            pod
        };
        let old = pod("1", "1Gi");
        assert_eq!(RESIZE.validate_update(&ctx, &pod("2", "1Gi"), &old), vec![]);
        let mut none = old.clone();
        none["spec"]["containers"][0]["resources"] = json!({});
        let errs = RESIZE.validate_update(&ctx, &none, &old);
        let texts: Vec<String> = errs.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing",
                "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
            ]
        );
    }

    #[test]
    fn status_and_spec_are_written_through_their_own_doors() {
        let ctx = RequestContext::internal();
        let mut old = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "x", "namespace": "n", "resourceVersion": "1", "generation": 1},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
            "status": {"phase": "Pending", "qosClass": "BestEffort"}});
        STRATEGY.default(&mut old);
        let mut new = old.clone();
        new["spec"]["containers"][0]["image"] = json!("j");
        new["status"]["phase"] = json!("Running");
        let mut main = new.clone();
        STRATEGY.prepare_for_update(&ctx, &mut main, &old);
        assert_eq!(main["status"], old["status"]);
        assert_eq!(main["metadata"]["generation"], 2);
        assert!(STRATEGY.validate_update(&ctx, &main, &old).is_empty());
        let status = STRATEGY.status().expect("pods have a status");
        status.prepare_for_update(&ctx, &mut new, &old);
        assert_eq!(new["spec"], old["spec"]);
        assert_eq!(new["status"]["phase"], "Running");
        assert!(status.validate_update(&ctx, &new, &old).is_empty());
    }
}
