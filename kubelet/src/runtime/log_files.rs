//! Log files of containers on the node: their links, their removal, and the end of one for a
//! termination message. Reading them for users is `server::logs`.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;

use crate::pods::PodExt;

/// Where links to all logs are, for log collectors: `/var/log/containers` beside `/var/log/pods`.
pub(crate) fn links(pod_logs_dir: &str) -> PathBuf {
    Path::new(pod_logs_dir).with_file_name("containers")
}

/// The longest name of a link (upstream: legacy.go `ext4MaxFileNameLen`).
const MAX_NAME: usize = 255;

/// Makes the link `<links>/<pod>_<namespace>_<container>-<id>.log` to a log.
pub(crate) fn link(links: &Path, pod: &Pod, container: &str, id: &str, log: &Path) {
    let suffix = format!("-{id}.log");
    let mut name = format!("{}_{}_{container}", pod.name(), pod.namespace());
    name.truncate(MAX_NAME.saturating_sub(suffix.len()));
    let link = links.join(name + &suffix);
    let made = std::fs::create_dir_all(links).and_then(|()| std::os::unix::fs::symlink(log, &link));
    if let Err(error) = made {
        tracing::debug!(%error, link = %link.display(), "cannot link the log");
    }
}

/// Removes a container's log with its rotated parts, and the link to it.
pub(crate) fn remove_files(links: &Path, log: &str, id: &str) {
    let path = Path::new(log);
    if let (Some(directory), Some(name)) = (path.parent(), path.file_name())
        && !log.is_empty()
    {
        let name = name.to_string_lossy().into_owned();
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let own = entry.file_name();
            let own = own.to_string_lossy();
            if own == name || own.starts_with(&format!("{name}.")) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
    remove_links(links, |name| name.ends_with(&format!("-{id}.log")));
}

/// Removes links whose log is gone.
pub(crate) fn remove_dead_links(links: &Path) {
    for entry in std::fs::read_dir(links).into_iter().flatten().flatten() {
        if !entry.path().exists() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn remove_links(links: &Path, which: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir(links).into_iter().flatten().flatten() {
        if which(&entry.file_name().to_string_lossy()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The text of the last lines of a log, at most `max_lines` and `max_bytes`.
pub(crate) fn tail_text(log: &str, max_lines: usize, max_bytes: usize) -> String {
    use std::io::{Read, Seek, SeekFrom};
    /// Enough of the file to hold the lines wanted, with their headers.
    const WINDOW: u64 = 64 * 1024;
    let Ok(mut file) = std::fs::File::open(log) else {
        return String::new();
    };
    let size = file.metadata().map_or(0, |m| m.len());
    let mut bytes = Vec::new();
    let start = size.saturating_sub(WINDOW);
    if file.seek(SeekFrom::Start(start)).is_err() || file.read_to_end(&mut bytes).is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().skip(usize::from(start > 0)).collect();
    let mut tail = String::new();
    for line in &lines[lines.len().saturating_sub(max_lines)..] {
        let mut parts = line.splitn(4, ' ').skip(2);
        let (tag, content) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        tail.push_str(content);
        if tag != "P" {
            tail.push('\n');
        }
    }
    let mut cut = tail.len().saturating_sub(max_bytes);
    while !tail.is_char_boundary(cut) {
        cut += 1;
    }
    tail.split_off(cut)
}
