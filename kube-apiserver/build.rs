//! Collects what OpenAPI says about types, fields and options in prose.
//!
//! The repository carries none of that prose: it stands in the sources of two crates of the dependency graph,
//! `k8s-openapi` (all types but lists, in literals for `schemars`) and `k8s-pb` (lists and options, in comments). The
//! feature that would give the former at run time doubles the compile time of k8s-openapi in every binary and adds
//! 6 MB to each; the text alone is a tenth of that. Without the sources (a vendored tree without k8s-pb) the server
//! works and explains less.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate_sources::Graph;

#[path = "build/comments.rs"]
mod comments;
#[path = "build/literals.rs"]
mod literals;

/// `core.v1.Pod` or `core.v1.Pod.hostip` (fields in the spelling of [`normal`]) -> prose.
type Descriptions = BTreeMap<String, String>;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=../Cargo.lock");
    let graph = Graph::of(Path::new("."));
    if let Err(why) = &graph {
        println!("cargo::warning={}", why.trim().replace('\n', " "));
    }
    let source = |package: &str| graph.as_ref().ok()?.source(package);
    let mut all = Descriptions::new();
    match source("k8s-pb") {
        Some(folder) => comments::read(&folder, &mut all),
        None => println!("cargo::warning=no source of k8s-pb: lists and query parameters have no descriptions"),
    }
    // The better source overwrites.
    match source("k8s-openapi") {
        Some(folder) => literals::read(&folder.join("v1_36"), &mut all),
        None => println!("cargo::warning=no source of k8s-openapi: OpenAPI has no descriptions"),
    }
    let served = served();
    stand_in(&mut all, &served);
    let type_meta = ["apiversion", "kind"].map(|f| all.get(&format!("meta.v1.TypeMeta.{f}")).cloned());
    let lines: String = all
        .iter()
        .filter(|(key, _)| served.iter().any(|s| key.starts_with(s)))
        // Every kind says the same of these two: it is kept once.
        .filter(|(key, text)| key.starts_with("meta.v1.TypeMeta") || !type_meta.iter().flatten().any(|t| t == *text))
        .map(|(key, text)| format!("{key}\t{}\n", text.replace('\\', "\\\\").replace('\n', "\\n")))
        .collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR"));
    fs::write(out.join("descriptions.tsv"), lines).expect("OUT_DIR can be written to");
}

/// How the types of what this server serves, and of what all share, begin: `apps.v1.`.
fn served() -> Vec<String> {
    println!("cargo::rerun-if-changed=src/resources.tsv");
    let table = fs::read_to_string("src/resources.tsv").expect("the table of resources stands beside the code");
    let rows = table.lines().skip(1).map(|row| row.split('\t').collect::<Vec<_>>());
    let mut out: Vec<String> = rows
        .filter_map(|row| match row.as_slice() {
            ["-" | "", version, ..] => Some(format!("core.{version}.")),
            [group, version, ..] => Some(format!("{}.{version}.", group.split('.').next().unwrap_or(group))),
            _ => None,
        })
        .collect();
    out.extend(["meta.v1.", "runtime.", "resource.Quantity", "intstr.", "version."].map(str::to_owned));
    out.sort();
    out.dedup();
    out
}

/// A list that k8s-pb has in another version only (it is of Kubernetes 1.35) says the same there.
fn stand_in(all: &mut Descriptions, served: &[String]) {
    const OTHERS: [&str; 2] = ["v1beta1", "v1alpha1"];
    let groups = served.iter().filter_map(|s| s.strip_suffix(".v1."));
    let mut found = Vec::new();
    for (group, other) in groups.flat_map(|g| OTHERS.map(|o| (g, o))) {
        let other = format!("{group}.{other}.");
        for (key, text) in all.iter().filter(|(k, _)| k.contains("List")) {
            if let Some(rest) = key.strip_prefix(&other) {
                found.push((format!("{group}.v1.{rest}"), text.clone()));
            }
        }
    }
    for (key, text) in found {
        all.entry(key).or_insert(text);
    }
}

/// All files below a folder that end in `.rs`.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            out.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    out
}

/// What JSON's and the generators' names of a field have in common: `hostIP` and `host_ip`.
fn normal(name: &str) -> String {
    let name = name.strip_prefix("r#").unwrap_or(name);
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | '$'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// `core.v1` of `api.core.v1`, `version` of `apimachinery.pkg.version`: the last group and version.
fn prefix(module: &[&str]) -> String {
    let is_version = |s: &str| {
        s.strip_prefix('v')
            .is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))
    };
    match module {
        [.., group, version] if is_version(version) => format!("{group}.{version}"),
        [.., last] => (*last).to_owned(),
        [] => String::new(),
    }
}
