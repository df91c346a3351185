//! The machinery under the Kubernetes API, free of any particular API type.
//!
//! What it is: names of kinds and resources ([`gvk`]), errors as data ([`status`], [`field`]), selectors
//! ([`labels`], [`fields`]), scalar grammars ([`quantity`], [`duration`], [`time`], [`validation`]), accessors on
//! untyped objects ([`meta`]), the schema table (`schema`), and what the table drives: the codecs (`codec`) and
//! the patches (`patch`).
//!
//! What it is not: it does no I/O, spawns nothing, and knows no kind by name. The table's text lives in `pkg/api`.
//!
//! Start reading at `schema` (one table of facts drives everything generic), then `codec::json`.

pub mod codec;
pub mod duration;
pub mod field;
pub mod fields;
pub mod gvk;
pub mod labels;
pub mod meta;
pub mod names;
pub mod patch;
pub mod quantity;
pub mod schema;
pub mod status;
pub mod time;
pub mod validation;

#[cfg(test)]
mod texts;
