//! Port-forward over WebSocket: kubectl (1.31 and later) tunnels a whole SPDY connection in binary
//! messages, so this end only unwraps and wraps (upstream: apimachinery pkg/util/portforward).

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// The WebSocket sub-protocol of the tunnel.
pub const TUNNEL_PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";
/// The stream protocol inside it.
pub const STREAM_PROTOCOL: &str = "portforward.k8s.io";

/// Copies between the binary messages of `socket` and the bytes of `upstream` until either ends.
pub async fn tunnel<S, U>(socket: WebSocketStream<S>, upstream: U)
where
    S: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite,
{
    let (mut sink, mut messages) = socket.split();
    let (mut reader, mut writer) = tokio::io::split(upstream);
    let to_upstream = async {
        while let Some(Ok(message)) = messages.next().await {
            let bytes: Bytes = match message {
                Message::Binary(bytes) => bytes,
                Message::Close(_) => break,
                _ => continue,
            };
            if writer.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    let to_client = async {
        let mut buffer = BytesMut::with_capacity(32 * 1024);
        loop {
            buffer.reserve(16 * 1024);
            match reader.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {
                    let message = Message::Binary(buffer.split().freeze());
                    if sink.send(message).await.is_err() {
                        return;
                    }
                }
            }
        }
        let _ = sink.close().await;
    };
    tokio::select! {
        () = to_upstream => {}
        () = to_client => {}
    }
}
