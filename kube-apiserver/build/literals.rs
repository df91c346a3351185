//! Descriptions in the `json_schema!` literals of k8s-openapi, read off their lines: the generator's indentation tells
//! types from properties.

use std::fs;
use std::path::Path;

use super::{Descriptions, normal, prefix, rust_files};

const OF_TYPE: &str = "            ";
const PROPERTY: &str = "                \"";
const OF_PROPERTY: &str = "                    ";

pub(crate) fn read(folder: &Path, all: &mut Descriptions) {
    for path in rust_files(folder) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let Some(definition) = text
            .strip_prefix("// Generated from definition io.k8s.")
            .and_then(|rest| rest.lines().next())
        else {
            continue;
        };
        let parts: Vec<&str> = definition.split('.').collect();
        let Some((name, module)) = parts.split_last() else {
            continue;
        };
        let name = format!("{}.{name}", prefix(module));
        // Its literal is written by hand and says less than the comment in k8s-pb.
        if name == "meta.v1.WatchEvent" {
            continue;
        }
        let Some((_, literal)) = text.split_once("schemars::json_schema!({\n") else {
            continue;
        };
        let mut property = None;
        for line in literal.lines() {
            if let Some(rest) = line.strip_prefix(PROPERTY) {
                property = rest.split_once('"').map(|(p, _)| normal(p));
            } else if let Some(text) = line.strip_prefix(OF_PROPERTY).and_then(description) {
                if let Some(p) = &property {
                    all.insert(format!("{name}.{p}"), text);
                }
            } else if let Some(text) = line.strip_prefix(OF_TYPE).and_then(description) {
                all.insert(name.clone(), text);
            }
        }
    }
}

/// The text of `"description": "..",` or of the statement that adds it to a reference.
fn description(line: &str) -> Option<String> {
    const STATEMENT: &str = "schema_obj.ensure_object().insert(\"description\".into(), \"";
    let literal = line
        .strip_prefix("\"description\": \"")
        .and_then(|l| l.strip_suffix("\","))
        .or_else(|| line.strip_prefix(STATEMENT)?.strip_suffix("\".into());"))?;
    let mut out = String::new();
    let mut chars = literal.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                't' => '\t',
                other => other,
            },
            c => c,
        });
    }
    Some(out)
}
