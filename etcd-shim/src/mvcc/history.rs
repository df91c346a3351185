//! What happened to a range of keys between two revisions: how a watch that starts in the past, or
//! fell behind, catches up.

use super::{Index, KeyRange, Revision};

/// Changes of `range` in transactions `from..=to`, in the order they happened; at most the first
/// `limit` changes, but always whole transactions. Returns them with the revision of the key before,
/// and the last transaction covered.
pub(crate) fn history(
    index: &Index,
    range: &KeyRange,
    from: i64,
    to: i64,
    limit: usize,
) -> (Vec<(Revision, Option<Revision>)>, i64) {
    let mut changes: Vec<_> = index
        .histories(range)
        .flat_map(|(_, history)| history.between(from, to))
        .map(|(entry, before)| (entry.at, before))
        .collect();
    changes.sort_unstable_by_key(|(at, _)| *at);
    if changes.len() <= limit {
        return (changes, to);
    }
    let last = changes[limit.max(1) - 1].0.main();
    let whole = changes.partition_point(|(at, _)| at.main() <= last);
    changes.truncate(whole);
    (changes, last)
}
