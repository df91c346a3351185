//! What follows from a node's conditions and its silence. Pure.

use k8s_openapi::{
    api::core::v1::{Node, NodeCondition, Taint},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use rules::taints::{
    NODE_DISK_PRESSURE, NODE_MEMORY_PRESSURE, NODE_NETWORK_UNAVAILABLE, NODE_NOT_READY, NODE_PID_PRESSURE,
    NODE_UNREACHABLE, NODE_UNSCHEDULABLE,
};

use super::health::ready_condition;

/// Everything to write about one node.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// The whole new list of conditions, when it changes.
    pub(super) conditions: Option<Vec<NodeCondition>>,
    /// The whole new list of taints, when it changes.
    pub(super) taints: Option<Vec<Taint>>,
    /// Labels to set, when they are missing.
    pub(super) labels: Vec<(&'static str, String)>,
    /// Its pods' Ready conditions become False.
    pub(super) pods_not_ready: bool,
    /// The condition turned from True: an event tells.
    pub(super) became_not_ready: bool,
}

/// Condition, its status, and the NoSchedule taint that it means (`nodeConditionToTaintKeyStatusMap`).
const CONDITION_TAINTS: &[(&str, &str, &str)] = &[
    ("Ready", "False", NODE_NOT_READY),
    ("Ready", "Unknown", NODE_UNREACHABLE),
    ("MemoryPressure", "True", NODE_MEMORY_PRESSURE),
    ("DiskPressure", "True", NODE_DISK_PRESSURE),
    ("NetworkUnavailable", "True", NODE_NETWORK_UNAVAILABLE),
    ("PIDPressure", "True", NODE_PID_PRESSURE),
];

/// Conditions that a silent node loses; NetworkUnavailable is somebody else's.
const KUBELET_CONDITIONS: &[&str] = &["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// Labels that keep their old names alive (`labelReconcileInfo`): from, to.
const LABEL_COPIES: &[(&str, &str)] = &[
    ("kubernetes.io/os", "beta.kubernetes.io/os"),
    ("kubernetes.io/arch", "beta.kubernetes.io/arch"),
];

pub(super) fn plan(node: &Node, silent: bool, now: Timestamp) -> Plan {
    let current = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.clone())
        .unwrap_or_default();
    let conditions = if silent {
        unknown_conditions(node, &current, now)
    } else {
        current.clone()
    };
    let was_ready = ready_status(&current) == "True";
    let ready = ready_status(&conditions);
    let current_taints = node
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.clone())
        .unwrap_or_default();
    let taints = wanted_taints(node, &conditions, &current_taints, now);
    Plan {
        taints: (taints != current_taints).then_some(taints),
        labels: missing_labels(node),
        pods_not_ready: !ready.is_empty() && ready != "True",
        became_not_ready: was_ready && ready != "True",
        conditions: (conditions != current).then_some(conditions),
    }
}

fn ready_status(conditions: &[NodeCondition]) -> &str {
    conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
        .map_or("", |ready| &ready.status)
}

/// Upstream's reasons and messages (`tryUpdateNodeHealth`).
fn unknown_conditions(node: &Node, current: &[NodeCondition], now: Timestamp) -> Vec<NodeCondition> {
    let mut conditions = current.to_vec();
    for type_ in KUBELET_CONDITIONS {
        match conditions.iter_mut().find(|condition| condition.type_ == *type_) {
            Some(condition) if condition.status == "Unknown" => {}
            Some(condition) => {
                condition.status = "Unknown".to_owned();
                condition.reason = Some("NodeStatusUnknown".to_owned());
                condition.message = Some("Kubelet stopped posting node status.".to_owned());
                condition.last_transition_time = Some(Time(now));
            }
            None => conditions.push(NodeCondition {
                type_: (*type_).to_owned(),
                status: "Unknown".to_owned(),
                reason: Some("NodeStatusNeverUpdated".to_owned()),
                message: Some("Kubelet never posted node status.".to_owned()),
                last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                last_transition_time: Some(Time(now)),
            }),
        }
    }
    conditions
}

/// NoSchedule by condition (`doNoScheduleTaintingPass`) and NoExecute by readiness
/// (`processTaintBaseEviction`); taints of other keys are kept as they are.
fn wanted_taints(node: &Node, conditions: &[NodeCondition], current: &[Taint], now: Timestamp) -> Vec<Taint> {
    let holds = |type_: &str, status: &str| conditions.iter().any(|c| c.type_ == type_ && c.status == status);
    let mut wanted: Vec<(&str, &str)> = CONDITION_TAINTS
        .iter()
        .filter(|(type_, status, _)| holds(type_, status))
        .map(|&(_, _, key)| (key, "NoSchedule"))
        .collect();
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        wanted.push((NODE_UNSCHEDULABLE, "NoSchedule"));
    }
    match ready_status(conditions) {
        "False" => wanted.push((NODE_NOT_READY, "NoExecute")),
        "Unknown" => wanted.push((NODE_UNREACHABLE, "NoExecute")),
        _ => {}
    }
    let ours = |taint: &Taint| {
        let by_condition =
            CONDITION_TAINTS.iter().any(|&(_, _, key)| key == taint.key) || taint.key == NODE_UNSCHEDULABLE;
        let by_readiness = taint.key == NODE_NOT_READY || taint.key == NODE_UNREACHABLE;
        (taint.effect == "NoSchedule" && by_condition) || (taint.effect == "NoExecute" && by_readiness)
    };
    // Before the first status nothing is known: the taint that registration set stays.
    if ready_condition(node).is_none() && ready_status(conditions).is_empty() {
        wanted.extend(
            current
                .iter()
                .filter(|taint| taint.key == NODE_NOT_READY)
                .map(|taint| (NODE_NOT_READY, &*taint.effect)),
        );
    }
    let is_wanted = |taint: &Taint| {
        wanted
            .iter()
            .any(|&(key, effect)| taint.key == key && taint.effect == effect)
    };
    let mut taints: Vec<Taint> = current
        .iter()
        .filter(|taint| !ours(taint) || is_wanted(taint))
        .cloned()
        .collect();
    for (key, effect) in wanted {
        if !taints.iter().any(|taint| taint.key == key && taint.effect == effect) {
            // Both kinds carry the time: eviction counts from it.
            let time_added = Some(Time(now));
            taints.push(Taint {
                key: key.to_owned(),
                effect: effect.to_owned(),
                time_added,
                value: None,
            });
        }
    }
    taints
}

