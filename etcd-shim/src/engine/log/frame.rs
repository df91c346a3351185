//! The envelope: a header in front of each segment, and one in front of each frame. Numbers are little-endian.
//!
//! A frame is one commit, all or nothing. Its checksums tell a frame that is whole from what a crash left.

/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER: usize = 64;
/// Bytes of a frame's header.
pub(super) const FRAME_HEADER: usize = 32;
/// Frames begin at multiples of it.
pub(super) const ALIGNMENT: u64 = 8;

pub(super) const SEGMENT_MAGIC: &[u8; 8] = b"CrtnLog1";
const FRAME_MAGIC: &[u8; 4] = b"CtnF";
/// The last byte of every payload: the end of a frame is never zeros, as a sector that was not written is.
pub(super) const END: u8 = 0xe7;
/// Version of the format.
const VERSION: u32 = 1;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Its place in the log.
    pub(super) number: u64,
    /// The store it belongs to.
    pub(super) store: u64,
    /// Sequence number of its first frame.
    pub(super) first_sequence: u64,
    /// Only in one that was written anew, without what was dead.
    pub(super) cleaned: Option<Cleaned>,
}

/// A segment written anew is complete from its first day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cleaned {
    /// It stands for all segments up to this number.
    pub(super) upto: u64,
    /// Bytes of the whole file.
    pub(super) length: u64,
}

impl SegmentHeader {
    /// As it stands in the file.
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        let cleaned = self.cleaned.unwrap_or(Cleaned { upto: 0, length: 0 });
        out[..8].copy_from_slice(SEGMENT_MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let numbers = [
            self.number,
            self.store,
            self.first_sequence,
            cleaned.upto,
            cleaned.length,
        ];
        for (at, number) in numbers.into_iter().enumerate() {
            out[16 + at * 8..][..8].copy_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&out[..60]);
        out[60..].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is damaged, or of another format.
    pub(super) fn decode(bytes: &[u8; SEGMENT_HEADER]) -> Result<Self, String> {
        if &bytes[..8] != SEGMENT_MAGIC {
            return Err("is no segment of a log".into());
        }
        if crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Err("the header's checksum does not match".into());
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(format!("format version {version} is not supported"));
        }
        let (upto, length) = (u64_at(bytes, 40), u64_at(bytes, 48));
        Ok(SegmentHeader {
            number: u64_at(bytes, 16),
            store: u64_at(bytes, 24),
            first_sequence: u64_at(bytes, 32),
            cleaned: (length > 0).then_some(Cleaned { upto, length }),
        })
    }
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Counts the frames of the log.
    pub(super) sequence: u64,
    /// Whether it holds the whole small state (`State`), as the first frame of a segment does.
    pub(super) is_state: bool,
    /// Bytes that follow.
    pub(super) length: u64,
    checksum: u32,
}

impl FrameHeader {
    /// Reads one; `None`: there is none here, or it is damaged.
    pub(super) fn decode(bytes: &[u8; FRAME_HEADER]) -> Option<Self> {
        let right = &bytes[..4] == FRAME_MAGIC && crc32c::crc32c(&bytes[..28]) == u32_at(bytes, 28);
        right.then(|| FrameHeader {
            is_state: bytes[4] & 1 == 1,
            sequence: u64_at(bytes, 8),
            length: u64_at(bytes, 16),
            checksum: u32_at(bytes, 24),
        })
    }

    /// Whether these bytes follow it.
    pub(super) fn matches(&self, payload: &[u8]) -> bool {
        payload.len() as u64 == self.length && crc32c::crc32c(payload) == self.checksum
    }
}

/// Begins a frame in a buffer: leaves room for the header.
pub(super) fn begin() -> Vec<u8> {
    vec![0; FRAME_HEADER]
}

/// Ends a frame that was begun: fills the header in, and zeros up to where the next may begin.
pub(super) fn finish(frame: &mut Vec<u8>, sequence: u64, is_state: bool) {
    frame.push(END);
    let (header, payload) = frame.split_at_mut(FRAME_HEADER);
    header[..4].copy_from_slice(FRAME_MAGIC);
    header[4] = u8::from(is_state);
    header[8..16].copy_from_slice(&sequence.to_le_bytes());
    header[16..24].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    header[24..28].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    let checksum = crc32c::crc32c(&header[..28]);
    header[28..].copy_from_slice(&checksum.to_le_bytes());
    frame.resize(aligned(frame.len() as u64) as usize, 0);
}

/// The next place where a frame may begin.
pub(super) fn aligned(at: u64) -> u64 {
    at.next_multiple_of(ALIGNMENT)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

pub(super) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(array(bytes, at))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}
