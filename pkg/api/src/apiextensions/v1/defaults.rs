//! Defaults of apiextensions.k8s.io/v1.