fn missing_labels(node: &Node) -> Vec<(&'static str, String)> {
    let Some(labels) = &node.metadata.labels else {
        return Vec::new();
    };
    LABEL_COPIES
        .iter()
        .filter_map(|&(from, to)| Some((to, labels.get(from)?.clone())))
        .filter(|(to, value)| labels.get(*to) != Some(value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(conditions: &[(&str, &str)], taints: &[(&str, &str)]) -> Node {
        let condition = |&(type_, status): &(&str, &str)| NodeCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            ..NodeCondition::default()
        };
        let mut node = Node::default();
        node.status.get_or_insert_default().conditions = Some(conditions.iter().map(condition).collect());
        let taint = |&(key, effect): &(&str, &str)| Taint {
            key: key.to_owned(),
            effect: effect.to_owned(),
            time_added: None,
            value: None,
        };
        node.spec.get_or_insert_default().taints = Some(taints.iter().map(taint).collect());
        node
    }

    fn taints_of(plan: &Plan) -> Option<Vec<(&str, &str)>> {
        Some(
            plan.taints
                .as_ref()?
                .iter()
                .map(|taint| (&*taint.key, &*taint.effect))
                .collect(),
        )
    }

    #[test]
    fn ready_node_needs_nothing() {
        assert_eq!(
            plan(&node(&[("Ready", "True")], &[]), false, Timestamp::UNIX_EPOCH),
            Plan::default()
        );
    }

    #[test]
    fn taints_follow_conditions_and_foreign_ones_stay() {
        let not_ready = node(
            &[("Ready", "False"), ("DiskPressure", "True")],
            &[("mine", "NoSchedule")],
        );
        let planned = plan(&not_ready, false, Timestamp::UNIX_EPOCH);
        let expected = [
            ("mine", "NoSchedule"),
            (NODE_NOT_READY, "NoSchedule"),
            (NODE_DISK_PRESSURE, "NoSchedule"),
            (NODE_NOT_READY, "NoExecute"),
        ];
        assert_eq!(taints_of(&planned).unwrap(), expected);
        assert!(planned.pods_not_ready && !planned.became_not_ready);

        let well = node(
            &[("Ready", "True")],
            &[
                ("mine", "NoSchedule"),
                (NODE_NOT_READY, "NoSchedule"),
                (NODE_NOT_READY, "NoExecute"),
            ],
        );
        assert_eq!(
            taints_of(&plan(&well, false, Timestamp::UNIX_EPOCH)).unwrap(),
            [("mine", "NoSchedule")]
        );
    }

    #[test]
    fn registration_taint_stays_until_the_first_status() {
        let new = node(&[], &[(NODE_NOT_READY, "NoSchedule")]);
        assert_eq!(plan(&new, false, Timestamp::UNIX_EPOCH), Plan::default());
    }

    #[test]
    fn silence_makes_all_kubelet_conditions_unknown() {
        let silent = node(&[("Ready", "True"), ("NetworkUnavailable", "False")], &[]);
        let planned = plan(&silent, true, Timestamp::UNIX_EPOCH);
        let conditions = planned.conditions.as_ref().unwrap();
        let of = |type_: &str| conditions.iter().find(|c| c.type_ == type_).unwrap();
        assert_eq!(
            (&*of("Ready").status, of("Ready").reason.as_deref()),
            ("Unknown", Some("NodeStatusUnknown"))
        );
        assert_eq!(of("DiskPressure").reason.as_deref(), Some("NodeStatusNeverUpdated"));
        assert_eq!(of("NetworkUnavailable").status, "False");
        assert_eq!(
            taints_of(&planned).unwrap(),
            [(NODE_UNREACHABLE, "NoSchedule"), (NODE_UNREACHABLE, "NoExecute")]
        );
        assert!(planned.became_not_ready && planned.pods_not_ready);
    }

    #[test]
    fn cordoned_node_is_tainted() {
        let mut cordoned = node(&[("Ready", "True")], &[]);
        cordoned.spec.get_or_insert_default().unschedulable = Some(true);
        let planned = plan(&cordoned, false, Timestamp::UNIX_EPOCH);
        assert_eq!(taints_of(&planned).unwrap(), [(NODE_UNSCHEDULABLE, "NoSchedule")]);
    }
}
