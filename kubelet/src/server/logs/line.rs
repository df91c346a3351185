//! One line of a CRI log file: `<RFC3339Nano> stdout|stderr F|P <text>`.

use bytes::{BufMut as _, BytesMut};
use k8s_openapi::jiff::Timestamp;

use super::options::{LogOptions, Stream};

/// Turns stored lines into what was asked for.
pub(super) struct Formatter {
    timestamps: bool,
    since: Option<Timestamp>,
    stream: Stream,
    left: u64,
    /// The last text had its end: the next one begins a line.
    at_line_start: bool,
}

impl Formatter {
    pub(super) fn new(options: &LogOptions) -> Self {
        Self {
            timestamps: options.timestamps,
            since: options.since,
            stream: options.stream,
            left: options.limit_bytes.unwrap_or(u64::MAX),
            at_line_start: true,
        }
    }

    /// The limit of bytes is reached.
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Appends what is shown of a stored line. A line that is none is left out, as upstream does.
    pub(super) fn format(&mut self, line: &[u8], out: &mut BytesMut) {
        let Some(entry) = Entry::parse(line) else { return };
        let wanted = match self.stream {
            Stream::All => true,
            Stream::Stdout => entry.stream == b"stdout",
            Stream::Stderr => entry.stream == b"stderr",
        };
        if !wanted {
            return;
        }
        if let Some(since) = self.since {
            let time = std::str::from_utf8(entry.time)
                .ok()
                .and_then(|text| text.parse::<Timestamp>().ok());
            if time.is_none_or(|time| time < since) {
                return;
            }
        }
        if self.timestamps && self.at_line_start {
            self.push(entry.time, out);
            self.push(b" ", out);
        }
        self.push(entry.text, out);
        if entry.whole {
            self.push(b"\n", out);
        }
        self.at_line_start = entry.whole;
    }

    fn push(&mut self, bytes: &[u8], out: &mut BytesMut) {
        let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        out.put_slice(&bytes[..take]);
        self.left -= take as u64;
    }
}

struct Entry<'a> {
    time: &'a [u8],
    stream: &'a [u8],
    /// `F`: the text ends its line; `P`: it goes on in the next entry.
    whole: bool,
    text: &'a [u8],
}

impl<'a> Entry<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut parts = line.splitn(4, |&byte| byte == b' ');
        let (time, stream, tags) = (parts.next()?, parts.next()?, parts.next()?);
        // Tags are separated by colons; only the first is known.
        let tag = tags.split(|&byte| byte == b':').next()?;
        Some(Self {
            time,
            stream,
            whole: tag == b"F",
            text: parts.next().unwrap_or_default(),
        })
    }
}
