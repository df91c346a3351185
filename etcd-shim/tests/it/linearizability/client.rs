//! Clients that do anything to a few keys, and write down what they are told.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use etcd_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use etcd_proto::etcdserverpb::kv_client::KvClient;
use etcd_proto::etcdserverpb::request_op::Request;
use etcd_proto::etcdserverpb::response_op::Response;
use etcd_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest,
};
use etcd_proto::mvccpb::KeyValue;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::history::{Action, Answer, Pair, Recorder, State};
use crate::endpoint::channel;

/// Keys they share.
const KEYS: u8 = 5;

/// Starts `count` clients of a server, each with a connection of its own, that go on until a call fails.
pub(crate) fn clients(address: SocketAddr, recorder: &Arc<Recorder>, seed: u64, count: u64) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for number in 0..count {
        let random = StdRng::seed_from_u64(seed.wrapping_mul(1000) + number);
        let client = Client {
            kv: KvClient::new(channel(&address)),
            recorder: recorder.clone(),
            random,
            seen: State::new(),
            revision: 1,
        };
        clients.spawn(client.run());
    }
    clients
}

/// Asks for everything once, as the last client of a history.
pub(crate) async fn look(address: SocketAddr, recorder: &Arc<Recorder>, ats: impl Iterator<Item = i64>) {
    let mut client = Client {
        kv: KvClient::new(channel(&address)),
        recorder: recorder.clone(),
        random: StdRng::seed_from_u64(0),
        seen: State::new(),
        revision: 1,
    };
    for at in ats {
        assert!(client.call(Action::All { at }).await, "the last look at {at} failed");
    }
}

struct Client {
    kv: KvClient<Channel>,
    recorder: Arc<Recorder>,
    random: StdRng,
    /// What it knows, maybe of long ago.
    seen: State,
    revision: i64,
}

fn key(number: u8) -> Bytes {
    format!("key{number}").into()
}

/// Of several lengths, so that records differ in size.
fn text(value: u64) -> Bytes {
    format!("{value} {}", "x".repeat((value % 7 * 300) as usize)).into()
}

fn pairs(kvs: &[KeyValue]) -> State {
    let pair = |kv: &KeyValue| {
        let number = std::str::from_utf8(&kv.key).unwrap().strip_prefix("key").unwrap();
        let (value, rest) = std::str::from_utf8(&kv.value).unwrap().split_once(' ').unwrap();
        let value: u64 = value.parse().unwrap();
        assert_eq!(rest.len() as u64, value % 7 * 300, "half a value");
        let pair = Pair {
            value,
            created: kv.create_revision,
            modified: kv.mod_revision,
            version: kv.version,
        };
        (number.parse().unwrap(), pair)
    };
    kvs.iter().map(pair).collect()
}

fn revision(header: &Option<ResponseHeader>) -> i64 {
    header.as_ref().unwrap().revision
}

impl Client {
    async fn run(mut self) {
        while {
            let action = self.action();
            self.call(action).await
        } {}
    }

    fn action(&mut self) -> Action {
        let key = self.random.random_range(0..KEYS);
        let value = self.recorder.value();
        match self.random.random_range(0..10) {
            0..3 => Action::Put { key, value },
            3 => Action::Delete { key },
            4..7 => Action::Update {
                key,
                expected: self.seen.get(&key).map_or(0, |pair| pair.modified),
                value,
            },
            7 => Action::Get { key },
            8 => Action::All { at: 0 },
            _ => Action::All {
                at: self.random.random_range(1..=self.revision),
            },
        }
    }

    /// Whether it was answered.
    async fn call(&mut self, action: Action) -> bool {
        let start = self.recorder.now();
        match self.ask(action).await {
            Ok(answer) => {
                if matches!(action, Action::All { at: 0 }) {
                    self.seen = answer.found.clone();
                } else if !answer.wrote && !matches!(action, Action::All { .. }) {
                    self.seen.extend(&answer.found);
                }
                self.revision = answer.revision;
                self.recorder.answered(action, start, answer);
                true
            }
            Err(_) => {
                self.recorder.failed(action, start);
                false
            }
        }
    }

    async fn ask(&mut self, action: Action) -> Result<Answer, tonic::Status> {
        let range = |key, range_end, revision| RangeRequest {
            key,
            range_end,
            revision,
            ..Default::default()
        };
        let put = |key: u8, value: u64| PutRequest {
            key: self::key(key),
            value: text(value),
            prev_kv: true,
            ..Default::default()
        };
        Ok(match action {
            Action::Put { key, value } => {
                let response = self.kv.put(put(key, value)).await?.into_inner();
                Answer {
                    revision: revision(&response.header),
                    wrote: true,
                    found: pairs(response.prev_kv.as_slice()),
                }
            }
            Action::Delete { key } => {
                let request = DeleteRangeRequest {
                    key: self::key(key),
                    prev_kv: true,
                    ..Default::default()
                };
                let response = self.kv.delete_range(request).await?.into_inner();
                Answer {
                    revision: revision(&response.header),
                    wrote: response.deleted > 0,
                    found: pairs(&response.prev_kvs),
                }
            }
            Action::Update { key, expected, value } => {
                let compare = Compare {
                    result: CompareResult::Equal.into(),
                    target: CompareTarget::Mod.into(),
                    key: self::key(key),
                    target_union: Some(TargetUnion::ModRevision(expected)),
                    ..Default::default()
                };
                let op = |request| vec![RequestOp { request: Some(request) }];
                let request = TxnRequest {
                    compare: vec![compare],
                    success: op(Request::RequestPut(put(key, value))),
                    failure: op(Request::RequestRange(range(self::key(key), Bytes::new(), 0))),
                };
                let response = self.kv.txn(request).await?.into_inner();
                let found = match &response.responses[0].response {
                    Some(Response::ResponsePut(put)) => pairs(put.prev_kv.as_slice()),
                    Some(Response::ResponseRange(range)) => pairs(&range.kvs),
                    other => panic!("{other:?}"),
                };
                Answer {
                    revision: revision(&response.header),
                    wrote: response.succeeded,
                    found,
                }
            }
            Action::Get { .. } | Action::All { .. } => {
                let request = match action {
                    Action::Get { key } => range(self::key(key), Bytes::new(), 0),
                    Action::All { at } => range("key".into(), "kez".into(), at),
                    _ => unreachable!("matched above"),
                };
                let response = self.kv.range(request).await?.into_inner();
                Answer {
                    revision: revision(&response.header),
                    wrote: false,
                    found: pairs(&response.kvs),
                }
            }
        })
    }
}
