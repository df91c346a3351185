//! Exec and attach: the WebSocket channel protocols, and carrying them on over SPDY.
//!
//! A WebSocket message is one channel byte and data: 0 stdin, 1 stdout, 2 stderr, 3 error (status),
//! 4 resize; in v5 a message of channel 255 names a channel that its sender has closed (upstream:
//! apimachinery pkg/util/remotecommand constants.go).

mod channel;
mod options;

pub use channel::{PROTOCOLS, WireProtocol, negotiate};
pub use options::Options;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::spdy::session::StreamWriter;
use crate::spdy::{Session, SpdyError, Stream};
use channel::{Incoming, RESIZE, STATUS, STDERR, STDIN, STDOUT};

/// The remote command protocol spoken over SPDY: the status is JSON on the error stream.
pub const STREAM_PROTOCOL: &str = "v4.channel.k8s.io";

/// Messages queued towards the WebSocket client.
const QUEUE: usize = 32;
/// The largest status read from the error stream, in bytes.
const MAX_STATUS: usize = 1024 * 1024;

/// The status of a command whose server was lost: it must not look like a success.
const LOST: &[u8] = br#"{"metadata":{},"status":"Failure","message":"Internal error occurred: error reading from error stream: unexpected EOF","reason":"InternalError","details":{"causes":[{"message":"error reading from error stream: unexpected EOF"}]},"code":500}"#;

/// Ends a WebSocket client's session with the JSON `status` of a failure: its command could not be
/// reached.
pub async fn refuse<S>(socket: WebSocketStream<S>, protocol: WireProtocol, status: &[u8])
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, _) = socket.split();
    if let Some(status) = protocol.status(status) {
        let _ = sink.send(protocol.message(STATUS, &status)).await;
    }
    let _ = sink.send(close(CloseCode::Normal)).await;
}

/// Serves a WebSocket client from a remote command server behind `session`, until the command ends
/// or the client goes away.
pub async fn bridge<S>(socket: WebSocketStream<S>, protocol: WireProtocol, session: Session, options: Options)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut messages) = socket.split();
    let streams = match Streams::open(&session, options).await {
        Ok(streams) => streams,
        Err(error) => {
            tracing::warn!(%error, "cannot open the remote command streams");
            let _ = sink.send(close(CloseCode::Error)).await;
            return;
        }
    };
    let (out, mut queue) = mpsc::channel::<Message>(QUEUE);
    let first = match options {
        Options { stdout: true, .. } => STDOUT,
        Options { stderr: true, .. } => STDERR,
        _ => STATUS,
    };
    let _ = out.send(protocol.message(first, &[])).await;

    let input = async {
        while let Some(Ok(message)) = messages.next().await {
            if matches!(message, Message::Close(_)) {
                break;
            }
            let outcome = match protocol.parse(&message) {
                Some(Incoming::Data(STDIN, data)) => write(&streams.stdin, data).await,
                Some(Incoming::Data(RESIZE, data)) => write(&streams.resize, data).await,
                Some(Incoming::Closed(STDIN)) => match &streams.stdin {
                    Some(stdin) => stdin.finish().await,
                    None => Ok(()),
                },
                _ => Ok(()),
            };
            if outcome.is_err() {
                // The command has ended; what it wrote may still be on its way.
                std::future::pending::<()>().await;
            }
        }
    };
    let output = async {
        let (stdout, stderr) = (streams.stdout, streams.stderr);
        let ((), (), status) = tokio::join!(
            copy(stdout, STDOUT, protocol, &out),
            copy(stderr, STDERR, protocol, &out),
            collect(streams.error),
        );
        if let Some(status) = protocol.status(&status.unwrap_or(Bytes::from_static(LOST))) {
            let _ = out.send(protocol.message(STATUS, &status)).await;
        }
        let _ = out.send(close(CloseCode::Normal)).await;
        drop(out);
    };
    let write_out = async {
        while let Some(message) = queue.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
        let _ = sink.close().await;
    };
    tokio::select! {
        () = input => {}
        ((), ()) = async { tokio::join!(output, write_out) } => {}
    }
}

/// The SPDY streams of one remote command.
struct Streams {
    error: Stream,
    stdin: Option<StreamWriter>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    resize: Option<StreamWriter>,
}

impl Streams {
    async fn open(session: &Session, options: Options) -> Result<Self, SpdyError> {
        async fn open(session: &Session, kind: &str) -> Result<Stream, SpdyError> {
            session.open(vec![("streamtype".to_owned(), kind.to_owned())]).await
        }
        async fn open_if(session: &Session, wanted: bool, kind: &str) -> Result<Option<Stream>, SpdyError> {
            if wanted {
                open(session, kind).await.map(Some)
            } else {
                Ok(None)
            }
        }
        Ok(Self {
            error: open(session, "error").await?,
            stdin: open_if(session, options.stdin, "stdin").await?.map(|s| s.writer()),
            stdout: open_if(session, options.stdout, "stdout").await?,
            stderr: open_if(session, options.stderr && !options.tty, "stderr").await?,
            resize: open_if(session, options.tty, "resize").await?.map(|s| s.writer()),
        })
    }
}

async fn write(stream: &Option<StreamWriter>, data: Bytes) -> Result<(), SpdyError> {
    match stream {
        Some(stream) => stream.write(data).await,
        None => Ok(()),
    }
}

async fn copy(stream: Option<Stream>, channel: u8, protocol: WireProtocol, out: &mpsc::Sender<Message>) {
    let Some(mut stream) = stream else { return };
    while let Some(data) = stream.read().await {
        if out.send(protocol.message(channel, &data)).await.is_err() {
            return;
        }
    }
}

/// The status the server wrote; none when the connection was lost before it could.
async fn collect(mut stream: Stream) -> Option<Bytes> {
    let mut status = BytesMut::new();
    while let Some(data) = stream.read().await {
        if status.len() + data.len() <= MAX_STATUS {
            status.extend_from_slice(&data);
        }
    }
    // A server may close the connection right behind the status, without ending the stream.
    (stream.finished() || !status.is_empty()).then(|| status.freeze())
}

fn close(code: CloseCode) -> Message {
    Message::Close(Some(CloseFrame {
        code,
        reason: "".into(),
    }))
}

#[cfg(test)]
mod tests;
