//! etcd's v3 gRPC wire: message types, clients and servers, generated at build time.
//!
//! It is: `etcdserverpb` (KV, Watch, Lease, Cluster, Maintenance, an Auth stub), `mvccpb`, `authpb`, from
//! the trimmed definitions in `proto/`; and the error texts that cross this wire ([`errors`]).
//! It is not: a client with retries or fail-over (kube-apiserver's `storage/etcd` has that), nor a server
//! (`etcd-shim`). Nothing here interprets a message.
//!
//! Every `bytes` field is a [`bytes::Bytes`]: a value received is a slice of the receive buffer.
//! Start reading in `proto/rpc.proto`.

pub mod errors;

/// What etcd stores: `KeyValue` and `Event`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]
pub mod mvccpb {
    tonic::include_proto!("mvccpb");
}

/// The little of etcd's auth data that the Auth stub names.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]
pub mod authpb {
    tonic::include_proto!("authpb");
}

/// Requests, responses, clients (`kv_client::KvClient`, …) and server traits (`kv_server::Kv`, …).
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]
pub mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}
