//! Conditions in CEL that decide whether a webhook or a policy is asked.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::admissionregistration::v1::MatchCondition;

use crate::check::{qualified_name, required};

/// Most conditions.
const MAX: usize = 64;

/// `validateMatchConditions`.
pub(super) fn match_conditions(errs: &mut ErrorList, conditions: &[MatchCondition], path: &Path) {
    if conditions.len() > MAX {
        errs.push(Error::too_many(path, conditions.len(), MAX));
    }
    let mut names = BTreeSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        required(errs, &path.child("expression"), condition.expression.trim());
        let name = condition.name.as_str();
        if name.is_empty() {
            errs.push(Error::required(&path.child("name"), ""));
            continue;
        }
        qualified_name(errs, &path.child("name"), name);
        if !names.insert(name) {
            errs.push(Error::duplicate(&path.child("name"), name));
        }
    }
}
