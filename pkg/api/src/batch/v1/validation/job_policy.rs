//! When a job fails or succeeds before all its pods have.

use std::collections::BTreeSet;

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::batch::v1::{
    JobSpec, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule, SuccessPolicyRule,
};

use super::indexes;
use crate::check::{list, non_negative, qualified_name, shown};

/// Most rules of either policy, exit codes of a rule, conditions of a rule, bytes of an index list.
const MAX_RULES: usize = 20;
const MAX_EXIT_CODES: usize = 255;
const MAX_CONDITIONS: usize = 20;
const MAX_INDEXES: usize = 64 * 1024;

/// One of a set, where the missing value is told what there is.
fn known(errs: &mut ErrorList, path: &Path, value: &str, allowed: &[&str]) {
    if value.is_empty() {
        let quoted: Vec<String> = allowed.iter().map(|a| format!("{a:?}")).collect();
        errs.push(Error::required(path, format!("valid values: [{}]", quoted.join(" "))));
    } else if !allowed.contains(&value) {
        errs.push(Error::not_supported(path, BadValue::named(value), allowed));
    }
}

/// `validatePodFailurePolicy`.
pub(super) fn failure(errs: &mut ErrorList, spec: &JobSpec, path: &Path) {
    let Some(policy) = &spec.pod_failure_policy else { return };
    let path = path.child("rules");
    if policy.rules.len() > MAX_RULES {
        errs.push(Error::too_many(&path, policy.rules.len(), MAX_RULES));
    }
    let pod = spec.template.spec.as_ref();
    let init = pod.map_or(&[][..], |p| list(&p.init_containers));
    let names: BTreeSet<&str> = pod
        .map_or(&[][..], |p| &p.containers)
        .iter()
        .chain(init)
        .map(|c| c.name.as_str())
        .collect();
    for (index, rule) in policy.rules.iter().enumerate() {
        failure_rule(errs, spec, rule, &names, &path.index(index));
    }
}

/// `validatePodFailurePolicyRule`.
fn failure_rule(
    errs: &mut ErrorList,
    spec: &JobSpec,
    rule: &PodFailurePolicyRule,
    names: &BTreeSet<&str>,
    path: &Path,
) {
    let action = path.child("action");
    if rule.action == "FailIndex" {
        if spec.backoff_limit_per_index.is_none() {
            let text = "requires the backoffLimitPerIndex to be set";
            errs.push(Error::invalid(&action, &rule.action, text));
        }
    } else {
        known(
            errs,
            &action,
            &rule.action,
            &["Count", "FailIndex", "FailJob", "Ignore"],
        );
    }
    if let Some(codes) = &rule.on_exit_codes {
        exit_codes(errs, codes, names, &path.child("onExitCodes"));
    }
    let conditions = list(&rule.on_pod_conditions);
    let at = path.child("onPodConditions");
    if conditions.len() > MAX_CONDITIONS {
        errs.push(Error::too_many(&at, conditions.len(), MAX_CONDITIONS));
    }
    for (index, pattern) in conditions.iter().enumerate() {
        let path = at.index(index);
        qualified_name(errs, &path.child("type"), &pattern.type_);
        let status = pattern.status.as_deref().unwrap_or("");
        known(errs, &path.child("status"), status, &["False", "True", "Unknown"]);
    }
    let text = match (rule.on_exit_codes.is_some(), conditions.is_empty()) {
        (true, false) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, true) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    errs.push(Error::invalid(path, BadValue::Omitted, text));
}

/// `validatePodFailurePolicyRuleOnExitCodes`.
fn exit_codes(
    errs: &mut ErrorList,
    codes: &PodFailurePolicyOnExitCodesRequirement,
    names: &BTreeSet<&str>,
    path: &Path,
) {
    known(errs, &path.child("operator"), &codes.operator, &["In", "NotIn"]);
    if let Some(name) = codes.container_name.as_deref().filter(|n| !names.contains(n)) {
        let rule = "must be one of the container or initContainer names in the pod template";
        errs.push(Error::invalid(&path.child("containerName"), name, rule));
    }
    let path = path.child("values");
    let values = &codes.values;
    if values.is_empty() {
        errs.push(Error::invalid(&path, BadValue::Null, "at least one value is required"));
    } else if values.len() > MAX_EXIT_CODES {
        errs.push(Error::too_many(&path, values.len(), MAX_EXIT_CODES));
    }
    let mut seen = BTreeSet::new();
    for (index, value) in values.iter().enumerate() {
        let path = path.index(index);
        if codes.operator == "In" && *value == 0 {
            let rule = "must not be 0 for the In operator";
            errs.push(Error::invalid(&path, *value, rule));
        }
        if !seen.insert(value) {
            errs.push(Error::duplicate(&path, *value));
        }
    }
    if !values.is_sorted() {
        errs.push(Error::invalid(&path, shown(values), "must be ordered"));
    }
}

/// `validateSuccessPolicy`, of an Indexed job.
pub(super) fn success(errs: &mut ErrorList, spec: &JobSpec, path: &Path) {
    let Some(policy) = &spec.success_policy else { return };
    let path = path.child("rules");
    if policy.rules.is_empty() {
        let rule = "at least one rules must be specified when the successPolicy is specified";
        errs.push(Error::required(&path, rule));
    }
    if policy.rules.len() > MAX_RULES {
        errs.push(Error::too_many(&path, policy.rules.len(), MAX_RULES));
    }
    let completions = spec.completions.unwrap_or(0);
    for (index, rule) in policy.rules.iter().enumerate() {
        success_rule(errs, rule, completions, &path.index(index));
    }
}

/// `validateSuccessPolicyRule`.
fn success_rule(errs: &mut ErrorList, rule: &SuccessPolicyRule, completions: i32, path: &Path) {
    if rule.succeeded_count.is_none() && rule.succeeded_indexes.is_none() {
        let text = "at least one of succeededCount or succeededIndexes must be specified";
        errs.push(Error::required(path, text));
    }
    let mut total = 0;
    if let Some(text) = &rule.succeeded_indexes {
        let path = path.child("succeededIndexes");
        if text.len() > MAX_INDEXES {
            errs.push(Error::too_long(&path, MAX_INDEXES));
        }
        match indexes::count(text, completions) {
            Ok(count) => total = count,
            Err(e) => {
                let rule = format!("error parsing succeededIndexes: {e}");
                errs.push(Error::invalid(&path, text, rule));
            }
        }
    }
    let Some(count) = rule.succeeded_count else { return };
    let path = path.child("succeededCount");
    non_negative(errs, &path, i64::from(count));
    if count > completions {
        let rule = format!("must be less than or equal to {completions} (the number of specified completions)");
        errs.push(Error::invalid(&path, count, rule));
    }
    if rule.succeeded_indexes.is_some() && count > total {
        let rule = format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        );
        errs.push(Error::invalid(&path, count, rule));
    }
}
