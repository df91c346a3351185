//! Replaces all files of a volume at once: they are written to a directory of their own, and the
//! link `..data`, through which every file is seen, is then renamed over the old one
//! (upstream: pkg/volume/util/atomic_writer.go).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use k8s_openapi::jiff::Timestamp;

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// One file of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) content: Vec<u8>,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Owner, when not root.
    pub(crate) owner: Option<u32>,
}

/// The files of a volume by relative path.
pub(crate) type Files = BTreeMap<String, File>;

/// Makes the volume at `root` hold exactly `files`; false when it did already.
///
/// # Errors
/// A path that leaves the volume, or what the file system says.
pub(crate) fn write(root: &Path, files: &Files) -> io::Result<bool> {
    for path in files.keys() {
        check(path)?;
    }
    let old = std::fs::read_link(root.join(DATA)).ok();
    if let Some(old) = &old
        && holds(&root.join(old), files)
    {
        return Ok(false);
    }
    let directory = new_directory(root)?;
    for (path, file) in files {
        let target = directory.join(path);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
            let mut above = parent.to_path_buf();
            while above != directory {
                std::fs::set_permissions(&above, std::fs::Permissions::from_mode(0o755))?;
                above.pop();
            }
        }
        std::fs::write(&target, &file.content)?;
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(file.mode))?;
        if let Some(owner) = file.owner {
            chown(&target, Some(owner), None)?;
        }
    }
    let name = directory.file_name().map(PathBuf::from).unwrap_or_default();
    let fresh = root.join(NEW_DATA);
    let _ = std::fs::remove_file(&fresh);
    symlink(&name, &fresh)?;
    std::fs::rename(&fresh, root.join(DATA))?;
    let visible: BTreeSet<&str> = files.keys().filter_map(|p| p.split('/').next()).collect();
    for name in &visible {
        let link = root.join(name);
        if link.symlink_metadata().is_err() {
            symlink(Path::new(DATA).join(name), &link)?;
        }
    }
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !visible.contains(name.as_ref()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    if let Some(old) = old {
        std::fs::remove_dir_all(root.join(old))?;
    }
    Ok(true)
}

fn check(path: &str) -> io::Result<()> {
    let wrong = |why: &str| {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("invalid path {path:?}: {why}"),
        ))
    };
    if path.is_empty() {
        return wrong("must not be empty");
    }
    if path.starts_with('/') {
        return wrong("must be a relative path");
    }
    if path.split('/').any(|part| part == "..") || path.starts_with("..") {
        return wrong("must not contain '..' or start with it");
    }
    Ok(())
}

/// Whether `directory` has these files and no others.
fn holds(directory: &Path, files: &Files) -> bool {
    fn count(directory: &Path) -> usize {
        std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| {
                if e.file_type().is_ok_and(|t| t.is_dir()) {
                    count(&e.path())
                } else {
                    1
                }
            })
            .sum()
    }
    directory.is_dir()
        && count(directory) == files.len()
        && files
            .iter()
            .all(|(path, file)| std::fs::read(directory.join(path)).is_ok_and(|content| content == file.content))
}

fn new_directory(root: &Path) -> io::Result<PathBuf> {
    let now = Timestamp::now().to_zoned(k8s_openapi::jiff::tz::TimeZone::UTC);
    let stamp = now.strftime("..%Y_%m_%d_%H_%M_%S");
    for attempt in 0..1000u32 {
        let suffix = (u32::try_from(now.timestamp().subsec_nanosecond()).unwrap_or_default() + attempt) % 1_000_000_000;
        let directory = root.join(format!("{stamp}.{suffix:09}"));
        match std::fs::create_dir(&directory) {
            Ok(()) => {
                std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755))?;
                return Ok(directory);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no free directory name"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter()
            .map(|(path, text)| {
                let file = File {
                    content: text.as_bytes().to_vec(),
                    mode: 0o644,
                    owner: None,
                };
                ((*path).to_owned(), file)
            })
            .collect()
    }

    #[test]
    fn contents_change_together_and_unchanged_ones_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let read = |path: &str| std::fs::read_to_string(root.path().join(path)).unwrap();
        assert!(write(root.path(), &files(&[("a", "1"), ("d/b", "2")])).unwrap());
        assert_eq!((read("a"), read("d/b")), ("1".into(), "2".into()));
        assert!(!write(root.path(), &files(&[("a", "1"), ("d/b", "2")])).unwrap());
        assert!(write(root.path(), &files(&[("a", "3")])).unwrap());
        assert_eq!(read("a"), "3");
        assert!(root.path().join("d").symlink_metadata().is_err());
        let hidden = std::fs::read_dir(root.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with(".."))
            .count();
        assert_eq!(hidden, 2, "..data and one directory");
    }

    #[test]
    fn paths_that_leave_the_volume_are_refused() {
        let root = tempfile::tempdir().unwrap();
        for path in ["../x", "/x", "a/../../x", "..x", ""] {
            assert!(write(root.path(), &files(&[(path, "")])).is_err(), "{path}");
        }
    }
}
