//! The Maintenance service.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use etcd_proto::errors;
use etcd_proto::etcdserverpb::alarm_request::AlarmAction;
use etcd_proto::etcdserverpb::maintenance_server::Maintenance;
use etcd_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, DefragmentRequest, DefragmentResponse, HashKvRequest,
    HashKvResponse, HashRequest, HashResponse, MoveLeaderRequest, MoveLeaderResponse, SnapshotRequest,
    SnapshotResponse, StatusRequest, StatusResponse,
};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::present;
use crate::kv_hash::KvHash;
use crate::metrics::{self, Took};
use crate::mvcc::{EngineError, Error, KeyRange, Record, Revision};
use crate::store::Store;
use crate::{STORAGE_VERSION, VERSION};

/// Quota that etcd reports when none is set: 2 GiB.
const DEFAULT_QUOTA: i64 = 2 << 30;

/// A snapshot's length before its sum is a multiple of it.
const SNAPSHOT_UNIT: u64 = 512;

pub(super) struct Service {
    pub(super) store: Arc<Store>,
}

#[tonic::async_trait]
impl Maintenance for Service {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let size = self.store.engine().size().map_err(Error::from)?;
        let identity = self.store.identity();
        let revision = self.store.published().revision;
        let index = revision.unsigned_abs();
        let quota = i64::try_from(self.store.quota_bytes()).unwrap_or(i64::MAX);
        Ok(Response::new(StatusResponse {
            header: self.store.header(revision),
            version: VERSION.to_owned(),
            db_size: i64::try_from(size.total).unwrap_or(i64::MAX),
            leader: identity.member_id,
            raft_index: index,
            raft_term: identity.term,
            raft_applied_index: index,
            errors: alarms(&self.store)
                .iter()
                .map(|_| "memberID alarm:NOSPACE ".to_owned())
                .collect(),
            db_size_in_use: i64::try_from(size.in_use).unwrap_or(i64::MAX),
            is_learner: false,
            storage_version: STORAGE_VERSION.to_owned(),
            db_size_quota: if quota == 0 { DEFAULT_QUOTA } else { quota },
        }))
    }

    async fn alarm(&self, request: Request<AlarmRequest>) -> Result<Response<AlarmResponse>, Status> {
        let request = request.into_inner();
        let were = alarms(&self.store);
        if request.action() == AlarmAction::Deactivate && request.alarm() != AlarmType::Corrupt && !were.is_empty() {
            self.store.disarm();
            self.store.write(|core| core.no_space = false).await?;
            return Ok(Response::new(AlarmResponse {
                header: present(&self.store),
                alarms: were,
            }));
        }
        Ok(Response::new(AlarmResponse {
            header: present(&self.store),
            alarms: were,
        }))
    }

    async fn defragment(&self, _: Request<DefragmentRequest>) -> Result<Response<DefragmentResponse>, Status> {
        let engine = self.store.engine().clone();
        blocking(move || {
            let _took = Took::new(&metrics::DEFRAGMENT);
            engine.defragment()
        })
        .await?;
        Ok(Response::new(DefragmentResponse {
            header: present(&self.store),
        }))
    }

    async fn hash(&self, _: Request<HashRequest>) -> Result<Response<HashResponse>, Status> {
        let hash = hash(self.store.clone(), i64::MAX).await?;
        Ok(Response::new(HashResponse {
            header: present(&self.store),
            hash,
        }))
    }

    async fn hash_kv(&self, request: Request<HashKvRequest>) -> Result<Response<HashKvResponse>, Status> {
        let published = self.store.published();
        let revision = match request.into_inner().revision {
            revision if revision <= 0 => published.revision,
            revision if revision > published.revision => return Err(errors::FUTURE_REVISION.into()),
            revision if revision < published.compacted => return Err(errors::COMPACTED.into()),
            revision => revision,
        };
        let hash = hash(self.store.clone(), revision).await?;
        Ok(Response::new(HashKvResponse {
            header: present(&self.store),
            hash,
            compact_revision: published.compacted,
            hash_revision: revision,
        }))
    }

    type SnapshotStream = Pin<Box<dyn Stream<Item = Result<SnapshotResponse, Status>> + Send>>;

    // The file, followed by its SHA-256: what etcdctl checks when it saves.
    async fn snapshot(&self, _: Request<SnapshotRequest>) -> Result<Response<Self::SnapshotStream>, Status> {
        let (sender, responses) = mpsc::channel(4);
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let _took = Took::new(&metrics::SNAPSHOT);
            let mut digest = Sha256::new();
            let piece = |remaining_bytes, blob: Vec<u8>| SnapshotResponse {
                header: None,
                remaining_bytes,
                blob: blob.into(),
                version: STORAGE_VERSION.to_owned(),
            };
            // etcdctl knows the sum by a length that is 32 more than a multiple of 512: zeros fill it up.
            let mut padding = None;
            let sent = store.engine().snapshot(&mut |left, bytes| {
                let padding = *padding.get_or_insert_with(|| {
                    let total = left + bytes.len() as u64;
                    total.next_multiple_of(SNAPSHOT_UNIT) - total
                });
                digest.update(&bytes);
                sender.blocking_send(Ok(piece(left + padding, bytes))).is_ok()
            });
            // An error of a send: the client has gone.
            let _ = match sent {
                Ok(()) => {
                    let mut end = vec![0; padding.unwrap_or(0) as usize];
                    digest.update(&end);
                    end.extend_from_slice(&digest.finalize());
                    sender.blocking_send(Ok(piece(0, end)))
                }
                Err(error) => sender.blocking_send(Err(Error::from(error).into())),
            };
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }

    async fn move_leader(&self, request: Request<MoveLeaderRequest>) -> Result<Response<MoveLeaderResponse>, Status> {
        if request.into_inner().target_id == self.store.identity().member_id {
            return Ok(Response::new(MoveLeaderResponse {
                header: present(&self.store),
            }));
        }
        Err(errors::BAD_LEADER_TRANSFEREE.into())
    }
}

