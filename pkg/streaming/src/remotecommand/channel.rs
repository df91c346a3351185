//! Encoding of the channel messages, per sub-protocol.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;

pub(super) const STDIN: u8 = 0;
pub(super) const STDOUT: u8 = 1;
pub(super) const STDERR: u8 = 2;
pub(super) const STATUS: u8 = 3;
pub(super) const RESIZE: u8 = 4;
/// v5: the data names a channel that is closed.
const CLOSE: u8 = 255;

/// The sub-protocols of remote command, best first.
pub const PROTOCOLS: &[&str] = &[
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
];

/// How one sub-protocol writes messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireProtocol {
    /// Its name; empty when the client offered none.
    pub name: &'static str,
}

/// The sub-protocol for a client that offers `offered`, in its order; a client that offers nothing
/// speaks the oldest binary one. `None`: nothing in common.
#[must_use]
pub fn negotiate(offered: &[String]) -> Option<WireProtocol> {
    if offered.is_empty() {
        return Some(WireProtocol { name: "" });
    }
    offered.iter().find_map(|offer| {
        PROTOCOLS
            .iter()
            .find(|name| *name == offer)
            .map(|name| WireProtocol { name })
    })
}

/// A message of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Data(u8, Bytes),
    Closed(u8),
}

impl WireProtocol {
    fn base64(self) -> bool {
        self.name.contains("base64")
    }

    fn json_status(self) -> bool {
        self.name.starts_with('v')
    }

    pub(super) fn message(self, channel: u8, data: &[u8]) -> Message {
        if self.base64() {
            let mut text = String::from(char::from(b'0' + channel));
            STANDARD.encode_string(data, &mut text);
            return Message::Text(text.into());
        }
        let mut bytes = Vec::with_capacity(data.len() + 1);
        bytes.push(channel);
        bytes.extend_from_slice(data);
        Message::Binary(bytes.into())
    }

    pub(super) fn parse(self, message: &Message) -> Option<Incoming> {
        let (channel, data) = match message {
            Message::Binary(bytes) if !bytes.is_empty() => (bytes[0], bytes.slice(1..)),
            Message::Text(text) => {
                let (first, rest) = text.as_bytes().split_first()?;
                let data = STANDARD.decode(rest).ok()?;
                (first.checked_sub(b'0')?, Bytes::from(data))
            }
            _ => return None,
        };
        if channel == CLOSE && self.name == "v5.channel.k8s.io" {
            return data.first().map(|closed| Incoming::Closed(*closed));
        }
        Some(Incoming::Data(channel, data))
    }

    /// What goes to the status channel for the JSON status a v4 server wrote: the same for v4 and
    /// v5, only the message of a failure for older protocols.
    pub(super) fn status(self, json: &[u8]) -> Option<Bytes> {
        let success: &[u8] = br#"{"metadata":{},"status":"Success"}"#;
        let json = if json.is_empty() { success } else { json };
        if self.json_status() {
            return Some(Bytes::copy_from_slice(json));
        }
        let status: serde_json::Value = serde_json::from_slice(json).ok()?;
        if status["status"] == "Success" {
            return None;
        }
        let message = status["message"].as_str().unwrap_or_default();
        Some(Bytes::copy_from_slice(message.as_bytes()))
    }
}
