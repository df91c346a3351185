//! `xtask tidy`: what the compiler does not check. Every rule collects all it finds; the run fails
//! when there is any finding.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// No options: the rules are the same everywhere.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// The top level: the components and little else, so that a reader sees them at once.
const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "docs",
    "e2e",
    "etcd-shim",
    "hack",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
    "manifests",
    "pkg",
    "rustfmt.toml",
];

/// Which workspace crates a crate may depend on (besides dev-dependencies). A crate that is not
/// here may depend on none. The order is the direction: every crate only on those above it.
const MAY_USE: &[(&str, &[&str])] = &[
    ("apimachinery", &[]),
    ("etcd-proto", &[]),
    ("cri-proto", &[]),
    ("kms-proto", &[]),
    ("streaming", &[]),
    ("images", &[]),
    ("crate-sources", &[]),
    ("api", &["apimachinery"]),
    ("rules", &["apimachinery", "api"]),
    ("client", &["apimachinery", "api"]),
    ("component", &["apimachinery", "client"]),
    ("testing", &["apimachinery", "api"]),
    (
        "testserver",
        &["apimachinery", "api", "client", "component", "kube-apiserver"],
    ),
    ("etcd-shim", &["component", "etcd-proto"]),
    ("etcd-shim-fuzz", &["etcd-shim"]),
    (
        "kube-apiserver",
        &[
            "apimachinery",
            "api",
            "rules",
            "client",
            "component",
            "etcd-proto",
            "kms-proto",
            "streaming",
            "crate-sources",
        ],
    ),
    (
        "kube-scheduler",
        &["apimachinery", "api", "rules", "client", "component"],
    ),
    (
        "kube-controller-manager",
        &["apimachinery", "api", "rules", "client", "component"],
    ),
    (
        "kubelet",
        &[
            "apimachinery",
            "api",
            "rules",
            "client",
            "component",
            "cri-proto",
            "streaming",
        ],
    ),
    ("kube-proxy", &["apimachinery", "api", "rules", "client", "component"]),
    ("xtask", &["apimachinery", "crate-sources"]),
    ("bench", &["apimachinery", "api", "client", "etcd-proto"]),
    ("e2e", &["apimachinery", "client"]),
];

/// Lines above which a source file must be a table or tests.
const FILE_BUDGET: usize = 800;
/// Files that are tables by nature; a path ending in one of these may exceed the budget.
const TABLES: &[&str] = &["tests.rs", "table.rs", "tables.rs", "resources.rs"];

pub(crate) fn run(_: &Args) -> Result<()> {
    let metadata = metadata()?;
    let root = Path::new(metadata["workspace_root"].as_str().context("no workspace root")?);
    let mut findings = dependencies(&metadata)?;
    findings.extend(manifests(&metadata)?);
    findings.extend(files(root)?);
    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    ensure!(findings.is_empty(), "{} findings", findings.len());
    Ok(())
}

fn metadata() -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .output()
        .context("running cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn packages(metadata: &Value) -> Result<&Vec<Value>> {
    metadata["packages"].as_array().context("no packages in cargo metadata")
}

/// Dependency direction: only what [`MAY_USE`] allows.
fn dependencies(metadata: &Value) -> Result<Vec<String>> {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let packages = packages(metadata)?;
    let ours: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(allowed) = allowed.get(name) else {
            findings.push(format!("{name}: not in the dependency table of hack/xtask/src/tidy.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            let dev = dependency["kind"] == "dev";
            if ours.contains(&used) && !dev && !allowed.contains(&used) {
                findings.push(format!("{name} must not depend on {used}"));
            }
        }
    }
    Ok(findings)
}

/// Every crate takes the workspace's lints.
fn manifests(metadata: &Value) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in packages(metadata)? {
        let path = package["manifest_path"].as_str().unwrap_or_default();
        let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
        if !text.contains("[lints]\nworkspace = true") {
            findings.push(format!("{path}: no `[lints] workspace = true`"));
        }
    }
    Ok(findings)
}

/// The top level, file budgets, and words that mean unfinished work.
fn files(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z"])
        .output()
        .context("running git")?;
    ensure!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut findings = Vec::new();
    for path in output.stdout.split(|&byte| byte == 0).filter(|path| !path.is_empty()) {
        let path = std::str::from_utf8(path).context("a file name is not UTF-8")?;
        let top = path.split('/').next().unwrap_or(path);
        if !TOP_LEVEL.contains(&top) {
            findings.push(format!("{path}: {top} does not belong to the top level"));
        }
        if !path.ends_with(".rs") {
            continue;
        }
        let Ok(text) = fs::read_to_string(root.join(path)) else {
            continue;
        };
        let lines = text.lines().count();
        let table = path.contains("/tests/") || TABLES.iter().any(|end| path.ends_with(end));
        if lines > FILE_BUDGET && !table {
            findings.push(format!(
                "{path}: {lines} lines; over {FILE_BUDGET} only tables and tests"
            ));
        }
        if path.ends_with("/mod.rs") {
            findings.push(format!("{path}: foo.rs + foo/, never foo/mod.rs"));
        }
        if text.contains(concat!("#[", "ignore")) {
            findings.push(format!("{path}: an ignored test"));
        }
    }
    Ok(findings)
}
