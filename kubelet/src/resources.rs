//! CPU, memory and process limits: the cgroup tree of the pods, shares and quotas, out-of-memory
//! scores.

pub(crate) mod cgroups;
pub(crate) mod limits;
pub(crate) mod oom;
