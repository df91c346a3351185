//! `xtask schema`: writes `pkg/api/schema.txt`, the table of facts about every API type.
//!
//! Facts come from the sources of two crates, found through `cargo metadata`: `k8s-openapi` (JSON names, types,
//! required) and `k8s-pb` (protobuf tags, list and patch markers in its comments). What neither knows stands in
//! `pkg/api/schema-overlay.txt`, written by hand. `--check` fails when the committed table is not what would be
//! written, so a bump of a crate shows as a diff of the table.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use crate_sources::Graph;

mod openapi;
mod overlay;
mod protobuf;
mod table;

/// Arguments of `xtask schema`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fail when the committed table is out of date instead of writing it.
    #[arg(long)]
    check: bool,
    /// Leave the overlay out and print what the crates give.
    #[arg(long)]
    raw: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sources = Sources::find(&root)?;
    let mut table = openapi::read(&sources.openapi)?;
    let messages = protobuf::read(&sources.protobuf)?;
    protobuf::join(&mut table, &messages);
    if args.raw {
        eprint!("{}", table.render());
        return Ok(());
    }
    let overlay = root.join("pkg/api/schema-overlay.txt");
    let text = fs::read_to_string(&overlay).with_context(|| format!("read {}", overlay.display()))?;
    overlay::apply(&mut table, &text)?;
    let rendered = format!("{HEADER}{}", table.render());
    if let Err(error) = apimachinery::schema::Schema::parse(&rendered) {
        bail!("the table that would be written is not valid: {error}");
    }
    let target = root.join("pkg/api/schema.txt");
    let committed = fs::read_to_string(&target).unwrap_or_default();
    if committed == rendered {
        return Ok(());
    }
    if args.check {
        bail!(
            "pkg/api/schema.txt is out of date: {}; run `cargo run -p xtask -- schema`",
            first_change(&committed, &rendered)
        );
    }
    fs::write(&target, rendered).with_context(|| format!("write {}", target.display()))
}

const HEADER: &str = "# Written by `cargo run -p xtask -- schema`; do not edit. The format is described in apimachinery's schema module.\n";

struct Sources {
    openapi: PathBuf,
    protobuf: PathBuf,
}

impl Sources {
    /// k8s-pb is an optional dependency that nothing enables: it is fetched, never compiled.
    fn find(root: &Path) -> Result<Self> {
        let graph = Graph::of(root).map_err(anyhow::Error::msg)?;
        let folder = |name: &str| {
            let source = graph.source(name);
            source.with_context(|| format!("{name} is not in the dependency graph"))
        };
        Ok(Self {
            openapi: folder("k8s-openapi")?.join("v1_36"),
            protobuf: folder("k8s-pb")?,
        })
    }
}

fn first_change(old: &str, new: &str) -> String {
    let mut owner = "";
    let mut lines = old.lines();
    for line in new.lines() {
        if !line.starts_with('\t') {
            owner = line;
        }
        let before = lines.next().unwrap_or("(end)");
        if before != line {
            return format!("at {owner}: {:?} should be {:?}", before.trim(), line.trim());
        }
    }
    "it is too long".to_owned()
}

/// All files below a folder that end in `.rs`, in a stable order.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                out.push(path);
            }
        }
    }
    out.sort();
    Ok(out)
}

/// What two generators' names have in common: `hostIP` and `host_ip`, `$ref` and `r#ref`.
fn normal(name: &str) -> String {
    let name = name.strip_prefix("r#").unwrap_or(name);
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | '$'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// `core.v1` of `[api, core, v1]`, `meta.v1` of `[apimachinery, pkg, apis, meta, v1]`, `version` of
/// `[apimachinery, pkg, version]`: the last group and version.
fn prefix<'a>(segments: impl IntoIterator<Item = &'a str>) -> String {
    let segments: Vec<&str> = segments.into_iter().collect();
    match segments.as_slice() {
        [.., group, version] if version.starts_with('v') && version[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{group}.{version}")
        }
        [.., last] => (*last).to_owned(),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_generators_meet() {
        for (json, proto) in [
            ("hostIP", "host_ip"),
            ("$ref", "r#ref"),
            ("x-kubernetes-map-type", "x_kubernetes_map_type"),
        ] {
            assert_eq!(normal(json), normal(proto));
        }
    }

    #[test]
    fn modules_become_prefixes() {
        assert_eq!(prefix(["crate", "api", "core", "v1"]), "core.v1");
        assert_eq!(prefix(["apimachinery", "pkg", "apis", "meta", "v1"]), "meta.v1");
        assert_eq!(prefix(["crate", "apimachinery", "pkg", "version"]), "version");
    }
}
