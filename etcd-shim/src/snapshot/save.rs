//! `snapshot save`: what a running server sends, as a file; and files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use etcd_proto::etcdserverpb::SnapshotRequest;
use etcd_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use tonic::transport::Channel;

use super::file::Snapshot;

/// A file that gets its name when it is whole.
pub(super) struct Unfinished {
    part: PathBuf,
    path: PathBuf,
}

impl Unfinished {
    /// Makes `path`.part, for its owner alone.
    pub(super) fn new(path: &Path) -> anyhow::Result<(Self, File)> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).read(true).write(true).mode(0o600);
        let file = options
            .open(&part)
            .with_context(|| format!("could not open {}", part.display()))?;
        let path = path.to_owned();
        Ok((Self { part, path }, file))
    }

    /// Proves the snapshot, makes it durable and gives it its name.
    pub(super) fn finish(self, file: &File) -> anyhow::Result<()> {
        Snapshot::open(&self.part, false)?;
        file.sync_all()?;
        fs::rename(&self.part, &self.path).with_context(|| format!("rename {}", self.part.display()))?;
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the renaming there is none of that name.
        let _ = fs::remove_file(&self.part);
    }
}

/// Saves what the server at the other end of `channel` has.
///
/// # Errors
/// The server's, the disk's, and a checksum that is not right.
pub(super) async fn save(channel: Channel, path: &Path) -> anyhow::Result<()> {
    let mut client = MaintenanceClient::new(channel).max_decoding_message_size(usize::MAX);
    let mut pieces = client
        .snapshot(SnapshotRequest {})
        .await
        .context("ask for a snapshot")?
        .into_inner();
    let (unfinished, mut file) = Unfinished::new(path)?;
    while let Some(piece) = pieces.message().await.context("receive the snapshot")? {
        file.write_all(&piece.blob)?;
    }
    tokio::task::spawn_blocking(move || unfinished.finish(&file)).await?
}
