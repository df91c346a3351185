//! Nobody may grant what they do not hold: the check on writes of roles and bindings.
//!
//! Upstream: `pkg/registry/rbac/{role,rolebinding,...}/policybased/storage.go`,
//! `component-helpers/auth/rbac/validation/policy_comparator.go` (`Covers`).

use serde_json::Value;

use super::Rbac;
use super::rule::{Rule, url_matches};
use crate::request::UserInfo;

/// `Ok` when `user`, with its rules in `namespace`, holds every one of `wanted`; else the text
/// upstream's 403 carries.
pub(crate) fn confirm_no_escalation(
    rbac: &Rbac,
    user: &UserInfo,
    namespace: &str,
    wanted: &[Rule],
) -> Result<(), String> {
    let (held, errors) = rbac.rules_for(user, namespace);
    let missing: Vec<Rule> = wanted
        .iter()
        .flat_map(break_down)
        .filter(|w| !held.iter().any(|h| covers(h, w)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<String> = missing.iter().map(compact).collect();
    lines.sort();
    lines.dedup();
    let mut text = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        user.groups
            .iter()
            .map(|g| format!("{g:?}"))
            .collect::<Vec<_>>()
            .join(" "),
        lines.join("\n")
    );
    if !errors.is_empty() {
        text.push_str(&format!("; resolution errors: {errors:?}"));
    }
    Err(text)
}

/// A rule as rules of one verb, one group, one resource, one name (or one verb, one URL) each.
fn break_down(rule: &Rule) -> Vec<Rule> {
    let mut out = Vec::new();
    for verb in &rule.verbs {
        for url in &rule.urls {
            out.push(Rule {
                verbs: vec![verb.clone()],
                urls: vec![url.clone()],
                ..Default::default()
            });
        }
        for group in &rule.groups {
            for resource in &rule.resources {
                let one = Rule {
                    verbs: vec![verb.clone()],
                    groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    ..Default::default()
                };
                if rule.names.is_empty() {
                    out.push(one);
                } else {
                    out.extend(rule.names.iter().map(|n| Rule {
                        names: vec![n.clone()],
                        ..one.clone()
                    }));
                }
            }
        }
    }
    out
}

/// Whether `held` covers `want`, which [`break_down`] made.
fn covers(held: &Rule, want: &Rule) -> bool {
    let has = |list: &[String], v: &String| list.iter().any(|x| x == "*" || x == v);
    if !want.verbs.iter().all(|v| has(&held.verbs, v)) {
        return false;
    }
    if let [url] = want.urls.as_slice() {
        return held
            .urls
            .iter()
            .any(|h| h == url || (h.ends_with('*') && url_matches(h, url)));
    }
    want.groups.iter().all(|g| has(&held.groups, g))
        && want.resources.iter().all(|r| {
            has(&held.resources, r)
                || r.split_once('/')
                    .is_some_and(|(_, sub)| held.resources.contains(&format!("*/{sub}")))
        })
        && (held.names.is_empty() || (!want.names.is_empty() && want.names.iter().all(|n| held.names.contains(n))))
}

/// Upstream's one-line form: `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}`.
fn compact(rule: &Rule) -> String {
    let mut parts = Vec::new();
    for (label, list) in [
        ("APIGroups", &rule.groups),
        ("NonResourceURLs", &rule.urls),
        ("ResourceNames", &rule.names),
        ("Resources", &rule.resources),
        ("Verbs", &rule.verbs),
    ] {
        if !list.is_empty() {
            parts.push(format!("{label}:{list:?}"));
        }
    }
    format!("{{{}}}", parts.join(", "))
}

/// The rules a Role or ClusterRole asks for.
pub(crate) fn wanted_rules(role: &Value) -> Vec<Rule> {
    let rules = crate::objects::items(role, "/rules");
    rules.iter().map(Rule::from_value).collect()
}

/// Whether a ClusterRole takes its rules from others (upstream `hasAggregationRule`).
pub(crate) fn aggregates(role: &Value) -> bool {
    !crate::objects::items(role, "/aggregationRule/clusterRoleSelectors").is_empty()
}

/// All there is to hold (upstream `fullAuthority`).
pub(crate) fn everything() -> [Rule; 2] {
    let all = || vec!["*".to_owned()];
    let resources = Rule {
        verbs: all(),
        groups: all(),
        resources: all(),
        ..Default::default()
    };
    let urls = Rule {
        verbs: all(),
        urls: all(),
        ..Default::default()
    };
    [resources, urls]
}
