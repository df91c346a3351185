//! One SPDY connection: a reader and a writer task, streams as pairs of bounded channels.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use super::frame::{Decoder, Encoder, Frame, Headers};

/// Frames queued towards the peer before a writer waits.
const WRITE_QUEUE: usize = 64;
/// Data frames queued per stream before the reader waits (and with it the whole connection).
const READ_QUEUE: usize = 64;
/// Data is cut into frames of at most this many bytes.
const CHUNK: usize = 32 * 1024;

/// What went wrong on a connection or stream.
#[derive(Debug, thiserror::Error)]
pub enum SpdyError {
    /// The connection is gone.
    #[error("SPDY connection closed")]
    Closed,
    /// The peer refused the stream.
    #[error("SPDY stream refused by the peer")]
    Refused,
}

/// A connection. Dropping it and all its streams closes the connection.
pub struct Session {
    shared: Arc<Shared>,
    frames: mpsc::Sender<Frame>,
    incoming: mpsc::Receiver<Stream>,
    next_id: AtomicU32,
}

struct Shared {
    streams: Mutex<HashMap<u32, Entry>>,
}

struct Entry {
    data: Option<mpsc::Sender<Bytes>>,
    reply: Option<oneshot::Sender<bool>>,
    finished: Arc<AtomicBool>,
}

impl Entry {
    /// The peer writes no more.
    fn finish(&mut self) {
        self.finished.store(true, Ordering::Release);
        self.data = None;
    }
}

/// One stream of a [`Session`].
pub struct Stream {
    /// Identifier on the wire.
    pub id: u32,
    /// Headers of the SYN_STREAM frame (empty for streams opened here).
    pub headers: Headers,
    frames: mpsc::Sender<Frame>,
    data: mpsc::Receiver<Bytes>,
    finished: Arc<AtomicBool>,
}

/// The writing half of a [`Stream`].
#[derive(Clone)]
pub struct StreamWriter {
    id: u32,
    frames: mpsc::Sender<Frame>,
}

impl Session {
    /// The client end: opens streams with odd identifiers.
    pub fn client(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self::start(io, 1)
    }

    /// The server end: [`Session::accept`]s streams.
    pub fn server(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self::start(io, 2)
    }

    fn start(io: impl AsyncRead + AsyncWrite + Send + 'static, first_id: u32) -> Self {
        let (reader, writer) = tokio::io::split(io);
        let shared = Arc::new(Shared {
            streams: Mutex::new(HashMap::new()),
        });
        let (frames, queue) = mpsc::channel(WRITE_QUEUE);
        let (accept, incoming) = mpsc::channel(WRITE_QUEUE);
        tokio::spawn(write_frames(writer, queue));
        let pump = Pump {
            shared: shared.clone(),
            frames: frames.downgrade(),
            accept,
            parity: first_id % 2,
        };
        tokio::spawn(pump.run(reader));
        Self {
            shared,
            frames,
            incoming,
            next_id: AtomicU32::new(first_id),
        }
    }

    /// Opens a stream and waits for the peer's reply.
    ///
    /// # Errors
    /// [`SpdyError`] when the peer resets the stream or the connection ends.
    pub async fn open(&self, headers: Headers) -> Result<Stream, SpdyError> {
        let id = self.next_id.fetch_add(2, Ordering::Relaxed);
        let (sender, data) = mpsc::channel(READ_QUEUE);
        let (reply, replied) = oneshot::channel();
        let finished = Arc::new(AtomicBool::new(false));
        self.shared.streams.lock().insert(
            id,
            Entry {
                data: Some(sender),
                reply: Some(reply),
                finished: finished.clone(),
            },
        );
        let syn = Frame::SynStream {
            id,
            fin: false,
            headers,
        };
        self.frames.send(syn).await.map_err(|_| SpdyError::Closed)?;
        match replied.await {
            Ok(true) => Ok(Stream {
                id,
                headers: Vec::new(),
                frames: self.frames.clone(),
                data,
                finished,
            }),
            Ok(false) => Err(SpdyError::Refused),
            Err(_) => Err(SpdyError::Closed),
        }
    }

    /// The next stream the peer opens (already replied to); `None` when the connection ends.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.incoming.recv().await
    }
}

impl Stream {
    /// The next bytes from the peer; `None` after its FIN, a reset, or the end of the connection.
    pub async fn read(&mut self) -> Option<Bytes> {
        self.data.recv().await
    }

    /// Whether the peer ended the stream itself. When [`Stream::read`] has said `None` and this is
    /// false, the connection was lost with whatever the peer still had to say.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// The writing half; it may outlive this reading half.
    #[must_use]
    pub fn writer(&self) -> StreamWriter {
        StreamWriter {
            id: self.id,
            frames: self.frames.clone(),
        }
    }

    /// The value of a header of the SYN_STREAM frame.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl StreamWriter {
    /// Sends bytes; waits while the connection is congested.
    ///
    /// # Errors
    /// [`SpdyError::Closed`].
    pub async fn write(&self, mut data: Bytes) -> Result<(), SpdyError> {
        while !data.is_empty() {
            let chunk = data.split_to(data.len().min(CHUNK));
            self.send(Frame::Data {
                id: self.id,
                fin: false,
                data: chunk,
            })
            .await?;
        }
        Ok(())
    }

