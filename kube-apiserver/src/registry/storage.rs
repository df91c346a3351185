//! Strategies of the storage.k8s.io group.

pub(crate) mod csi_driver;
pub(crate) mod storage_class;
