//! What reads bytes of strangers, each as one function of them that must not panic nor make room for more than there
//! is. `etcd-shim/fuzz` calls these with all that libFuzzer thinks of (`hack/proofs.sh`); nothing here is for a server.

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use etcd_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use etcd_proto::etcdserverpb::request_op::Request;
use etcd_proto::etcdserverpb::{Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};
use parking_lot::Mutex;
use prost::Message;

use crate::engine::Engine;
use crate::engine::log::hostile;
use crate::engine::memory::Memory;
use crate::lease::Lessor;
use crate::mvcc::{Core, plan_range};
use crate::txn::{self, check};

/// What is done with bytes.
pub type Target = fn(&[u8]);

/// All targets, by the names of their programs.
pub const TARGETS: [(&str, Target); 5] = [
    ("segment", segment),
    ("payload", payload),
    ("hint", hint),
    ("snapshot", snapshot),
    ("requests", requests),
];

/// The file of a log's only segment.
pub fn segment(bytes: &[u8]) {
    hostile::read_log(vec![("0000000000000001.seg".into(), bytes.to_vec())]);
}

/// The insides of a segment whose checksums are all right.
pub fn payload(bytes: &[u8]) {
    hostile::read_payloads(bytes);
}

/// The hint of a segment.
pub fn hint(bytes: &[u8]) {
    hostile::read_hint(bytes);
}

/// A snapshot of any format; its SHA-256 may be wrong.
pub fn snapshot(bytes: &[u8]) {
    let Ok(memory) = rustix::fs::memfd_create("snapshot", rustix::fs::MemfdFlags::CLOEXEC) else {
        return;
    };
    let file = std::fs::File::from(memory);
    if file.write_all_at(bytes, 0).is_ok() {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // What is wrong with it is no panic.
        let _ = crate::snapshot::read(Path::new(&path));
    }
}

/// Requests, one after the other, to a store in memory: each a kind, a length (two bytes) and a message.
pub fn requests(bytes: &[u8]) {
    let memory = Arc::new(Memory::default());
    let mut core = Core::new(memory.clone(), Arc::new(Mutex::new(Lessor::new(1))));
    let mut rest = bytes;
    while let [kind, low, high, behind @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(behind.len());
        let (message, next) = behind.split_at(length);
        rest = next;
        request(&mut core, *kind, Bytes::copy_from_slice(message));
        core.compact_step();
        // Some is read before it is durable.
        if kind & 0x80 == 0 {
            let _ = memory.commit(&core.take_batch());
        }
    }
}

fn request(core: &mut Core, kind: u8, message: Bytes) {
    // What is refused is refused.
    match kind & 0x7f {
        0 => {
            if let Ok(request) = PutRequest::decode(message)
                && check::put(&request).is_ok()
            {
                let _ = txn::put(core, request);
            }
        }
        1 => {
            if let Ok(request) = DeleteRangeRequest::decode(message)
                && check::delete_range(&request).is_ok()
            {
                let _ = txn::delete_range(core, request);
            }
        }
        2 => {
            if let Ok(request) = TxnRequest::decode(message)
                && check::txn(&request, 128).is_ok()
            {
                check::is_read_only(&request);
                let _ = txn::txn(core, request);
            }
        }
        3 => {
            if let Ok(request) = RangeRequest::decode(message)
                && check::range(&request).is_ok()
                && let Ok(plan) = plan_range(core.index(), core.revision(), core.compacted(), &request)
            {
                let _ = plan.run(&request, core);
            }
        }
        _ => {
            let mut number = [0; 8];
            let some = message.len().min(8);
            number[..some].copy_from_slice(&message[..some]);
            let _ = core.compact(i64::from_le_bytes(number));
        }
    }
}

/// Where fuzzing begins: what the readers meet in real life, by target.
#[must_use]
pub fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let mut corpus = Vec::new();
    for (name, bytes) in hostile::real() {
        if name == "snapshot" {
            corpus.push(("snapshot", [&bytes[..], &[0; 32]].concat()));
        } else if name.ends_with(".idx") {
            // Once as it is, once with what follows its head.
            corpus.push(("hint", [&[0], &bytes[..]].concat()));
            corpus.push(("hint", [&[1], &bytes[80..bytes.len() - 4]].concat()));
        } else {
            let payload = bytes[96..]
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(96, |last| 97 + last);
            corpus.push(("payload", [&[0], &bytes[96..payload]].concat()));
            corpus.push(("segment", bytes));
        }
    }
    corpus.push(("requests", real_requests()));
    corpus
}

fn real_requests() -> Vec<u8> {
    let put = PutRequest {
        key: "a".into(),
        value: "1".into(),
        prev_kv: true,
        ..Default::default()
    };
    let range = RangeRequest {
        key: "a".into(),
        range_end: vec![0].into(),
        sort_order: 2,
        sort_target: 3,
        limit: 2,
        revision: 2,
        ..Default::default()
    };
    let delete = DeleteRangeRequest {
        key: "a".into(),
        range_end: "b".into(),
        prev_kv: true,
    };
    let op = |request| RequestOp { request: Some(request) };
    let txn = TxnRequest {
        compare: vec![Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Mod.into(),
            key: "a".into(),
            target_union: Some(TargetUnion::ModRevision(2)),
            ..Default::default()
        }],
        success: vec![
            op(Request::RequestPut(put.clone())),
            op(Request::RequestRange(range.clone())),
        ],
        failure: vec![op(Request::RequestDeleteRange(delete.clone()))],
    };
    let nested = TxnRequest {
        success: vec![op(Request::RequestTxn(txn.clone()))],
        ..Default::default()
    };
    let messages = [
        (0, put.encode_to_vec()),
        (2, txn.encode_to_vec()),
        (0x83, range.encode_to_vec()),
        (0x82, nested.encode_to_vec()),
        (1, delete.encode_to_vec()),
        (4, 3i64.to_le_bytes().to_vec()),
        (3, range.encode_to_vec()),
    ];
    let mut out = Vec::new();
    for (kind, message) in messages {
        out.push(kind);
        out.extend_from_slice(&(message.len() as u16).to_le_bytes());
        out.extend(message);
    }
    out
}

#[cfg(test)]
mod tests;
