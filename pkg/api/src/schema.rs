//! The schema table of the built-in types: `schema.txt`, written by `hack/xtask schema`, parsed once.

use std::sync::LazyLock;

use apimachinery::schema::Schema;

static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(include_str!("../schema.txt")).expect("the committed table is checked by a test"));

/// The table of all built-in types.
pub fn schema() -> &'static Schema {
    &SCHEMA
}

#[cfg(test)]
mod tests;
