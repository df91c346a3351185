//! Defaults of node.k8s.io/v1: there are none.
