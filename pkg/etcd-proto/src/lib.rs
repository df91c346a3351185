//! etcd-proto.
