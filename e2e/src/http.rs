//! One plain HTTP request, as `curl` from the node.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const TIMEOUT: Duration = Duration::from_secs(3);

/// Body of `GET http://ADDRESS/path` on a new connection.
///
/// # Errors
/// The step that failed, or the status line when it is not 200.
pub fn get(address: SocketAddr, path: &str) -> Result<String, String> {
    let fail = |step: &str, error: std::io::Error| format!("{address}: {step}: {error}");
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(|e| fail("connect", e))?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(|e| fail("timeout", e))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .map_err(|e| fail("send", e))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| fail("read", e))?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("{address}: no HTTP answer"))?;
    if head.starts_with("HTTP/1.1 200 ") {
        Ok(body.to_owned())
    } else {
        Err(head.to_owned())
    }
}
