//! Comparisons that guard a transaction. Source: etcd `server/etcdserver/txn/txn.go` `applyCompare`.

use std::cmp::Ordering;

use etcd_proto::etcdserverpb::Compare;
use etcd_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};

use super::View;
use crate::mvcc::{Error, KeyRange};

/// Whether `compare` holds for every key it names. A key that does not exist compares as all zeros,
/// except that no comparison of its value holds.
pub(super) fn holds(view: &View<'_>, compare: &Compare) -> Result<bool, Error> {
    let range = KeyRange::from_wire(compare.key.clone(), compare.range_end.clone());
    let mut found = false;
    for (_, history) in view.index.histories(&range) {
        let Some(live) = history.live() else { continue };
        found = true;
        // Everything but the value is answered by the index: the usual guard costs no read.
        let order = match compare.target() {
            CompareTarget::Version => live.version.cmp(&wanted(compare)),
            CompareTarget::Create => history.create_revision().cmp(&wanted(compare)),
            CompareTarget::Mod => live.at.main().cmp(&wanted(compare)),
            CompareTarget::Lease => history.lease().cmp(&wanted(compare)),
            CompareTarget::Value => {
                let record = view.records.read(&[live.at], true)?.pop().flatten();
                let value = record.map(|record| record.value).unwrap_or_default();
                match &compare.target_union {
                    Some(TargetUnion::Value(wanted)) => value.cmp(wanted),
                    _ => value[..].cmp(&[]),
                }
            }
        };
        if !satisfies(compare.result(), order) {
            return Ok(false);
        }
    }
    if found {
        return Ok(true);
    }
    Ok(compare.target() != CompareTarget::Value && satisfies(compare.result(), 0.cmp(&wanted(compare))))
}

// The number of the target's own kind; a union that does not fit the target counts as 0, as in etcd.
fn wanted(compare: &Compare) -> i64 {
    match (compare.target(), &compare.target_union) {
        (CompareTarget::Version, Some(TargetUnion::Version(number)))
        | (CompareTarget::Create, Some(TargetUnion::CreateRevision(number)))
        | (CompareTarget::Mod, Some(TargetUnion::ModRevision(number)))
        | (CompareTarget::Lease, Some(TargetUnion::Lease(number))) => *number,
        _ => 0,
    }
}

fn satisfies(result: CompareResult, order: Ordering) -> bool {
    match result {
        CompareResult::Equal => order.is_eq(),
        CompareResult::Greater => order.is_gt(),
        CompareResult::Less => order.is_lt(),
        CompareResult::NotEqual => order.is_ne(),
    }
}