    /// Says that nothing more will be written; the other direction stays open.
    ///
    /// # Errors
    /// [`SpdyError::Closed`].
    pub async fn finish(&self) -> Result<(), SpdyError> {
        self.send(Frame::Data {
            id: self.id,
            fin: true,
            data: Bytes::new(),
        })
        .await
    }

    /// Ends the stream in both directions.
    ///
    /// # Errors
    /// [`SpdyError::Closed`].
    pub async fn reset(&self) -> Result<(), SpdyError> {
        self.send(Frame::RstStream { id: self.id, status: 5 }).await
    }

    async fn send(&self, frame: Frame) -> Result<(), SpdyError> {
        self.frames.send(frame).await.map_err(|_| SpdyError::Closed)
    }
}

async fn write_frames(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Frame>) {
    let mut encoder = Encoder::default();
    let mut buffer = BytesMut::new();
    while let Some(frame) = queue.recv().await {
        encoder.encode(&frame, &mut buffer);
        while buffer.len() < 2 * CHUNK {
            match queue.try_recv() {
                Ok(frame) => encoder.encode(&frame, &mut buffer),
                Err(_) => break,
            }
        }
        if writer.write_all(&buffer).await.is_err() || writer.flush().await.is_err() {
            return;
        }
        buffer.clear();
    }
    let _ = writer.shutdown().await;
}

/// The reading task: hands frames to their streams.
struct Pump {
    shared: Arc<Shared>,
    frames: mpsc::WeakSender<Frame>,
    accept: mpsc::Sender<Stream>,
    /// Parity of the stream identifiers opened by this end.
    parity: u32,
}

impl Pump {
    async fn run(self, mut reader: impl AsyncRead + Unpin) {
        let mut decoder = Decoder::default();
        let mut buffer = BytesMut::with_capacity(CHUNK);
        'connection: loop {
            loop {
                match decoder.decode(&mut buffer) {
                    Ok(Some(frame)) => self.handle(frame).await,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(%error, "SPDY connection lost");
                        break 'connection;
                    }
                }
            }
            match reader.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        self.shared.streams.lock().clear();
    }

    async fn handle(&self, frame: Frame) {
        match frame {
            Frame::SynStream { id, fin, headers } => self.accept(id, fin, headers).await,
            Frame::SynReply { id, fin, .. } => {
                if let Some(entry) = self.shared.streams.lock().get_mut(&id) {
                    if let Some(reply) = entry.reply.take() {
                        let _ = reply.send(true);
                    }
                    if fin {
                        entry.finish();
                    }
                }
            }
            Frame::RstStream { id, .. } => {
                if let Some(mut entry) = self.shared.streams.lock().remove(&id) {
                    entry.finish();
                    if let Some(reply) = entry.reply {
                        let _ = reply.send(false);
                    }
                }
            }
            Frame::Ping { id } => {
                if id % 2 != self.parity
                    && let Some(frames) = self.frames.upgrade()
                {
                    let _ = frames.send(Frame::Ping { id }).await;
                }
            }
            Frame::Data { id, fin, data } => {
                let sender = self.shared.streams.lock().get(&id).and_then(|e| e.data.clone());
                if let Some(sender) = sender
                    && !data.is_empty()
                {
                    let _ = sender.send(data).await;
                }
                if fin && let Some(entry) = self.shared.streams.lock().get_mut(&id) {
                    entry.finish();
                }
            }
            Frame::GoAway { .. } | Frame::Ignored => {}
        }
    }

    async fn accept(&self, id: u32, fin: bool, headers: Headers) {
        let Some(frames) = self.frames.upgrade() else { return };
        let (sender, data) = mpsc::channel(READ_QUEUE);
        let finished = Arc::new(AtomicBool::new(fin));
        let entry = Entry {
            data: (!fin).then_some(sender),
            reply: None,
            finished: finished.clone(),
        };
        self.shared.streams.lock().insert(id, entry);
        let reply = Frame::SynReply {
            id,
            fin: false,
            headers: Vec::new(),
        };
        let _ = frames.send(reply).await;
        let _ = self
            .accept
            .send(Stream {
                id,
                headers,
                frames,
                data,
                finished,
            })
            .await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn half_closed_stream_still_carries_the_answer() {
        let (near, far) = tokio::io::duplex(1024);
        let client = Session::client(near);
        let mut server = Session::server(far);
        let echo = tokio::spawn(async move {
            let mut stream = server.accept().await.unwrap();
            assert_eq!(stream.header("streamType"), Some("stdin"));
            let mut read = Vec::new();
            while let Some(bytes) = stream.read().await {
                read.extend_from_slice(&bytes);
            }
            let writer = stream.writer();
            writer.write(Bytes::from(read)).await.unwrap();
            writer.finish().await.unwrap();
            assert!(server.accept().await.is_none());
        });
        let mut stream = client
            .open(vec![("streamType".to_owned(), "stdin".to_owned())])
            .await
            .unwrap();
        let writer = stream.writer();
        writer.write(Bytes::from(vec![7u8; 100_000])).await.unwrap();
        writer.finish().await.unwrap();
        let mut answer = 0;
        while let Some(bytes) = stream.read().await {
            answer += bytes.len();
        }
        assert_eq!(answer, 100_000);
        drop((client, stream, writer));
        echo.await.unwrap();
    }
}
