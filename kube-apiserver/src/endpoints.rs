//! HTTP endpoints: one file per verb, and the documents that describe the API.

pub(crate) mod discovery;
pub(crate) mod openapi;
pub(crate) mod table;
