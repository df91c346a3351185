//! Range: which revisions answer it (from the index alone), then their records into a response.

use etcd_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use etcd_proto::etcdserverpb::{RangeRequest, RangeResponse, ResponseHeader};
use etcd_proto::mvccpb::KeyValue;

use super::{Error, Index, KeyRange, Records, Revision};

/// What to read to answer one Range, and how to answer.
#[derive(Debug)]
pub(crate) struct RangePlan {
    /// Revisions to read, in key order.
    pub(crate) revisions: Vec<Revision>,
    count: i64,
    more: bool,
    revision: i64,
    /// Every pair must be looked at: filters or another order than by key.
    rearrange: bool,
}

/// Plans `request` against `index` as of `current`, the store's revision as the reader sees it.
pub(crate) fn plan_range(
    index: &Index,
    current: i64,
    compacted: i64,
    request: &RangeRequest,
) -> Result<RangePlan, Error> {
    let at = if request.revision <= 0 {
        current
    } else {
        request.revision
    };
    if at > current {
        return Err(Error::Future);
    }
    if at < compacted {
        return Err(Error::Compacted);
    }
    let range = KeyRange::from_wire(request.key.clone(), request.range_end.clone());
    let rearrange = rearranges(request);
    let mut plan = RangePlan {
        revisions: Vec::new(),
        count: 0,
        more: false,
        revision: current,
        rearrange,
    };
    let limit = match request.limit {
        limit if limit <= 0 || rearrange => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    for (_, entry) in index.live(&range, at) {
        plan.count += 1;
        if request.count_only {
            continue;
        }
        if plan.revisions.len() < limit {
            plan.revisions.push(entry.at);
        } else {
            plan.more = true;
        }
    }
    Ok(plan)
}

impl RangePlan {
    /// Reads the records and answers. `Compacted` when a compaction took a record away meanwhile.
    pub(crate) fn run(self, request: &RangeRequest, records: &dyn Records) -> Result<RangeResponse, Error> {
        let values = !request.keys_only || (self.rearrange && request.sort_target() == SortTarget::Value);
        let read = records.read(&self.revisions, values)?;
        let mut kvs = Vec::with_capacity(read.len());
        for (record, at) in read.into_iter().zip(&self.revisions) {
            kvs.push(record.ok_or(Error::Compacted)?.into_key_value(*at));
        }
        let mut more = self.more;
        if self.rearrange {
            filter(&mut kvs, request);
            sort(&mut kvs, request);
            let limit = usize::try_from(request.limit).unwrap_or(0);
            if limit > 0 && kvs.len() > limit {
                kvs.truncate(limit);
                more = true;
            }
            if request.keys_only {
                kvs.iter_mut().for_each(|kv| kv.value = bytes::Bytes::new());
            }
        }
        let header = ResponseHeader {
            revision: self.revision,
            ..ResponseHeader::default()
        };
        Ok(RangeResponse {
            header: Some(header),
            kvs,
            more,
            count: self.count,
        })
    }
}

// Source: etcd server/etcdserver/txn/range.go rangeLimit, IsDefaultOrdering, HasRevisionFilters.
fn rearranges(request: &RangeRequest) -> bool {
    let by_key = request.sort_order() == SortOrder::None
        || (request.sort_target() == SortTarget::Key && request.sort_order() == SortOrder::Ascend);
    let unfiltered = request.min_mod_revision == 0
        && request.max_mod_revision == 0
        && request.min_create_revision == 0
        && request.max_create_revision == 0;
    !unfiltered || !by_key || request.sort_target() != SortTarget::Key
}

fn filter(kvs: &mut Vec<KeyValue>, request: &RangeRequest) {
    let within = |value: i64, min: i64, max: i64| (min == 0 || value >= min) && (max == 0 || value <= max);
    kvs.retain(|kv| {
        within(kv.mod_revision, request.min_mod_revision, request.max_mod_revision)
            && within(
                kv.create_revision,
                request.min_create_revision,
                request.max_create_revision,
            )
    });
}

// A sort target without an order sorts ascending (etcd range.go sortRangeResults).
fn sort(kvs: &mut [KeyValue], request: &RangeRequest) {
    match request.sort_target() {
        SortTarget::Key => {}
        SortTarget::Version => kvs.sort_by_key(|kv| kv.version),
        SortTarget::Create => kvs.sort_by_key(|kv| kv.create_revision),
        SortTarget::Mod => kvs.sort_by_key(|kv| kv.mod_revision),
        SortTarget::Value => kvs.sort_by(|a, b| a.value.cmp(&b.value)),
    }
    if request.sort_order() == SortOrder::Descend {
        kvs.reverse();
    }
}
