//! The harness of the end-to-end suites: a cluster brought up by `hack/local-up-cluster.sh` on real
//! containerd, driven with real `kubectl`.
//!
//! It is not a Kubernetes client: a test says what a person would type. Start at [`cluster`]; the
//! suites are `tests/it` (our own store) and `tests/on_etcd` (Debian's etcd).

pub mod cluster;
pub mod http;
pub mod kubectl;
pub mod leftovers;
pub mod wait;
