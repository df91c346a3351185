//! Pod affinity terms, their selectors parsed once (upstream `framework.AffinityTerm`).

use std::collections::BTreeSet;

use apimachinery::labels::Selector;
use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm, WeightedPodAffinityTerm};

use super::pod_info::PodInfo;
use crate::cache::Namespaces;

/// "Pods like these, counted per value of this node label."
#[derive(Clone, Debug)]
pub(crate) struct Term {
    selector: Selector,
    namespaces: BTreeSet<String>,
    namespace_selector: Selector,
    pub(crate) topology_key: String,
}

impl Term {
    fn new(term: &PodAffinityTerm, own_namespace: &str) -> Self {
        let mut namespaces: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.insert(own_namespace.to_owned());
        }
        // Validation refused selectors that do not parse; one that slips through matches nothing.
        let parse = |selector| Selector::from_optional(selector).unwrap_or_else(|_| Selector::nothing());
        Self {
            selector: parse(term.label_selector.as_ref()),
            namespaces,
            namespace_selector: parse(term.namespace_selector.as_ref()),
            topology_key: term.topology_key.clone(),
        }
    }

    /// [`Term::matches`] where namespace labels are not at hand: a term over them is taken to match.
    pub(crate) fn may_match(&self, pod: &PodInfo) -> bool {
        (self.namespaces.contains(&*pod.namespace) || !self.namespace_selector.is_nothing())
            && self.selector.matches_optional(pod.pod.metadata.labels.as_ref())
    }

    /// Is the pod one of those the term speaks of?
    pub(crate) fn matches(&self, pod: &PodInfo, namespaces: &Namespaces) -> bool {
        let in_namespace = self.namespaces.contains(&*pod.namespace)
            || (!self.namespace_selector.is_nothing()
                && self
                    .namespace_selector
                    .matches_optional(namespaces.get(&pod.namespace).map(|labels| &**labels)));
        in_namespace && self.selector.matches_optional(pod.pod.metadata.labels.as_ref())
    }
}

/// All terms of a pod.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) required: Vec<Term>,
    pub(crate) required_anti: Vec<Term>,
    /// With weights; those of anti-affinity are negative.
    pub(crate) preferred: Vec<(i64, Term)>,
}

impl Terms {
    /// The pod's terms; none for the many pods without.
    pub(crate) fn of(pod: &Pod) -> Option<Box<Self>> {
        let affinity = pod.spec.as_ref()?.affinity.as_ref()?;
        let own = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut terms = Self::default();
        let weighted = |list: &Option<Vec<WeightedPodAffinityTerm>>, sign: i64| -> Vec<(i64, Term)> {
            let list = list.iter().flatten();
            list.map(|w| (sign * i64::from(w.weight), Term::new(&w.pod_affinity_term, own)))
                .collect()
        };
        let plain = |list: &Option<Vec<PodAffinityTerm>>| -> Vec<Term> {
            list.iter().flatten().map(|term| Term::new(term, own)).collect()
        };
        if let Some(rules) = &affinity.pod_affinity {
            terms.required = plain(&rules.required_during_scheduling_ignored_during_execution);
            terms
                .preferred
                .extend(weighted(&rules.preferred_during_scheduling_ignored_during_execution, 1));
        }
        if let Some(rules) = &affinity.pod_anti_affinity {
            terms.required_anti = plain(&rules.required_during_scheduling_ignored_during_execution);
            terms.preferred.extend(weighted(
                &rules.preferred_during_scheduling_ignored_during_execution,
                -1,
            ));
        }
        let any = !(terms.required.is_empty() && terms.required_anti.is_empty() && terms.preferred.is_empty());
        any.then(|| Box::new(terms))
    }
}
