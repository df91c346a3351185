//! etcd-shim.
