//! The gRPC services: wire to domain and back, nothing else. One file each.

mod auth;
mod cluster;
mod kv;
mod lease;
mod maintenance;
mod watch;

use std::sync::Arc;

use etcd_proto::errors;
use etcd_proto::etcdserverpb::ResponseHeader;
use etcd_proto::etcdserverpb::auth_server::AuthServer;
use etcd_proto::etcdserverpb::cluster_server::ClusterServer;
use etcd_proto::etcdserverpb::kv_server::KvServer;
use etcd_proto::etcdserverpb::lease_server::LeaseServer;
use etcd_proto::etcdserverpb::maintenance_server::MaintenanceServer;
use etcd_proto::etcdserverpb::watch_server::WatchServer;
use tonic::Status;
use tonic::service::Routes;

use crate::committer::Stopped;
use crate::config::Config;
use crate::mvcc::Error;
use crate::store::Store;

/// What gRPC allows on top of the largest request (etcd `server/etcdserver/api/v3rpc/grpc.go`
/// `grpcOverheadBytes`).
const GRPC_OVERHEAD: usize = 512 << 10;

/// All services over one store.
pub(crate) fn routes(store: &Arc<Store>, config: &Arc<Config>) -> Routes {
    let most = store.max_request_bytes().saturating_add(GRPC_OVERHEAD);
    let kv = kv::Service {
        store: store.clone(),
        max_txn_ops: config.max_txn_ops,
    };
    let watch = watch::Service {
        store: store.clone(),
        progress_interval: config.progress_interval,
    };
    let cluster = cluster::Service {
        store: store.clone(),
        config: config.clone(),
    };
    Routes::new(
        KvServer::new(kv)
            .max_decoding_message_size(most)
            .max_encoding_message_size(usize::MAX),
    )
    .add_service(
        WatchServer::new(watch)
            .max_decoding_message_size(most)
            .max_encoding_message_size(usize::MAX),
    )
    .add_service(
        LeaseServer::new(lease::Service { store: store.clone() })
            .max_decoding_message_size(most)
            .max_encoding_message_size(usize::MAX),
    )
    .add_service(ClusterServer::new(cluster))
    .add_service(MaintenanceServer::new(maintenance::Service { store: store.clone() }))
    .add_service(AuthServer::new(auth::Service { store: store.clone() }))
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Compacted => errors::COMPACTED.into(),
            Error::Future => errors::FUTURE_REVISION.into(),
            Error::KeyNotFound => errors::KEY_NOT_FOUND.into(),
            Error::LeaseNotFound => errors::LEASE_NOT_FOUND.into(),
            Error::LeaseExists => errors::LEASE_EXISTS.into(),
            Error::LeaseTtlTooLarge => errors::LEASE_TTL_TOO_LARGE.into(),
            Error::TooManyChanges => errors::TOO_MANY_OPS.into(),
            Error::NoSpace => errors::NO_SPACE.into(),
            Error::Engine(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "storage engine failed");
                errors::CORRUPT.into()
            }
        }
    }
}

impl From<Stopped> for Status {
    fn from(_: Stopped) -> Self {
        errors::STOPPED.into()
    }
}

/// Names the server in a header that has only a revision yet.
fn complete(store: &Store, header: &mut Option<ResponseHeader>) {
    let revision = header.as_ref().map_or(0, |header| header.revision);
    *header = store.header(revision);
}

/// The header of an answer about the present.
fn present(store: &Store) -> Option<ResponseHeader> {
    store.header(store.published().revision)
}
