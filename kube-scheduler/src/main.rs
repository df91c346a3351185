//! kube-scheduler.

fn main() {}
