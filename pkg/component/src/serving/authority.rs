//! Clients that say a whole URL as the authority of their requests: etcd 3.4's and 3.5's `etcdctl endpoint status`, `endpoint hashkv`,
//! `defrag` and `move-leader` send `:authority: http://127.0.0.1:2379`. Go's HTTP/2 server takes it; ours (`h2`) ends the
//! stream, as RFC 9113 has it, before anybody else sees the request.
//!
//! [`Mended`] stands between the connection and HTTP/2 and makes `http://` in that place `httpB..` or `http...`, which is a name
//! that nobody asks for. The bytes are changed where they are, and no length changes, neither on the wire nor decoded, so that
//! both ends' header tables stay the same. Only the first request of a connection is looked at: its value goes into the table,
//! later ones refer to it.

use std::io::Result;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes before the first frame.
const PREFACE: usize = 24;
/// Bytes of a frame's header.
const FRAME: usize = 9;
const HEADERS: u8 = 1;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
/// `:authority` in HTTP/2's static table of headers.
const AUTHORITY: usize = 1;

/// `http` and `https`, then `://`, in HPACK's Huffman code, each with its number of bits.
#[allow(clippy::unusual_byte_groupings, reason = "a group is a letter")]
const HUFFMAN: [(u64, u32); 2] = [
    (0b100111_01001_01001_101011, 22),
    (0b100111_01001_01001_101011_01000, 27),
];
#[allow(clippy::unusual_byte_groupings, reason = "a group is a letter")]
const SEPARATOR: (u64, u32) = (0b1011100_011000_011000, 19);
/// `B..`, as long.
#[allow(clippy::unusual_byte_groupings, reason = "a group is a letter")]
const INSTEAD: u64 = 0b1011101_010111_010111;

/// A connection whose first request is mended, if that is asked for.
pub(super) struct Mended<IO> {
    io: IO,
    /// Bytes until the next frame; `None`: nothing is looked at any more.
    left: Option<usize>,
}

impl<IO> Mended<IO> {
    /// Wraps a connection nothing was read from yet.
    pub(super) fn new(io: IO, asked_for: bool) -> Self {
        Mended {
            io,
            left: asked_for.then_some(PREFACE),
        }
    }

    fn look(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while let Some(left) = self.left {
            let skipped = left.min(bytes.len() - at);
            at += skipped;
            self.left = Some(left - skipped);
            if at == bytes.len() {
                return;
            }
            // A frame that does not come at once is left as it is: these are the first few bytes of a connection.
            self.left = bytes.get(at..at + FRAME).and_then(|header| {
                let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
                (header[3] != HEADERS).then_some(FRAME + length)
            });
        }
        if let Some(frame) = bytes.get_mut(at..) {
            let _ = mend(frame);
        }
    }
}

/// Mends the frame at the start of `bytes`, if it is one of headers and needs it.
fn mend(bytes: &mut [u8]) -> Option<()> {
    let (header, rest) = bytes.split_at_mut_checked(FRAME)?;
    let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
    if header[3] != HEADERS {
        return None;
    }
    let flags = header[4];
    let start = usize::from(flags & PADDED != 0) + if flags & PRIORITY != 0 { 5 } else { 0 };
    let block = rest.get_mut(start..length)?;
    let mut at = 0;
    while let Some(first) = block.get(at).copied() {
        let bits = match first {
            0x80.. => 7,
            0x40.. => 6,
            0x20.. => 5,
            _ => 4,
        };
        let index = integer(block, &mut at, bits)?;
        if bits == 7 || bits == 5 {
            continue;
        }
        if index == 0 {
            string(block, &mut at)?;
        }
        let (value, is_huffman) = string(block, &mut at)?;
        if index == AUTHORITY {
            let value = block.get_mut(value)?;
            return if is_huffman {
                mend_huffman(value)
            } else {
                mend_plain(value)
            };
        }
    }
    None
}

fn mend_plain(value: &mut [u8]) -> Option<()> {
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| value.starts_with(scheme))?;
    value[scheme.len() - 3..scheme.len()].copy_from_slice(b"...");
    Some(())
}

fn mend_huffman(value: &mut [u8]) -> Option<()> {
    let eight = value.first_chunk_mut::<8>()?;
    let word = u64::from_be_bytes(*eight);
    let (separator, bits) = SEPARATOR;
    for (scheme, scheme_bits) in HUFFMAN {
        let free = 64 - scheme_bits - bits;
        if word >> free == scheme << bits | separator {
            let rest = word & ((1 << free) - 1);
            *eight = ((scheme << bits | INSTEAD) << free | rest).to_be_bytes();
            return Some(());
        }
    }
    None
}

