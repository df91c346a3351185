//! Put, DeleteRange and Txn, from request to response.
//!
//! Order of a transaction, as etcd's: [`check`] the request's form; find the branch each (nested)
//! transaction takes, all against the state before; check that every operation on those branches can
//! be done; do them. Nothing can fail after the first write except the disk, and then the store stops.
//! Source: etcd `server/etcdserver/txn/txn.go`.

pub(crate) mod check;
mod compare;

use etcd_proto::etcdserverpb::request_op::Request;
use etcd_proto::etcdserverpb::response_op::Response;
use etcd_proto::etcdserverpb::{
    DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp,
    ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};
use etcd_proto::mvccpb::KeyValue;

use crate::mvcc::{Core, Error, Index, KeyRange, LeaseChange, Records, Writer, plan_range};

/// A state to read: the index with where its records are.
pub(crate) struct View<'a> {
    pub(crate) index: &'a Index,
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    pub(crate) records: &'a dyn Records,
}

impl<'a> View<'a> {
    fn of(core: &'a Core) -> Self {
        Self {
            index: core.index(),
            revision: core.revision(),
            compacted: core.compacted(),
            records: core,
        }
    }

    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Error> {
        plan_range(self.index, self.revision, self.compacted, request)?.run(request, self.records)
    }

    fn current(&self, key: &[u8]) -> Result<Option<KeyValue>, Error> {
        let Some(live) = self.index.get(key).and_then(|history| history.live()) else {
            return Ok(None);
        };
        let record = self.records.read(&[live.at], true)?.pop().flatten();
        Ok(record.map(|record| record.into_key_value(live.at)))
    }
}

/// Sets one key.
pub(crate) fn put(core: &mut Core, request: PutRequest) -> Result<PutResponse, Error> {
    check_put(&View::of(core), core, &request)?;
    execute_put(&mut core.begin(), request)
}

/// Deletes a range of keys.
pub(crate) fn delete_range(core: &mut Core, request: DeleteRangeRequest) -> Result<DeleteRangeResponse, Error> {
    core.check_delete(&KeyRange::from_wire(request.key.clone(), request.range_end.clone()))?;
    execute_delete(&mut core.begin(), request)
}

/// Runs a transaction that may write.
pub(crate) fn txn(core: &mut Core, request: TxnRequest) -> Result<TxnResponse, Error> {
    let taken = branch(&View::of(core), request)?;
    if core.no_space && taken.puts() {
        return Err(Error::NoSpace);
    }
    taken.check(core)?;
    let mut writer = core.begin();
    taken.execute(&mut writer)
}

/// Runs a transaction that only reads (see [`check::is_read_only`]).
pub(crate) fn read_txn(view: &View<'_>, request: TxnRequest) -> Result<TxnResponse, Error> {
    let taken = branch(view, request)?;
    let mut responses = Vec::with_capacity(taken.steps.len());
    for step in taken.steps {
        if let Step::Range(request) = step {
            responses.push(Response::ResponseRange(view.range(&request)?));
        }
    }
    Ok(response(view.revision, taken.succeeded, responses))
}

/// Grants a lease; ID 0 must have been replaced by the caller.
pub(crate) fn lease_grant(core: &mut Core, id: i64, ttl: i64, now: tokio::time::Instant) -> Result<i64, Error> {
    if core.no_space {
        return Err(Error::NoSpace);
    }
    let ttl = core.lessor().lock().grant(id, ttl, now)?;
    core.lease_changed(LeaseChange::Granted { id, ttl });
    Ok(ttl)
}

/// Ends a lease and deletes its keys, in one revision.
pub(crate) fn lease_revoke(core: &mut Core, id: i64) -> Result<(), Error> {
    let keys = core.lessor().lock().revoke(id)?;
    core.lease_changed(LeaseChange::Revoked { id });
    let mut writer = core.begin();
    for key in keys {
        writer.delete(&KeyRange::One(key));
    }
    Ok(())
}

// A transaction whose branches are decided.
struct Taken {
    succeeded: bool,
    steps: Vec<Step>,
}

enum Step {
    Range(RangeRequest),
    Put(PutRequest),
    Delete(DeleteRangeRequest),
    Txn(Taken),
}

