//! Between bytes and untyped objects, driven by the schema table.
//!
//! Whatever the wire form, the outcome is the same [`serde_json::Value`]: fields of zero value that Go would leave
//! out are absent, quantities and times are canonical, integers are exact. Two objects are equal for the API if
//! their values are equal.

pub mod json;
pub mod proto;
pub mod yaml;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod properties;

/// Deepest nesting any codec follows; deeper input is refused, so that no input can exhaust the stack.
pub const MAX_DEPTH: usize = 160;
