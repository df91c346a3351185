//! Server-side apply: ownership of fields, and the merge it steers
//! (upstream: structured-merge-diff v6, apimachinery `util/managedfields`).
//!
//! - [`Element`], [`Set`]: field paths and sets of them; `fieldsV1` is their JSON.
//! - `Managed` has `metadata.managedFields`.
//! - [`FieldManager`]: what a request does to an object and its owners. Start here.
//!
//! Objects are trees that fit the schema table; the table says which lists are sets, maps or one value. A caller
//! decodes the outcome by the table again, as after any patch.

mod compare;
mod conflict;
mod element;
mod field_set;
mod fields_v1;
mod managed;
mod manager;
mod merge;
mod place;
mod reconcile;
mod remove;
mod scale;
mod set;
#[cfg(test)]
mod tests;
mod updater;
mod validate;

pub use element::Element;
#[cfg(test)]
pub(crate) use managed::Managed;
pub use manager::FieldManager;
pub use scale::ScaleHandler;
pub use set::{Filter, Set};
pub use updater::Versions;
