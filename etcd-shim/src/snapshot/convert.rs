//! `snapshot convert`: any snapshot as etcd's own, for `etcdctl snapshot restore`.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::content::Account;
use super::etcd;
use super::file::{Snapshot, sum};
use super::save::Unfinished;

/// Writes the snapshot at `from` to `to`.
///
/// # Errors
/// What is wrong with the snapshot, and the disk's.
pub(super) fn convert(from: &Path, skip_hash_check: bool, to: &Path) -> anyhow::Result<Account> {
    let snapshot = Snapshot::open(from, skip_hash_check)?;
    let (unfinished, file) = Unfinished::new(to)?;
    let mut account = None;
    let mut file = etcd::write(file, &mut |sink| {
        account = Some(snapshot.read_checked(sink)?);
        Ok(())
    })?;
    let length = file.seek(SeekFrom::End(0))?;
    let sum = sum(&file, length)?;
    file.seek(SeekFrom::Start(length))?;
    file.write_all(&sum)?;
    unfinished.finish(&file)?;
    Ok(account.unwrap_or_else(Account::new))
}
