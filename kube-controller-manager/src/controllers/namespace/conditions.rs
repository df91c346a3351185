//! The conditions of a namespace that is being emptied. Pure.
//!
//! Upstream: namespace/deletion/status_condition_utils.go.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::NamespaceCondition, apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

/// What one pass over the content found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Groups that could not be asked.
    pub(super) undiscovered: Vec<String>,
    /// Deletions that failed.
    pub(super) failures: Vec<String>,
    /// Objects left, by `resource.group`.
    pub(super) remaining: BTreeMap<String, usize>,
    /// Objects left, by finalizer.
    pub(super) finalizers: BTreeMap<String, usize>,
    /// Seconds until something is likely to have ended.
    pub(super) look_again: Option<u64>,
}

impl Findings {
    /// Nothing is left and nothing went wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.undiscovered.is_empty() && !self.has_content()
    }

    /// Objects are left, or may be.
    pub(super) fn has_content(&self) -> bool {
        !self.failures.is_empty() || !self.remaining.is_empty()
    }

    /// The five conditions: type, and when it holds its reason and message, else those of rest.
    fn rows(&self) -> [Row; 5] {
        let held = |reason, message: Option<String>| message.map(|message| (reason, message));
        let resources = join(&self.remaining, |resource, n| {
            format!("{resource} has {n} resource instances")
        });
        let finalizers = join(&self.finalizers, |finalizer, n| {
            format!("{finalizer} in {n} resource instances")
        });
        let discovery = (!self.undiscovered.is_empty()).then(|| {
            let all = self.undiscovered.join(", ");
            format!("Discovery failed for some groups, {} failing: unable to retrieve the complete list of server APIs: {all}", self.undiscovered.len())
        });
        let failures = (!self.failures.is_empty()).then(|| {
            format!(
                "Failed to delete all resource types, {} remaining: {}",
                self.failures.len(),
                self.failures.join(", ")
            )
        });
        [
            Row {
                type_: "NamespaceDeletionDiscoveryFailure",
                held: held("DiscoveryFailed", discovery),
                rest: ("ResourcesDiscovered", "All resources successfully discovered"),
            },
            Row {
                type_: "NamespaceDeletionGroupVersionParsingFailure",
                held: None,
                rest: ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
            },
            Row {
                type_: "NamespaceDeletionContentFailure",
                held: held("ContentDeletionFailed", failures),
                rest: (
                    "ContentDeleted",
                    "All content successfully deleted, may be waiting on finalization",
                ),
            },
            Row {
                type_: "NamespaceContentRemaining",
                held: held(
                    "SomeResourcesRemain",
                    resources.map(|all| format!("Some resources are remaining: {all}")),
                ),
                rest: ("ContentRemoved", "All content successfully removed"),
            },
            Row {
                type_: "NamespaceFinalizersRemaining",
                held: held(
                    "SomeFinalizersRemain",
                    finalizers.map(|all| format!("Some content in the namespace has finalizers remaining: {all}")),
                ),
                rest: ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
            },
        ]
    }
}

struct Row {
    type_: &'static str,
    held: Option<(&'static str, String)>,
    rest: (&'static str, &'static str),
}

fn join(counts: &BTreeMap<String, usize>, text: impl Fn(&str, usize) -> String) -> Option<String> {
    let all: Vec<String> = counts.iter().map(|(what, &count)| text(what, count)).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Sets the conditions; true when any changed. The time moves only with the status.
pub(super) fn update(conditions: &mut Vec<NamespaceCondition>, findings: &Findings, now: Timestamp) -> bool {
    let mut changed = false;
    for row in findings.rows() {
        let (status, reason, message) = match row.held {
            Some((reason, message)) => ("True", reason, message),
            None => ("False", row.rest.0, row.rest.1.to_owned()),
        };
        let old = conditions.iter().position(|condition| condition.type_ == row.type_);
        let same_status = old
            .map(|at| &conditions[at])
            .filter(|condition| condition.status == status);
        let condition = NamespaceCondition {
            type_: row.type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: same_status.map_or(Some(Time(now)), |same| same.last_transition_time.clone()),
        };
        match old {
            Some(at) if conditions[at] == condition => continue,
            Some(at) => conditions[at] = condition,
            None => conditions.push(condition),
        }
        changed = true;
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_say_what_remains_and_change_only_when_it_does() {
        let mut findings = Findings::default();
        findings.remaining.insert("pods.".to_owned(), 2);
        findings.finalizers.insert("example.com/f".to_owned(), 1);
        let mut conditions = Vec::new();
        assert!(update(&mut conditions, &findings, Timestamp::UNIX_EPOCH));
        assert_eq!(conditions.len(), 5);
        let of = |conditions: &[NamespaceCondition], type_: &str| {
            let found = conditions.iter().find(|condition| condition.type_ == type_).unwrap();
            (found.status.clone(), found.message.clone().unwrap())
        };
        assert_eq!(
            of(&conditions, "NamespaceContentRemaining"),
            (
                "True".into(),
                "Some resources are remaining: pods. has 2 resource instances".into()
            )
        );
        assert_eq!(
            of(&conditions, "NamespaceFinalizersRemaining").1,
            "Some content in the namespace has finalizers remaining: example.com/f in 1 resource instances"
        );
        assert_eq!(of(&conditions, "NamespaceDeletionContentFailure").0, "False");
        let later = Timestamp::from_second(9).unwrap();
        assert!(!update(&mut conditions, &findings, later));
        assert!(update(&mut conditions, &Findings::default(), later));
        assert_eq!(of(&conditions, "NamespaceContentRemaining").0, "False");
        assert!(findings.has_content() && Findings::default().is_empty());
    }
}
