#![allow(clippy::unwrap_used)]
//! Random operations against a model that keeps all of history in one list.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use etcd_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use etcd_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use etcd_proto::etcdserverpb::request_op::Request;
use etcd_proto::etcdserverpb::{Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};
use etcd_proto::mvccpb::KeyValue;
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::config::EngineKind;
use crate::engine::memory::Memory;
use crate::engine::sqlite::Sqlite;
use crate::engine::{self, Engine};
use crate::lease::Lessor;
use crate::txn;

#[derive(Clone, Debug)]
enum Op {
    Put {
        key: u8,
        value: u8,
    },
    Delete {
        from: u8,
        to: u8,
    },
    /// Put if the key's mod revision is what the model says (or, if not `right`, is not).
    Update {
        key: u8,
        value: u8,
        right: bool,
    },
    /// Two puts and a delete in one transaction.
    Batch {
        a: u8,
        b: u8,
        gone: u8,
        value: u8,
    },
    Compact {
        back: u8,
    },
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..8u8, any::<u8>()).prop_map(|(key, value)| Op::Put { key, value }),
        2 => (0..8u8, 0..9u8).prop_map(|(from, to)| Op::Delete { from, to }),
        3 => (0..8u8, any::<u8>(), any::<bool>()).prop_map(|(key, value, right)| Op::Update { key, value, right }),
        2 => (0..8u8, 0..8u8, 0..8u8, any::<u8>())
            .prop_map(|(a, b, gone, value)| Op::Batch { a, b: (b + 8), gone: gone + 16, value }),
        1 => (0..6u8).prop_map(|back| Op::Compact { back }),
        1 => Just(Op::Reopen),
    ]
}

fn key(number: u8) -> Bytes {
    Bytes::from(format!("key{number:02}"))
}

/// Every version of every key there ever was, and where history begins.
#[derive(Default)]
struct Model {
    revision: i64,
    compacted: i64,
    // (revision, key) -> the pair then; None: deleted
    history: BTreeMap<(i64, Bytes), Option<KeyValue>>,
}

impl Model {
    fn at(&self, key: &Bytes, revision: i64) -> Option<&KeyValue> {
        let versions = self.history.iter().filter(|((at, of), _)| of == key && *at <= revision);
        versions.last().and_then(|(_, pair)| pair.as_ref())
    }

    fn all_at(&self, revision: i64) -> Vec<KeyValue> {
        let keys: std::collections::BTreeSet<_> = self.history.keys().map(|(_, key)| key.clone()).collect();
        keys.iter().filter_map(|key| self.at(key, revision).cloned()).collect()
    }

    // Writes of one transaction; returns whether there were any.
    fn write(&mut self, puts: &[(Bytes, u8)], deletes: &dyn Fn(&Bytes) -> bool) -> bool {
        let next = self.revision + 1;
        let doomed: Vec<_> = self
            .all_at(self.revision)
            .into_iter()
            .map(|pair| pair.key)
            .filter(|key| deletes(key))
            .collect();
        let mut changed = !doomed.is_empty();
        for key in doomed {
            self.history.insert((next, key), None);
        }
        for (key, value) in puts {
            let before = self.at(key, self.revision).cloned();
            let pair = KeyValue {
                key: key.clone(),
                create_revision: before.as_ref().map_or(next, |before| before.create_revision),
                mod_revision: next,
                version: before.map_or(1, |before| before.version + 1),
                value: vec![*value; 3].into(),
                lease: 0,
            };
            self.history.insert((next, key.clone()), Some(pair));
            changed = true;
        }
        if changed {
            self.revision = next;
        }
        changed
    }
}

struct Subject {
    engine: Arc<dyn Engine>,
    core: Core,
    model: Model,
}

