//! Fields that others own (structured-merge-diff `merge/conflict.go`, apimachinery
//! `util/managedfields/internal/conflict.go`).

use super::element::Element;
use super::managed::{Operation, Owner};
use super::set::{Set, path_text};
use crate::field::quote;
use crate::status::{ApiError, Cause};

/// An apply would take a field away from its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// Who owns it.
    pub(crate) owner: Owner,
    /// The field.
    pub(crate) path: Vec<Element>,
}

/// Conflicts of owners' fields, in the order of the owners.
pub(super) fn conflicts(mut owners: Vec<(Owner, Set)>) -> Vec<Conflict> {
    owners.sort_by_cached_key(|(owner, _)| owner.identifier());
    let mut out = Vec::new();
    for (owner, fields) in owners {
        fields.for_each(&mut |path| {
            out.push(Conflict {
                owner: owner.clone(),
                path: path.to_vec(),
            });
        });
    }
    out
}

/// 409 with a cause for every field.
pub(super) fn to_api_error(conflicts: &[Conflict]) -> ApiError {
    let cause = |conflict: &Conflict| Cause {
        reason: "FieldManagerConflict".to_owned(),
        message: format!("conflict with {}", describe(&conflict.owner)),
        field: path_text(&conflict.path),
    };
    ApiError::apply_conflict(conflicts.iter().map(cause).collect(), message(conflicts))
}

fn message(conflicts: &[Conflict]) -> String {
    if let [one] = conflicts {
        let (owner, path) = (describe(&one.owner), path_text(&one.path));
        return format!("Apply failed with 1 conflict: conflict with {owner}: {path}");
    }
    let mut lines = Vec::new();
    let mut last = None;
    for conflict in conflicts {
        if last != Some(&conflict.owner) {
            lines.push(format!("conflicts with {}:", describe(&conflict.owner)));
            last = Some(&conflict.owner);
        }
        lines.push(format!("- {}", path_text(&conflict.path)));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

/// `"kubectl" with subresource "status" using apps/v1`; an apply has no version.
fn describe(owner: &Owner) -> String {
    let mut out = quote(&owner.manager);
    if !owner.subresource.is_empty() {
        out.push_str(&format!(" with subresource {}", quote(&owner.subresource)));
    }
    if owner.operation == Operation::Update {
        out.push_str(&format!(" using {}", owner.api_version));
    }
    out
}
