//! The few operations on files the log is made of, so that tests can put a disk below it that loses power.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One directory of files.
pub(super) trait Disk: Send + Sync + 'static {
    /// Names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes an empty file; one of that name is emptied.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file to be read and written.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, in place of whatever had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Takes a name away; who has the file open still reads it.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names durable: without it a crash may undo creating, renaming and removing.
    fn sync_names(&self) -> io::Result<()>;
}

/// Writes a file under a name that says it is unfinished, and gives it its own when it is; nothing is left of a failure.
pub(super) fn replace<T>(
    disk: &dyn Disk,
    name: &str,
    write: impl FnOnce(Arc<dyn DiskFile>) -> io::Result<T>,
) -> io::Result<T> {
    let unfinished = format!("{name}.tmp");
    let file = disk.create(&unfinished)?;
    let written = write(file.clone()).and_then(|written| {
        file.sync()?;
        disk.rename(&unfinished, name)?;
        Ok(written)
    });
    if written.is_err() {
        // A full disk must not stay full of it. If it cannot go now, it goes at the next start.
        let _ = disk.remove(&unfinished);
    }
    written
}

/// Takes a name away that may be gone already: a removal that failed in the middle is done again as a whole.
pub(super) fn remove(disk: &dyn Disk, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// One open file.
pub(super) trait DiskFile: Send + Sync {
    /// Its length, bytes.
    fn len(&self) -> io::Result<u64>;
    /// Fills `buffer` with what stands at `at`; an error when the file ends before.
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `at`.
    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&self) -> io::Result<()>;
    /// Makes it `length` bytes long and takes the space from the file system now: what is added reads as zeros.
    fn allocate(&self, length: u64) -> io::Result<()>;
    /// Cuts it.
    fn truncate(&self, length: u64) -> io::Result<()>;
}

/// A directory of the file system.
pub(super) struct Directory(PathBuf);

impl Directory {
    /// The directory at `path`, which exists.
    pub(super) fn new(path: &Path) -> Self {
        Directory(path.to_owned())
    }

    fn open_with(&self, name: &str, options: &mut OpenOptions) -> io::Result<Arc<dyn DiskFile>> {
        let file = options.read(true).write(true).mode(0o600).open(self.0.join(name))?;
        Ok(Arc::new(file))
    }
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.0)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.open_with(name, OpenOptions::new().create(true).truncate(true))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.open_with(name, &mut OpenOptions::new())
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }
    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(buffer, at)
    }
    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }
    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
    fn allocate(&self, length: u64) -> io::Result<()> {
        match rustix::fs::fallocate(self, rustix::fs::FallocateFlags::empty(), 0, length) {
            // A file system without it: the file grows as it is written.
            Err(rustix::io::Errno::OPNOTSUPP) => self.set_len(length),
            done => Ok(done?),
        }
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}