/// A number with so many bits in its first byte (RFC 7541, 5.1).
fn integer(block: &[u8], at: &mut usize, bits: u32) -> Option<usize> {
    let most = (1_usize << bits) - 1;
    let mut value = usize::from(*block.get(*at)?) & most;
    *at += 1;
    if value < most {
        return Some(value);
    }
    for shift in [0, 7, 14] {
        let byte = usize::from(*block.get(*at)?);
        *at += 1;
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Where a text stands, and whether it is in Huffman's code.
fn string(block: &[u8], at: &mut usize) -> Option<(std::ops::Range<usize>, bool)> {
    let is_huffman = block.get(*at)? & 0x80 != 0;
    let length = integer(block, at, 7)?;
    let start = *at;
    *at = start.checked_add(length).filter(|end| *end <= block.len())?;
    Some((start..*at, is_huffman))
}

impl<IO: AsyncRead + Unpin> AsyncRead for Mended<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if self.left.is_some() && matches!(read, Poll::Ready(Ok(()))) {
            self.look(&mut buf.filled_mut()[before..]);
        }
        read
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Mended<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a connection: preface, empty settings, a request with this field of headers.
    fn connection(field: &[u8]) -> Vec<u8> {
        // `:method: POST`, `:scheme: http`, a header by name; then the field.
        let block = [&[0x83, 0x86, 0x00, 1, b'a', 1, b'b'][..], field].concat();
        let headers = [0, 0, block.len() as u8, HEADERS, 4, 0, 0, 0, 1];
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            &[0, 0, 0, 4, 0, 0, 0, 0, 0][..],
            &headers,
            &block,
        ]
        .concat()
    }

    #[test]
    fn a_url_as_authority_becomes_a_name_of_the_same_length() {
        // "http://127.0.0.1:1" and "https://127.0.0.1:1" in Huffman's code, by hand from RFC 7541's appendix B.
        let code = |text: &str| {
            let mut bits = String::new();
            for letter in text.chars() {
                bits.push_str(match letter {
                    'h' => "100111",
                    't' => "01001",
                    'p' => "101011",
                    's' => "01000",
                    ':' => "1011100",
                    'B' => "1011101",
                    '/' => "011000",
                    '.' => "010111",
                    '0' => "00000",
                    '1' => "00001",
                    '2' => "00010",
                    '7' => "011101",
                    other => panic!("{other}"),
                });
            }
            while !bits.len().is_multiple_of(8) {
                bits.push('1');
            }
            let bytes = bits
                .as_bytes()
                .chunks(8)
                .map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | (bit & 1)));
            bytes.collect::<Vec<u8>>()
        };
        let plain = |text: &str| [&[0x41, text.len() as u8][..], text.as_bytes()].concat();
        let huffman = |text: &str| {
            let code = code(text);
            [&[0x41, 0x80 | code.len() as u8][..], &code].concat()
        };
        for (before, after) in [
            (plain("http://127.0.0.1:1"), plain("http...127.0.0.1:1")),
            (plain("https://127.0.0.1:1"), plain("https...127.0.0.1:1")),
            (plain("127.0.0.1:1"), plain("127.0.0.1:1")),
            (huffman("http://127.0.0.1:1"), huffman("httpB..127.0.0.1:1")),
            (huffman("https://127.0.0.1:1"), huffman("httpsB..127.0.0.1:1")),
            (huffman("127.0.0.1:1"), huffman("127.0.0.1:1")),
        ] {
            let (before, after) = (connection(&before), connection(&after));
            // In one read, and as it is read: the preface alone.
            for cut in [0, PREFACE, PREFACE + FRAME] {
                let mut bytes = before.clone();
                let mut mended = Mended::new((), true);
                let (first, second) = bytes.split_at_mut(cut);
                mended.look(first);
                mended.look(second);
                assert_eq!(bytes, after);
                assert_eq!(mended.left, None);
            }
        }
    }

    #[test]
    fn whatever_comes_is_no_reason_to_panic() {
        let whole = connection(b"\x41\x07http://");
        for cut in 0..whole.len() {
            for wrong in 0..=255 {
                let mut bytes = whole.clone();
                bytes[cut] = wrong;
                Mended::new((), true).look(&mut bytes);
                Mended::new((), true).look(&mut bytes[..cut]);
            }
        }
    }
}
