//! Why a plugin refused a pod, and the account of a whole failed cycle.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How final a refusal is (upstream `framework.Code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Not now; removing other pods might help.
    Unschedulable,
    /// Not now, and removing other pods does not help.
    Unresolvable,
    /// The plugin itself failed.
    Error,
}

/// A refusal by one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) code: Code,
    pub(crate) plugin: &'static str,
    pub(crate) reasons: Vec<Cow<'static, str>>,
}

impl Status {
    pub(crate) fn unschedulable(plugin: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: Code::Unschedulable,
            plugin,
            reasons: vec![reason.into()],
        }
    }

    pub(crate) fn unresolvable(plugin: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: Code::Unresolvable,
            plugin,
            reasons: vec![reason.into()],
        }
    }

    pub(crate) fn error(plugin: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: Code::Error,
            plugin,
            reasons: vec![reason.into()],
        }
    }

    pub(crate) fn message(&self) -> String {
        self.reasons.join(", ")
    }

    pub(crate) fn is_rejection(&self) -> bool {
        self.code != Code::Error
    }
}

/// What a cycle that found no node learned (upstream `framework.Diagnosis`, `FitError`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Diagnosis {
    /// Nodes in the snapshot.
    pub(crate) total_nodes: usize,
    /// Nodes that were asked, and their refusals.
    pub(crate) statuses: Vec<(Arc<str>, Status)>,
    /// The refusal that stands for every node not asked.
    pub(crate) absent: Option<Status>,
    /// Set when a PreFilter refused the pod for all nodes.
    pub(crate) pre_filter_message: String,
    /// What PostFilter plugins (preemption) said.
    pub(crate) post_filter_message: String,
    /// Plugins whose events may bring the pod back.
    pub(crate) unschedulable_plugins: BTreeSet<&'static str>,
}

impl Diagnosis {
    pub(crate) fn blame(&mut self, status: &Status) {
        if status.is_rejection() {
            self.unschedulable_plugins.insert(status.plugin);
        }
    }

    /// The sentence of events and conditions (upstream `FitError.Error`).
    pub(crate) fn message(&self) -> String {
        let mut text = format!("0/{} nodes are available", self.total_nodes);
        if !self.pre_filter_message.is_empty() {
            text.push_str(": ");
            text.push_str(&self.pre_filter_message);
            text.push('.');
        } else {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for (_, status) in &self.statuses {
                for reason in &status.reasons {
                    *counts.entry(reason).or_default() += 1;
                }
            }
            let absent = self.total_nodes.saturating_sub(self.statuses.len());
            if let Some(status) = self.absent.as_ref().filter(|_| absent > 0) {
                for reason in &status.reasons {
                    *counts.entry(reason).or_default() += absent;
                }
            }
            let mut parts: Vec<String> = counts
                .iter()
                .map(|(reason, count)| format!("{count} {reason}"))
                .collect();
            parts.sort();
            if !parts.is_empty() {
                text.push_str(": ");
                text.push_str(&parts.join(", "));
                text.push('.');
            }
        }
        if !self.post_filter_message.is_empty() {
            text.push(' ');
            text.push_str(&self.post_filter_message);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Diagnosis, Status};

    #[test]
    fn the_message_counts_reasons_and_sorts_them() {
        let diagnosis = Diagnosis {
            total_nodes: 4,
            statuses: vec![
                ("a".into(), Status::unschedulable("F", "Insufficient memory")),
                ("b".into(), Status::unschedulable("F", "Insufficient cpu")),
                ("c".into(), Status::unschedulable("F", "Insufficient cpu")),
            ],
            absent: Some(Status::unresolvable(
                "NodeAffinity",
                "node(s) didn't satisfy plugin(s) [NodeAffinity]",
            )),
            post_filter_message: "preemption: none".into(),
            ..Diagnosis::default()
        };
        assert_eq!(
            diagnosis.message(),
            "0/4 nodes are available: 1 Insufficient memory, 1 node(s) didn't satisfy plugin(s) [NodeAffinity], \
             2 Insufficient cpu. preemption: none"
        );
    }
}
