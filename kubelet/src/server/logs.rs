//! Reading a container's log file, as the runtime writes it, for `kubectl logs`.
//!
//! Upstream: pkg/kubelet/kuberuntime/logs/logs.go `ReadLogs`. It knows files, not containers: the
//! caller finds the path and tells when the container has ended.

mod line;
mod options;
mod tail;
mod watch;

use std::{io, path::PathBuf};

use bytes::{Bytes, BytesMut};
use tokio::{fs::File, io::AsyncReadExt as _, io::AsyncSeekExt as _, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;

use line::Formatter;
pub(crate) use options::LogOptions;

/// Bytes read at once, and about the size of a piece of the answer.
const BLOCK: usize = 64 * 1024;
/// A line longer than this is passed on in pieces; runtimes split at 16 KiB.
const LINE_LIMIT: usize = 1024 * 1024;
/// Pieces of the answer that wait for a slow reader.
const PIECES: usize = 4;

/// The log as a stream. With `follow` it goes on until `ended` is done and the rest is read.
pub(crate) fn stream(
    path: PathBuf,
    options: LogOptions,
    ended: impl Future<Output = ()> + Send + 'static,
) -> ReceiverStream<io::Result<Bytes>> {
    let (pieces, receiver) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        if let Err(error) = copy(path, options, ended, &pieces).await {
            // The reader is gone when this fails, and then nobody is left to tell.
            pieces.send(Err(error)).await.ok();
        }
    });
    ReceiverStream::new(receiver)
}

type Pieces = mpsc::Sender<io::Result<Bytes>>;

async fn copy(
    path: PathBuf,
    options: LogOptions,
    ended: impl Future<Output = ()> + Send,
    pieces: &Pieces,
) -> io::Result<()> {
    // Before the first read: what is written after it makes an event.
    let mut watch = if options.follow {
        Some(watch::Watch::new(&path)?)
    } else {
        None
    };
    let mut file = File::open(&path).await?;
    if let Some(lines) = options.tail_lines {
        let start = tail::start(&mut file, lines).await?;
        file.seek(io::SeekFrom::Start(start)).await?;
    }
    let mut formatter = Formatter::new(&options);
    let mut unread = BytesMut::new();
    let mut has_ended = false;
    tokio::pin!(ended);
    loop {
        // To the end of what is there.
        loop {
            unread.reserve(BLOCK);
            if file.read_buf(&mut unread).await? == 0 {
                break;
            }
            let mut piece = BytesMut::new();
            while let Some(line) = next_line(&mut unread) {
                formatter.format(&line, &mut piece);
            }
            if !piece.is_empty() && pieces.send(Ok(piece.freeze())).await.is_err() {
                return Ok(());
            }
            if formatter.is_full() {
                return Ok(());
            }
        }
        let Some(watch) = watch.as_mut().filter(|_| !has_ended) else {
            // A last line without its end was cut off by a crash: it is still worth showing.
            let mut piece = BytesMut::new();
            formatter.format(&unread, &mut piece);
            if !piece.is_empty() {
                pieces.send(Ok(piece.freeze())).await.ok();
            }
            return Ok(());
        };
        tokio::select! {
            changed = watch.changed() => {
                if changed? == watch::Change::Replaced {
                    // Rotated: the rest of the old file was read above, except what came in between.
                    drain(&mut file, &mut unread).await?;
                    file = File::open(&path).await?;
                }
            }
            () = &mut ended => has_ended = true,
            () = pieces.closed() => return Ok(()),
        }
    }
}

async fn drain(file: &mut File, unread: &mut BytesMut) -> io::Result<()> {
    while file.read_buf(unread).await? > 0 {
        if unread.len() > LINE_LIMIT {
            break;
        }
    }
    Ok(())
}

/// Takes one line with its end, or a piece of one that is too long.
fn next_line(unread: &mut BytesMut) -> Option<BytesMut> {
    match unread.iter().position(|&byte| byte == b'\n') {
        Some(at) => Some(unread.split_to(at + 1)),
        None if unread.len() > LINE_LIMIT => Some(unread.split()),
        None => None,
    }
}

#[cfg(test)]
mod tests;
