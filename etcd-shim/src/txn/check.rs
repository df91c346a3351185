//! The form of a request, checked before it costs anything.
//! Source: etcd `server/etcdserver/api/v3rpc/key.go` `check*Request`, `checkIntervals`.

use std::collections::BTreeSet;

use bytes::Bytes;
use etcd_proto::errors::{
    DUPLICATE_KEY, EMPTY_KEY, INVALID_SORT_OPTION, KEY_NOT_FOUND, LEASE_PROVIDED, TOO_MANY_OPS, VALUE_PROVIDED,
    WireError,
};
use etcd_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use etcd_proto::etcdserverpb::request_op::Request;
use etcd_proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};

use crate::mvcc::KeyRange;

pub(crate) fn range(request: &RangeRequest) -> Result<(), WireError> {
    if request.key.is_empty() {
        return Err(EMPTY_KEY);
    }
    if SortOrder::try_from(request.sort_order).is_err() || SortTarget::try_from(request.sort_target).is_err() {
        return Err(INVALID_SORT_OPTION);
    }
    Ok(())
}

pub(crate) fn put(request: &PutRequest) -> Result<(), WireError> {
    if request.key.is_empty() {
        return Err(EMPTY_KEY);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(VALUE_PROVIDED);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(LEASE_PROVIDED);
    }
    Ok(())
}

pub(crate) fn delete_range(request: &DeleteRangeRequest) -> Result<(), WireError> {
    if request.key.is_empty() { Err(EMPTY_KEY) } else { Ok(()) }
}

/// Checks a transaction and all within; at most `max_ops` operations along any path.
pub(crate) fn txn(request: &TxnRequest, max_ops: usize) -> Result<(), WireError> {
    form(request, max_ops)?;
    writes(&request.success)?;
    writes(&request.failure)?;
    Ok(())
}

/// Whether a transaction can do nothing but read. As in etcd, one that nests another does not count.
pub(crate) fn is_read_only(request: &TxnRequest) -> bool {
    let reads = |operation: &RequestOp| matches!(operation.request, Some(Request::RequestRange(_)));
    request.success.iter().all(reads) && request.failure.iter().all(reads)
}

fn form(request: &TxnRequest, max_ops: usize) -> Result<(), WireError> {
    let ops = request
        .compare
        .len()
        .max(request.success.len())
        .max(request.failure.len());
    let left = max_ops.checked_sub(ops).ok_or(TOO_MANY_OPS)?;
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(EMPTY_KEY);
    }
    for operation in request.success.iter().chain(&request.failure) {
        match &operation.request {
            Some(Request::RequestRange(request)) => range(request)?,
            Some(Request::RequestPut(request)) => put(request)?,
            Some(Request::RequestDeleteRange(request)) => delete_range(request)?,
            Some(Request::RequestTxn(request)) => form(request, left)?,
            None => return Err(KEY_NOT_FOUND),
        }
    }
    Ok(())
}

#[derive(Default)]
struct Writes {
    puts: BTreeSet<Bytes>,
    deletes: Vec<KeyRange>,
}

// What a list of operations may write. No key may be put twice, nor put beside a deletion of it; the
// two branches of one nested transaction may overlap, since only one of them runs.
fn writes(operations: &[RequestOp]) -> Result<Writes, WireError> {
    let mut all = Writes::default();
    for operation in operations {
        if let Some(Request::RequestDeleteRange(request)) = &operation.request {
            all.deletes
                .push(KeyRange::from_wire(request.key.clone(), request.range_end.clone()));
        }
    }
    for operation in operations {
        let Some(Request::RequestTxn(txn)) = &operation.request else {
            continue;
        };
        let then = writes(&txn.success)?;
        let otherwise = writes(&txn.failure)?;
        for key in then.puts.union(&otherwise.puts) {
            all.add_put(key)?;
        }
        all.deletes.extend(then.deletes);
        all.deletes.extend(otherwise.deletes);
    }
    for operation in operations {
        if let Some(Request::RequestPut(request)) = &operation.request {
            all.add_put(&request.key)?;
        }
    }
    Ok(all)
}

impl Writes {
    fn add_put(&mut self, key: &Bytes) -> Result<(), WireError> {
        if self.deletes.iter().any(|range| range.contains(key)) || !self.puts.insert(key.clone()) {
            return Err(DUPLICATE_KEY);
        }
        Ok(())
    }
}
