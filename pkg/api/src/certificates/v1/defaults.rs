//! Defaults of certificates.k8s.io/v1: there are none.
