//! Where Cargo keeps the sources of the crates of a workspace's dependency graph, those of optional dependencies too.
//!
//! `xtask schema` reads the facts of the API's types there, the build script of kube-apiserver their prose. It has no
//! dependencies, because a build script's are compiled before everything else; so Cargo's answer is searched as text.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Cargo's answer about a workspace.
pub struct Graph(String);

impl Graph {
    /// Asks about the workspace a folder belongs to; the network is used only for sources that are not here yet.
    ///
    /// # Errors
    /// What Cargo says when it cannot answer, or why it cannot be run.
    pub fn of(folder: &Path) -> Result<Self, String> {
        let offline = ask(folder, &["--offline"])?;
        let output = if offline.status.success() {
            offline
        } else {
            ask(folder, &[])?
        };
        if !output.status.success() {
            return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(Self(String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// The `src` folder of a package; `None` when the graph has no such package.
    #[must_use]
    pub fn source(&self, package: &str) -> Option<PathBuf> {
        let mut manifests = self.0.split("\"manifest_path\":\"").skip(1);
        manifests.find_map(|rest| {
            let folder = Path::new(rest.split('"').next()?).parent()?;
            // A registry's folder has the version in its name, a workspace's member has not.
            let version = folder.file_name()?.to_str()?.strip_prefix(package)?;
            let is_version = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
            let found = version.is_empty() || version.strip_prefix('-').is_some_and(is_version);
            found.then(|| folder.join("src"))
        })
    }
}

fn ask(folder: &Path, extra: &[&str]) -> Result<Output, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--all-features", "--locked"])
        .args(extra)
        .current_dir(folder)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_found_by_its_name_and_not_by_the_beginning_of_another() {
        let manifests = [
            "/r/serde_json-1.0.1",
            "/r/k8s-openapi-derive-0.2.0",
            "/r/k8s-openapi-0.29.0",
            "/w/pkg/api",
        ];
        let answer: String = manifests
            .iter()
            .map(|folder| format!("{{\"manifest_path\":\"{folder}/Cargo.toml\",\"id\":\"x\"}},"))
            .collect();
        let graph = Graph(answer);
        for (package, source) in [
            ("k8s-openapi", Some("/r/k8s-openapi-0.29.0/src")),
            ("api", Some("/w/pkg/api/src")),
            ("serde", None),
            ("k8s-pb", None),
        ] {
            assert_eq!(graph.source(package), source.map(PathBuf::from), "{package}");
        }
    }
}
