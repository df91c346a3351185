//! etcd-shim.

fn main() {}
