//! Defaults of coordination.k8s.io/v1: there are none.
