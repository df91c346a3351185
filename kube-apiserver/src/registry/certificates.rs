//! Strategies of the certificates.k8s.io group.

pub(crate) mod certificate_signing_request;