impl Subject {
    fn new(engine: Arc<dyn Engine>) -> Self {
        let core = open(&engine);
        let model = Model {
            revision: 1,
            compacted: -1,
            ..Model::default()
        };
        Self { engine, core, model }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Put { key: number, value } => {
                let request = put_request(number, value);
                let before = self.model.at(&request.key, self.model.revision).cloned();
                let response = txn::put(
                    &mut self.core,
                    PutRequest {
                        prev_kv: true,
                        ..request.clone()
                    },
                )
                .unwrap();
                assert_eq!(response.prev_kv, before);
                self.model.write(&[(request.key, value)], &|_| false);
            }
            Op::Delete { from, to } => {
                let before = self.model.all_at(self.model.revision);
                let (start, end) = (key(from), key(to));
                let doomed = |key: &Bytes| *key >= start && *key < end;
                let request = DeleteRangeRequest {
                    key: start.clone(),
                    range_end: end.clone(),
                    prev_kv: true,
                };
                let response = txn::delete_range(&mut self.core, request).unwrap();
                let expected: Vec<_> = before.into_iter().filter(|pair| doomed(&pair.key)).collect();
                assert_eq!(response.prev_kvs, expected);
                assert_eq!(usize::try_from(response.deleted).unwrap(), expected.len());
                self.model.write(&[], &doomed);
            }
            Op::Update {
                key: number,
                value,
                right,
            } => self.update(number, value, right),
            Op::Batch { a, b, gone, value } => {
                let ops = [
                    Request::RequestPut(put_request(a, value)),
                    Request::RequestPut(put_request(b, value)),
                    Request::RequestDeleteRange(DeleteRangeRequest {
                        key: key(gone),
                        ..Default::default()
                    }),
                ];
                let success = ops.into_iter().map(|op| RequestOp { request: Some(op) }).collect();
                txn::txn(
                    &mut self.core,
                    TxnRequest {
                        success,
                        ..Default::default()
                    },
                )
                .unwrap();
                self.model
                    .write(&[(key(a), value), (key(b), value)], &|at| *at == key(gone));
            }
            Op::Compact { back } => {
                let at = self.model.revision - i64::from(back);
                let result = self.core.compact(at);
                if at <= self.model.compacted {
                    assert!(matches!(result, Err(Error::Compacted)));
                } else {
                    result.unwrap();
                    self.model.compacted = at;
                }
            }
            Op::Reopen => {
                self.commit();
                self.core = open(&self.engine);
            }
        }
        self.core.compact_step();
        self.check();
    }

    fn update(&mut self, number: u8, value: u8, right: bool) {
        let put = put_request(number, value);
        let current = self
            .model
            .at(&put.key, self.model.revision)
            .map_or(0, |pair| pair.mod_revision);
        let compare = Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Mod.into(),
            key: put.key.clone(),
            target_union: Some(TargetUnion::ModRevision(current + i64::from(!right))),
            ..Default::default()
        };
        let read = RangeRequest {
            key: put.key.clone(),
            ..Default::default()
        };
        let op = |request| vec![RequestOp { request: Some(request) }];
        let request = TxnRequest {
            compare: vec![compare],
            success: op(Request::RequestPut(put.clone())),
            failure: op(Request::RequestRange(read)),
        };
        let response = txn::txn(&mut self.core, request).unwrap();
        assert_eq!(response.succeeded, right);
        if right {
            self.model.write(&[(put.key, value)], &|_| false);
        }
        assert_eq!(response.header.unwrap().revision, self.model.revision);
    }

    // Makes pending changes durable now and then, so that reads mix both kinds.
    fn commit(&mut self) {
        let batch = self.core.take_batch();
        self.engine.commit(&batch).unwrap();
    }

    fn range(&self, request: &RangeRequest) -> Result<etcd_proto::etcdserverpb::RangeResponse, Error> {
        plan_range(self.core.index(), self.core.revision(), self.core.compacted(), request)?.run(request, &self.core)
    }

    fn check(&mut self) {
        assert_eq!(self.core.revision(), self.model.revision);
        if self.model.revision % 3 == 0 {
            self.commit();
        }
        let all = |revision| RangeRequest {
            key: vec![0].into(),
            range_end: vec![0].into(),
            revision,
            ..Default::default()
        };
        for revision in self.model.compacted.max(1)..=self.model.revision {
            let response = self.range(&all(revision)).unwrap();
            assert_eq!(response.kvs, self.model.all_at(revision), "at {revision}");
        }
        if self.model.compacted > 1 {
            assert!(matches!(
                self.range(&all(self.model.compacted - 1)),
                Err(Error::Compacted)
            ));
        }
        assert!(matches!(self.range(&all(self.model.revision + 1)), Err(Error::Future)));
        let now = self.model.all_at(self.model.revision);
        let page = self.range(&RangeRequest { limit: 2, ..all(0) }).unwrap();
        assert_eq!(page.kvs, now.iter().take(2).cloned().collect::<Vec<_>>());
        assert_eq!(
            (usize::try_from(page.count).unwrap(), page.more),
            (now.len(), now.len() > 2)
        );
        let newest = RangeRequest {
            limit: 1,
            sort_target: SortTarget::Mod.into(),
            sort_order: SortOrder::Descend.into(),
            ..all(0)
        };
        let newest = self.range(&newest).unwrap().kvs.first().map(|pair| pair.mod_revision);
        assert_eq!(newest, now.iter().map(|pair| pair.mod_revision).max());
        self.check_history();
    }

    // What a watch from the compaction on would be sent.
    fn check_history(&self) {
        let from = self.model.compacted.max(1) + 1;
        let everything = KeyRange::Span {
            start: Bytes::new(),
            end: None,
        };
        let (changes, last) = history(self.core.index(), &everything, from, self.model.revision, usize::MAX);
        assert_eq!(last, self.model.revision);
        let records = self
            .core
            .read(&changes.iter().map(|(at, _)| *at).collect::<Vec<_>>(), true)
            .unwrap();
        let mut seen = BTreeMap::new();
        for ((at, before), record) in changes.into_iter().zip(records) {
            let record = record.unwrap();
            let known = self.model.at(&record.key, at.main() - 1).map(|pair| pair.mod_revision);
            assert_eq!(before.map(Revision::main), known, "before {at:?}");
            let pair = (!record.is_tombstone()).then(|| record.clone().into_key_value(at));
            seen.insert((at.main(), record.key), pair);
        }
        let expected: BTreeMap<_, _> = self
            .model
            .history
            .clone()
            .into_iter()
            .filter(|((at, _), _)| *at >= from)
            .collect();
        assert_eq!(seen, expected);
    }
}

