//! Rules that more than one binary asks, each written once: taints and tolerations, node
//! selectors, what a pod requests, quality of service, readiness, owner references, hashes.
//!
//! It is not: a place for I/O, clocks or clients. Every function is pure, works on `k8s_openapi`
//! types (wrapped `Quantity` strings apart, see [`resources`]) and cites the upstream symbol whose
//! observable behaviour it reproduces.
//!
//! Where to start: [`taints`] and [`node_affinity`] (scheduler, node lifecycle, DaemonSet),
//! [`resources`] and [`qos`] (scheduler, kubelet, quota), [`pods`] (controllers, kubelet),
//! [`owners`] (controllers, garbage collector), [`hash`] (workload controllers, kubelet),
//! [`quota`] (API server, resourcequota-controller).

pub mod hash;
pub mod node_affinity;
pub mod owners;
pub mod pods;
pub mod ports;
pub mod qos;
pub mod quota;
pub mod resources;
pub mod taints;
pub mod volumes;
