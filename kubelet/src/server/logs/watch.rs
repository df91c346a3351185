//! Hearing of writes to a file, and of its replacement by rotation, without asking again and again.

// `AsyncFd::register` is unsafe: nothing else here is.

use std::{
    ffi::OsString,
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

/// What happened to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It has grown, or something else happened that is worth a read.
    Written,
    /// There is a new file of its name.
    Replaced,
}

/// Watches the directory: a watch of the file itself would stay with the old one.
pub(super) struct Watch {
    inotify: AsyncFd<OwnedFd>,
    name: OsString,
}

impl Watch {
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
        };
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&fd, dir, WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
        // SAFETY: the `AsyncFd` owns the descriptor: it stays open and the same until it is deregistered
        // on drop.
        #[allow(unsafe_code)]
        let inotify = unsafe { AsyncFd::register(fd) }?;
        Ok(Self {
            inotify,
            name: name.to_owned(),
        })
    }

    /// Waits for the next change of the file; several at once are one.
    pub(super) async fn changed(&mut self) -> io::Result<Change> {
        loop {
            let mut guard = self.inotify.readable_mut().await?;
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = inotify::Reader::new(guard.get_inner(), &mut buffer);
            let mut change = None;
            loop {
                match reader.next() {
                    Ok(event) => {
                        let ours = event
                            .file_name()
                            .is_some_and(|name| name.to_bytes() == self.name.as_bytes());
                        if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                            change = change.or(Some(Change::Written));
                        } else if ours && event.events().intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                            change = Some(Change::Replaced);
                        } else if ours {
                            change = change.or(Some(Change::Written));
                        }
                        // The buffer's events belong together; after them the descriptor is asked again.
                        if reader.is_buffer_empty() && change.is_some() {
                            break;
                        }
                    }
                    Err(rustix::io::Errno::AGAIN) => {
                        guard.clear_ready();
                        break;
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some(change) = change {
                return Ok(change);
            }
        }
    }
}
