//! Encoding and decoding of SPDY/3 frames, bytes in, values out; no I/O.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::dictionary::dictionary;

/// Name and value pairs of a header block; names are lower case on the wire.
pub type Headers = Vec<(String, String)>;

/// The largest frame payload taken from a peer, in bytes.
pub const MAX_PAYLOAD: usize = 8 * 1024 * 1024;
/// The largest decompressed header block, in bytes.
const MAX_HEADER_BLOCK: usize = 256 * 1024;
/// FLAG_FIN: the sender writes nothing more on this stream.
const FLAG_FIN: u8 = 0x01;

/// One frame. Kinds that carry nothing of interest here are [`Frame::Ignored`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream; clients use odd identifiers.
    SynStream {
        /// Stream identifier.
        id: u32,
        /// The opener will write nothing.
        fin: bool,
        /// Header block.
        headers: Headers,
    },
    /// Accepts a stream.
    SynReply {
        /// Stream identifier.
        id: u32,
        /// The acceptor will write nothing.
        fin: bool,
        /// Header block.
        headers: Headers,
    },
    /// Ends a stream in both directions; `status` is an error code of the draft.
    RstStream {
        /// Stream identifier.
        id: u32,
        /// 1 protocol error, 2 invalid stream, 5 cancel, ...
        status: u32,
    },
    /// Keep-alive; a peer's ping is answered with the same identifier.
    Ping {
        /// Ping identifier.
        id: u32,
    },
    /// The sender will open no more streams.
    GoAway {
        /// Last stream identifier the sender has accepted.
        last: u32,
    },
    /// Bytes of a stream.
    Data {
        /// Stream identifier.
        id: u32,
        /// The last bytes of this direction.
        fin: bool,
        /// The bytes.
        data: Bytes,
    },
    /// SETTINGS, HEADERS, WINDOW_UPDATE and unknown control frames.
    Ignored,
}

/// A frame that cannot be decoded; the connection is lost, since the header compression is stateful.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A control frame of another SPDY version.
    #[error("unsupported SPDY version {0}")]
    Version(u16),
    /// A payload above [`MAX_PAYLOAD`], or too short for its kind.
    #[error("invalid SPDY frame length {0}")]
    Length(usize),
    /// A header block that does not decompress or parse.
    #[error("invalid SPDY header block: {0}")]
    Headers(String),
}

/// Writes frames; holds the compression state of one direction of one connection.
pub struct Encoder {
    zlib: Compress,
}

impl Default for Encoder {
    fn default() -> Self {
        let mut zlib = Compress::new(Compression::default(), true);
        zlib.set_dictionary(&dictionary())
            .expect("a fresh deflate stream accepts a dictionary");
        Self { zlib }
    }
}

impl Encoder {
    /// Appends `frame` to `out`.
    pub fn encode(&mut self, frame: &Frame, out: &mut BytesMut) {
        match frame {
            Frame::SynStream { id, fin, headers } => {
                let block = self.header_block(headers);
                control(out, 1, flag(*fin), 10 + block.len());
                out.put_u32(*id);
                out.put_u32(0);
                out.put_u16(0);
                out.extend_from_slice(&block);
            }
            Frame::SynReply { id, fin, headers } => {
                let block = self.header_block(headers);
                control(out, 2, flag(*fin), 4 + block.len());
                out.put_u32(*id);
                out.extend_from_slice(&block);
            }
            Frame::RstStream { id, status } => {
                control(out, 3, 0, 8);
                out.put_u32(*id);
                out.put_u32(*status);
            }
            Frame::Ping { id } => {
                control(out, 6, 0, 4);
                out.put_u32(*id);
            }
            Frame::GoAway { last } => {
                control(out, 7, 0, 8);
                out.put_u32(*last);
                out.put_u32(0);
            }
            Frame::Data { id, fin, data } => {
                out.put_u32(*id);
                out.put_u32((u32::from(flag(*fin)) << 24) | data.len() as u32);
                out.extend_from_slice(data);
            }
            Frame::Ignored => {}
        }
    }

    fn header_block(&mut self, headers: &Headers) -> Vec<u8> {
        let mut plain = BytesMut::new();
        plain.put_u32(headers.len() as u32);
        for (name, value) in headers {
            for text in [&name.to_ascii_lowercase(), value] {
                plain.put_u32(text.len() as u32);
                plain.extend_from_slice(text.as_bytes());
            }
        }
        let mut block = Vec::with_capacity(plain.len() + 64);
        let start = self.zlib.total_in();
        loop {
            let used = (self.zlib.total_in() - start) as usize;
            block.reserve(256);
            self.zlib
                .compress_vec(&plain[used..], &mut block, FlushCompress::Sync)
                .expect("deflate into a growing buffer does not fail");
            let consumed = (self.zlib.total_in() - start) as usize;
            if consumed == plain.len() && block.len() < block.capacity() {
                return block;
            }
        }
    }
}

/// Reads frames; holds the decompression state of one direction of one connection.
pub struct Decoder {
    zlib: Decompress,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            zlib: Decompress::new(true),
        }
    }
}