fn branch(view: &View<'_>, request: TxnRequest) -> Result<Taken, Error> {
    let mut succeeded = true;
    for compare in &request.compare {
        if !compare::holds(view, compare)? {
            succeeded = false;
            break;
        }
    }
    let operations: Vec<RequestOp> = if succeeded { request.success } else { request.failure };
    let mut steps = Vec::with_capacity(operations.len());
    for operation in operations {
        match operation.request {
            Some(Request::RequestRange(range)) => steps.push(Step::Range(range)),
            Some(Request::RequestPut(put)) => steps.push(Step::Put(put)),
            Some(Request::RequestDeleteRange(delete)) => steps.push(Step::Delete(delete)),
            Some(Request::RequestTxn(txn)) => steps.push(Step::Txn(branch(view, txn)?)),
            // check::txn refuses an operation without a request.
            None => {}
        }
    }
    Ok(Taken { succeeded, steps })
}

impl Taken {
    fn puts(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Put(_) => true,
            Step::Txn(txn) => txn.puts(),
            Step::Range(_) | Step::Delete(_) => false,
        })
    }

    fn check(&self, core: &Core) -> Result<(), Error> {
        let view = View::of(core);
        for step in &self.steps {
            match step {
                Step::Range(range) if range.revision > view.revision => return Err(Error::Future),
                Step::Range(range) if range.revision > 0 && range.revision < view.compacted => {
                    return Err(Error::Compacted);
                }
                Step::Range(_) => {}
                Step::Put(put) => check_put(&view, core, put)?,
                Step::Delete(delete) => {
                    core.check_delete(&KeyRange::from_wire(delete.key.clone(), delete.range_end.clone()))?;
                }
                Step::Txn(txn) => txn.check(core)?,
            }
        }
        Ok(())
    }

    fn execute(self, writer: &mut Writer<'_>) -> Result<TxnResponse, Error> {
        let mut responses = Vec::with_capacity(self.steps.len());
        for step in self.steps {
            responses.push(match step {
                Step::Range(range) => Response::ResponseRange(View::of(writer.core()).range(&range)?),
                Step::Put(put) => Response::ResponsePut(execute_put(writer, put)?),
                Step::Delete(delete) => Response::ResponseDeleteRange(execute_delete(writer, delete)?),
                Step::Txn(txn) => Response::ResponseTxn(txn.execute(writer)?),
            });
        }
        Ok(response(writer.revision(), self.succeeded, responses))
    }
}

fn response(revision: i64, succeeded: bool, responses: Vec<Response>) -> TxnResponse {
    let responses = responses
        .into_iter()
        .map(|response| ResponseOp {
            response: Some(response),
        })
        .collect();
    TxnResponse {
        header: header(revision),
        succeeded,
        responses,
    }
}

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader {
        revision,
        ..ResponseHeader::default()
    })
}

fn check_put(view: &View<'_>, core: &Core, request: &PutRequest) -> Result<(), Error> {
    if core.no_space {
        return Err(Error::NoSpace);
    }
    if request.lease != 0 && !core.lessor().lock().exists(request.lease) {
        return Err(Error::LeaseNotFound);
    }
    let lives = || {
        view.index
            .get(&request.key)
            .is_some_and(|history| history.live().is_some())
    };
    if (request.ignore_value || request.ignore_lease) && !lives() {
        return Err(Error::KeyNotFound);
    }
    Ok(())
}

fn execute_put(writer: &mut Writer<'_>, request: PutRequest) -> Result<PutResponse, Error> {
    let before = if request.prev_kv || request.ignore_value || request.ignore_lease {
        View::of(writer.core()).current(&request.key)?
    } else {
        None
    };
    let (mut value, mut lease) = (request.value, request.lease);
    if let Some(before) = &before {
        if request.ignore_value {
            value = before.value.clone();
        }
        if request.ignore_lease {
            lease = before.lease;
        }
    }
    writer.put(request.key, value, lease);
    Ok(PutResponse {
        header: header(writer.revision()),
        prev_kv: before.filter(|_| request.prev_kv),
    })
}

fn execute_delete(writer: &mut Writer<'_>, request: DeleteRangeRequest) -> Result<DeleteRangeResponse, Error> {
    let were = writer.delete(&KeyRange::from_wire(request.key, request.range_end));
    let deleted = i64::try_from(were.len()).unwrap_or(i64::MAX);
    let mut prev_kvs = Vec::new();
    if request.prev_kv {
        let records = writer.core().read(&were, true)?;
        for (record, at) in records.into_iter().zip(were) {
            prev_kvs.push(record.ok_or(Error::Compacted)?.into_key_value(at));
        }
    }
    Ok(DeleteRangeResponse {
        header: header(writer.revision()),
        deleted,
        prev_kvs,
    })
}
