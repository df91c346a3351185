//! Which Kubernetes this is: the `/version` document and the text of `--version`.

use serde::Serialize;

/// The release whose behaviour Corten has.
pub const GIT_VERSION: &str = "v1.36.2";

/// The body of `/version` (upstream `apimachinery/pkg/version` `Info`).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// `1`.
    pub major: &'static str,
    /// `36`.
    pub minor: &'static str,
    /// Which version's behaviour is emulated; always this one.
    pub emulation_major: &'static str,
    /// See `emulation_major`.
    pub emulation_minor: &'static str,
    /// The oldest version this one can be rolled back to.
    pub min_compatibility_major: &'static str,
    /// See `min_compatibility_major`.
    pub min_compatibility_minor: &'static str,
    /// [`GIT_VERSION`].
    pub git_version: &'static str,
    /// The commit, when the build knew it.
    pub git_commit: &'static str,
    /// `clean`, when the build knew the commit.
    pub git_tree_state: &'static str,
    /// RFC 3339; the epoch when the build did not say.
    pub build_date: &'static str,
    /// Upstream says which Go; clients only print it.
    pub go_version: &'static str,
    /// Likewise.
    pub compiler: &'static str,
    /// `linux/amd64`, in Go's words.
    pub platform: String,
}

impl Info {
    /// This build.
    #[must_use]
    pub fn get() -> Self {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            major: "1",
            minor: "36",
            emulation_major: "1",
            emulation_minor: "36",
            min_compatibility_major: "1",
            min_compatibility_minor: "35",
            git_version: GIT_VERSION,
            git_commit: option_env!("CORTEN_GIT_COMMIT").unwrap_or(""),
            git_tree_state: option_env!("CORTEN_GIT_TREE_STATE").unwrap_or(""),
            build_date: option_env!("CORTEN_BUILD_DATE").unwrap_or("1970-01-01T00:00:00Z"),
            go_version: "rustc",
            compiler: "rustc",
            platform: format!("{}/{arch}", std::env::consts::OS),
        }
    }
}

/// What `--version` prints, newline included. etcd's form is its own.
#[must_use]
pub fn line(program: &str) -> String {
    if program.starts_with("etcd") {
        return "etcd Version: 3.6.8\nGit SHA: corten\nGo Version: rustc\nGo OS/Arch: linux/amd64\n".to_owned();
    }
    format!("Kubernetes {GIT_VERSION}\n")
}

/// The `User-Agent` of a component: `kube-scheduler/v1.36.2 (linux/amd64) kubernetes/corten`.
#[must_use]
pub fn user_agent(program: &str) -> String {
    format!("{program}/{GIT_VERSION} ({}) kubernetes/corten", Info::get().platform)
}