fn put_request(number: u8, value: u8) -> PutRequest {
    PutRequest {
        key: key(number),
        value: vec![value; 3].into(),
        ..Default::default()
    }
}

fn open(engine: &Arc<dyn Engine>) -> Core {
    let mut core = Core::new(engine.clone(), Arc::new(Mutex::new(Lessor::new(1))));
    engine
        .scan(Revision::from_raw(0), false, &mut |at, record| core.load(at, record))
        .unwrap();
    core.loaded(engine.found().unwrap().meta);
    core
}

/// Runs random lists of operations: `short` of them, or as many as `PROPTEST_CASES` says.
fn prove(name: &str, short: u32, run: impl Fn(Vec<Op>)) {
    let asked = std::env::var_os("PROPTEST_CASES").map(|_| ProptestConfig::default().cases);
    let config = ProptestConfig {
        cases: asked.unwrap_or(short),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let (cases, operations) = (Cell::new(0), Cell::new(0));
    let proved = TestRunner::new(config).run(&prop::collection::vec(op(), 1..60), |ops| {
        cases.set(cases.get() + 1);
        operations.set(operations.get() + ops.len());
        run(ops);
        Ok(())
    });
    proved.unwrap();
    println!(
        "proof: model/{name} cases={} operations={}",
        cases.get(),
        operations.get()
    );
}

#[test]
fn the_memory_engine_agrees_with_the_model() {
    prove("memory", 60, |ops| {
        let mut subject = Subject::new(Arc::new(Memory::default()));
        ops.into_iter().for_each(|op| subject.apply(op));
    });
}

#[test]
fn the_sqlite_engine_agrees_with_the_model_across_restarts() {
    prove("sqlite", 12, |ops| across_restarts(EngineKind::Sqlite, ops));
}

#[test]
fn the_log_engine_agrees_with_the_model_across_restarts() {
    prove("log", 12, |ops| across_restarts(EngineKind::Log, ops));
}

fn across_restarts(kind: EngineKind, ops: Vec<Op>) {
    let directory = tempfile::tempdir().unwrap();
    let engine = || engine::open(Some(kind), &directory.path().join("store")).unwrap();
    let mut subject = Subject::new(engine());
    for op in ops {
        // The lock is held while the old one lives: only its content is taken over.
        if matches!(op, Op::Reopen) {
            subject.commit();
            subject.core = Core::new(Arc::new(Memory::default()), Arc::new(Mutex::new(Lessor::new(1))));
            subject.engine = Arc::new(Memory::default());
            subject.engine = engine();
            subject.core = open(&subject.engine);
            subject.check();
        } else {
            subject.apply(op);
        }
    }
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _first = Sqlite::open(directory.path()).unwrap();
    assert!(Sqlite::open(directory.path()).is_err());
}

#[test]
fn a_foreign_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    rusqlite::Connection::open(directory.path().join("corten.db"))
        .unwrap()
        .execute_batch("CREATE TABLE t (a)")
        .unwrap();
    let error = Sqlite::open(directory.path()).err().unwrap();
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("is not a store")
    );
}
