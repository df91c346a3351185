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
mod tests {
    use super::schema;

    #[test]
    fn the_committed_table_parses() {
        let pod = schema().kind_of_object("v1", "Pod").map(|id| schema()[id].name.clone());
        assert_eq!(pod.as_deref(), Some("core.v1.Pod"));
        assert!(schema().kind_of_object("apps/v1", "DeploymentList").is_some());
    }
}
