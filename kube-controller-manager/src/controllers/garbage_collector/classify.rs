//! What to do with an object, given the state of each of its owners. Pure.
//!
//! Upstream: garbagecollector/garbagecollector.go `attemptToDeleteItem`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::graph::{FOREGROUND, Node, ORPHAN, has_finalizer};

/// What a look-up said of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnerState {
    /// It is there: it keeps the object.
    Solid,
    /// It does not exist.
    Absent,
    /// It waits for its dependents to go.
    Waiting,
}

/// What to do with the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Keep,
    /// Remove the references to these owners; others keep the object.
    DropOwners(Vec<String>),
    Delete {
        policy: &'static str,
        /// Its dependents wait in a circle: it must stop blocking its owners first.
        unblock_owners: bool,
    },
}

pub(super) fn decide(latest: &ObjectMeta, owners: &[(OwnerReference, OwnerState)], dependents: &[Node]) -> Decision {
    if owners.is_empty() {
        return Decision::Keep;
    }
    let in_state = |state| owners.iter().filter(move |(_, is)| *is == state);
    let waiting = in_state(OwnerState::Waiting).count();
    if in_state(OwnerState::Solid).count() > 0 {
        let drop: Vec<String> = in_state(OwnerState::Absent)
            .chain(in_state(OwnerState::Waiting))
            .map(|(owner, _)| owner.uid.clone())
            .collect();
        return if drop.is_empty() {
            Decision::Keep
        } else {
            Decision::DropOwners(drop)
        };
    }
    if waiting > 0 && !dependents.is_empty() {
        // The owner waits for this one, so this one waits for its own dependents.
        let circle = dependents.iter().any(|dependent| dependent.deleting_dependents);
        return Decision::Delete {
            policy: "Foreground",
            unblock_owners: circle,
        };
    }
    let policy = if has_finalizer(latest, ORPHAN) {
        "Orphan"
    } else if has_finalizer(latest, FOREGROUND) {
        "Foreground"
    } else {
        "Background"
    };
    Decision::Delete {
        policy,
        unblock_owners: false,
    }
}

/// The dependents that a foreground deletion still waits for (`node.blockingDependents`).
pub(super) fn blocking<'a>(owner_uid: &str, dependents: &'a [Node]) -> Vec<&'a Node> {
    let blocks = |owner: &OwnerReference| owner.uid == owner_uid && owner.block_owner_deletion == Some(true);
    dependents
        .iter()
        .filter(|dependent| dependent.owners.iter().any(blocks))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::graph::Identity, *};

    fn owner(uid: &str) -> OwnerReference {
        OwnerReference {
            uid: uid.to_owned(),
            block_owner_deletion: Some(true),
            ..OwnerReference::default()
        }
    }

    fn dependent(deleting_dependents: bool, owners: Vec<OwnerReference>) -> Node {
        let identity = Identity {
            api_version: String::new(),
            kind: String::new(),
            namespace: String::new(),
            name: String::new(),
            uid: "d".to_owned(),
        };
        let dependents = BTreeSet::new();
        Node {
            identity,
            owners,
            dependents,
            being_deleted: false,
            deleting_dependents,
            is_virtual: false,
        }
    }

    #[test]
    fn owners_decide() {
        use OwnerState::{Absent, Solid, Waiting};
        let meta = ObjectMeta::default();
        let decide = |states: &[OwnerState], dependents: &[Node]| {
            let owners: Vec<_> = states
                .iter()
                .enumerate()
                .map(|(i, &state)| (owner(&i.to_string()), state))
                .collect();
            super::decide(&meta, &owners, dependents)
        };
        let delete = |policy, unblock_owners| Decision::Delete { policy, unblock_owners };
        assert_eq!(decide(&[], &[]), Decision::Keep);
        assert_eq!(decide(&[Solid], &[]), Decision::Keep);
        assert_eq!(decide(&[Solid, Absent], &[]), Decision::DropOwners(vec!["1".into()]));
        assert_eq!(decide(&[Absent], &[]), delete("Background", false));
        assert_eq!(decide(&[Waiting], &[]), delete("Background", false));
        assert_eq!(
            decide(&[Waiting], &[dependent(false, vec![])]),
            delete("Foreground", false)
        );
        assert_eq!(
            decide(&[Waiting], &[dependent(true, vec![])]),
            delete("Foreground", true)
        );
        assert_eq!(
            decide(&[Absent], &[dependent(true, vec![])]),
            delete("Background", false)
        );
    }

    #[test]
    fn finalizers_keep_their_policy() {
        let with = |name: &str| ObjectMeta {
            finalizers: Some(vec![name.to_owned()]),
            ..ObjectMeta::default()
        };
        let absent = [(owner("o"), OwnerState::Absent)];
        let policy = |meta: &ObjectMeta| match decide(meta, &absent, &[]) {
            Decision::Delete { policy, .. } => policy,
            other => panic!("{other:?}"),
        };
        assert_eq!(policy(&with(ORPHAN)), "Orphan");
        assert_eq!(policy(&with(FOREGROUND)), "Foreground");
    }

    #[test]
    fn only_references_that_block_are_waited_for() {
        let free = OwnerReference {
            block_owner_deletion: Some(false),
            ..owner("o")
        };
        let nodes = [
            dependent(false, vec![owner("o")]),
            dependent(false, vec![free]),
            dependent(false, vec![owner("x")]),
        ];
        assert_eq!(blocking("o", &nodes).len(), 1);
    }
}