fn alarms(store: &Store) -> Vec<AlarmMember> {
    let member_id = store.identity().member_id;
    store
        .no_space()
        .then_some(AlarmMember {
            member_id,
            alarm: AlarmType::Nospace.into(),
        })
        .into_iter()
        .collect()
}

// As etcd's, so that a store can be compared with the one it was moved from. Of what is below the compaction only that
// counts which is current at `to` (etcd `server/storage/mvcc/kvstore.go` `hashByRev`, `hash.go` `unsafeHashByRev`); two
// copies of one store agree however far each has come with freeing space.
async fn hash(store: Arc<Store>, to: i64) -> Result<u32, Status> {
    store.compacted().await;
    let published = store.published();
    blocking(move || {
        let _took = Took::new(&metrics::HASH);
        let everything = KeyRange::Span {
            start: Bytes::new(),
            end: None,
        };
        let to = to.min(published.revision);
        let anything_lives = published.index.live(&everything, to).next().is_some();
        let is_current = |at: Revision, record: &Record| {
            let history = published.index.get(&record.key);
            let live = history.and_then(|history| history.live_at(to));
            live.is_some_and(|live| live.at == at)
        };
        let mut hash = KvHash::new();
        store.engine().scan(Revision::from_raw(0), true, &mut |at, record| {
            let main = at.main();
            // Versions of etcd differ in whether they keep a tombstone of that very revision.
            let may_be_gone = record.is_tombstone() && main == published.compacted;
            if main <= to && !may_be_gone && (main > published.compacted || !anything_lives || is_current(at, &record))
            {
                hash.add(at, &record);
            }
        })?;
        Ok(hash.value())
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result.map_err(Error::from)?),
        Err(error) => Err(Status::internal(error.to_string())),
    }
}
