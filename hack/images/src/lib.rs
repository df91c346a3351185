//! What the two programs of the cluster's own images share: `pause` (the process of a pod's
//! sandbox) and `web` (a small server and test commands). Not part of any component.

pub mod signals;