impl Decoder {
    /// Takes one whole frame off the front of `buffer`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`]; the connection cannot be used any more.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        if buffer.len() < 8 {
            return Ok(None);
        }
        let head = u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
        let flags = buffer[4];
        let length = u32::from_be_bytes([0, buffer[5], buffer[6], buffer[7]]) as usize;
        if length > MAX_PAYLOAD {
            return Err(FrameError::Length(length));
        }
        if buffer.len() < 8 + length {
            return Ok(None);
        }
        buffer.advance(8);
        let mut payload = buffer.split_to(length).freeze();
        let fin = flags & FLAG_FIN != 0;
        if head & 0x8000_0000 == 0 {
            return Ok(Some(Frame::Data {
                id: head,
                fin,
                data: payload,
            }));
        }
        let version = ((head >> 16) & 0x7fff) as u16;
        if version != 3 {
            return Err(FrameError::Version(version));
        }
        let kind = head & 0xffff;
        let least = [0, 10, 4, 8, 0, 0, 4, 4, 4, 8].get(kind as usize).copied().unwrap_or(0);
        if length < least {
            return Err(FrameError::Length(length));
        }
        Ok(Some(match kind {
            1 => {
                let id = payload.get_u32() & 0x7fff_ffff;
                payload.advance(6);
                Frame::SynStream {
                    id,
                    fin,
                    headers: self.headers(&payload)?,
                }
            }
            2 => {
                let id = payload.get_u32() & 0x7fff_ffff;
                Frame::SynReply {
                    id,
                    fin,
                    headers: self.headers(&payload)?,
                }
            }
            3 => Frame::RstStream {
                id: payload.get_u32() & 0x7fff_ffff,
                status: payload.get_u32(),
            },
            6 => Frame::Ping { id: payload.get_u32() },
            7 => Frame::GoAway {
                last: payload.get_u32() & 0x7fff_ffff,
            },
            8 => {
                payload.advance(4);
                self.headers(&payload)?; // keeps the compression state right
                Frame::Ignored
            }
            _ => Frame::Ignored,
        }))
    }

    fn headers(&mut self, block: &[u8]) -> Result<Headers, FrameError> {
        let broken = |what: &str| FrameError::Headers(what.to_owned());
        let mut plain: Vec<u8> = Vec::with_capacity(1024);
        let mut used = 0;
        loop {
            if plain.len() >= MAX_HEADER_BLOCK {
                return Err(broken("too large"));
            }
            plain.reserve(1024);
            let (before_in, before_out) = (self.zlib.total_in(), self.zlib.total_out());
            let outcome = self
                .zlib
                .decompress_vec(&block[used..], &mut plain, FlushDecompress::Sync);
            used += (self.zlib.total_in() - before_in) as usize;
            match outcome {
                Err(error) if error.needs_dictionary().is_some() => {
                    self.zlib
                        .set_dictionary(&dictionary())
                        .map_err(|_| broken("unknown dictionary"))?;
                }
                Err(_) => return Err(broken("not a zlib stream")),
                Ok(_) => {
                    let progressed = self.zlib.total_out() > before_out;
                    if used == block.len() && (plain.len() < plain.capacity() || !progressed) {
                        break;
                    }
                    if !progressed && self.zlib.total_in() == before_in {
                        return Err(broken("stuck"));
                    }
                }
            }
        }
        parse_headers(&plain).ok_or_else(|| broken("truncated"))
    }
}

fn parse_headers(mut plain: &[u8]) -> Option<Headers> {
    fn text(plain: &mut &[u8]) -> Option<String> {
        let length = plain.try_get_u32().ok()? as usize;
        let (head, rest) = plain.split_at_checked(length)?;
        *plain = rest;
        Some(String::from_utf8_lossy(head).into_owned())
    }
    let count = plain.try_get_u32().ok()?;
    let mut headers = Vec::new();
    for _ in 0..count {
        headers.push((text(&mut plain)?, text(&mut plain)?));
    }
    Some(headers)
}

fn flag(fin: bool) -> u8 {
    if fin { FLAG_FIN } else { 0 }
}

fn control(out: &mut BytesMut, kind: u16, flags: u8, length: usize) {
    out.put_u16(0x8003);
    out.put_u16(kind);
    out.put_u32((u32::from(flags) << 24) | length as u32);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(kind: &str) -> Headers {
        vec![
            ("streamtype".to_owned(), kind.to_owned()),
            ("port".to_owned(), "80".to_owned()),
        ]
    }

    #[test]
    fn frames_survive_a_round_trip_with_shared_compression_state() {
        let frames = vec![
            Frame::SynStream {
                id: 1,
                fin: false,
                headers: headers("error"),
            },
            Frame::SynStream {
                id: 3,
                fin: true,
                headers: headers("stdin"),
            },
            Frame::SynReply {
                id: 1,
                fin: false,
                headers: vec![],
            },
            Frame::Data {
                id: 3,
                fin: true,
                data: Bytes::from_static(b"hello"),
            },
            Frame::RstStream { id: 3, status: 5 },
            Frame::Ping { id: 2 },
            Frame::GoAway { last: 3 },
            Frame::SynStream {
                id: 5,
                fin: false,
                headers: headers(&"x".repeat(5000)),
            },
        ];
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        let mut wire = BytesMut::new();
        for frame in &frames {
            encoder.encode(frame, &mut wire);
        }
        let mut read = Vec::new();
        let mut buffer = BytesMut::new();
        for byte in wire {
            buffer.put_u8(byte);
            while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
                read.push(frame);
            }
        }
        assert_eq!(read, frames);
    }

    #[test]
    fn oversized_and_foreign_frames_are_refused() {
        let mut decoder = Decoder::default();
        let mut huge = BytesMut::from(&[0, 0, 0, 1, 0, 0xff, 0xff, 0xff][..]);
        assert!(matches!(decoder.decode(&mut huge), Err(FrameError::Length(_))));
        let mut version2 = BytesMut::from(&[0x80, 2, 0, 1, 0, 0, 0, 0][..]);
        assert!(matches!(decoder.decode(&mut version2), Err(FrameError::Version(2))));
    }
}
