//! Who sends a request, asked by servers other than the API server.
//!
//! [`x509`] turns a verified client certificate into a [`User`]; [`delegated`] adds bearer tokens,
//! which the API server reviews (TokenReview, answers kept for a while), and anonymous requests.

pub mod delegated;
pub mod trust;
pub mod x509;

use std::collections::BTreeMap;

/// An authenticated identity (upstream `authentication/user` `Info`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name, such as `system:node:n1`.
    pub name: String,
    /// The unique id, often empty.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// Whatever else the authenticator knows.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// The user of requests without credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            ..Self::default()
        }
    }
}
