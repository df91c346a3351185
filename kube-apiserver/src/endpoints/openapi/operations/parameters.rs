//! Parameters of operations. Those of queries are the fields of the option types in the schema table.

use apimachinery::schema::{Field, Kind};

use crate::endpoints::openapi::descriptions;

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::endpoints::openapi) struct Parameter {
    /// Name in the query or in braces in the path.
    pub(in crate::endpoints::openapi) name: &'static str,
    /// Whether it is part of the path; those are required.
    pub(in crate::endpoints::openapi) in_path: bool,
    /// `string`, `integer`, `boolean`.
    pub(in crate::endpoints::openapi) kind: &'static str,
    /// What it is for.
    pub(in crate::endpoints::openapi) description: String,
}

/// `{name}` of a path.
pub(super) fn path(name: &'static str, description: impl Into<String>) -> Parameter {
    Parameter {
        name,
        in_path: true,
        kind: "string",
        description: description.into(),
    }
}

/// `pretty`, which all operations on resources take.
pub(super) fn pretty() -> Parameter {
    Parameter {
        name: "pretty",
        in_path: false,
        kind: "string",
        description: "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent \
                      indicates a browser or command-line HTTP tool (curl and wget)."
            .to_owned(),
    }
}

/// The scalar fields of an option type (upstream `addObjectParams`).
pub(super) fn options(type_name: &str) -> Vec<Parameter> {
    let Some(options) = api::schema().get(type_name) else {
        return Vec::new();
    };
    let one = |f: &'static Field| {
        let description = descriptions::of_field(type_name, &f.name).or_else(|| ours(&f.name));
        Some(Parameter {
            name: &f.name,
            in_path: false,
            kind: kind(f)?,
            description: description.unwrap_or_default(),
        })
    };
    options.fields().iter().filter_map(one).collect()
}

fn kind(f: &Field) -> Option<&'static str> {
    Some(match f.kind {
        Kind::Str => "string",
        Kind::Bool => "boolean",
        Kind::I32 | Kind::I64 => "integer",
        _ => return None,
    })
}

/// Newer than the crate that has the others.
fn ours(field: &str) -> Option<String> {
    (field == "shardSelector").then(|| {
        "An expression that restricts the list to objects whose hash is in certain ranges. Alpha: it needs the \
         ShardedListAndWatch feature gate."
            .to_owned()
    })
}
