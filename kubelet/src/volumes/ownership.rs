//! Group ownership of volumes (upstream: pkg/volume/volume_linux.go `SetVolumeOwnership`).

use std::io;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;

/// Bits a group needs on what it may write, or only read; directories are entered and pass the group on.
const READ_WRITE: u32 = 0o660;
const READ_ONLY: u32 = 0o440;
const DIRECTORY: u32 = 0o2110;

/// Sets the permission bits of one path.
pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Gives `path` and all below it to the group, which may then write (or, `read_only`, read).
pub(super) fn apply(path: &Path, group: Option<i64>, read_only: bool) -> io::Result<()> {
    let Some(group) = group.and_then(|g| u32::try_from(g).ok()) else {
        return Ok(());
    };
    visit(path, group, if read_only { READ_ONLY } else { READ_WRITE })
}

fn visit(path: &Path, group: u32, bits: u32) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(path)?;
    lchown(path, None, Some(group))?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mut mode = metadata.permissions().mode() | bits;
    if metadata.is_dir() {
        mode |= DIRECTORY;
    }
    set_mode(path, mode & 0o7777)?;
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            visit(&entry?.path(), group, bits)?;
        }
    }
    Ok(())
}
