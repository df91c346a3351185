//! The heads of a segment's records in a file of their own, so that opening a store need not read the values.
//!
//! A hint only: it is believed when its checksum matches and it is about just this segment, and made again otherwise.

use std::io;

use bytes::Bytes;

use super::disk::Disk;
use super::frame::{SEGMENT_HEADER, SegmentHeader, i64_at, u32_at, u64_at};
use super::segment::Place;
use crate::mvcc::{Record, Revision};

const MAGIC: &[u8; 8] = b"CrtnIdx1";
/// Magic, the segment's header, where its frames end.
const START: usize = 8 + SEGMENT_HEADER + 8;
/// An entry without its key.
const ENTRY: usize = 44;

/// `0000000000000001.idx`.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:016x}.idx")
}

/// One record's head.
pub(super) struct Head {
    pub(super) place: Place,
    /// Without its value.
    pub(super) record: Record,
}

/// Writes the hint of a segment that ends at `end`.
pub(super) fn store(disk: &dyn Disk, header: &SegmentHeader, end: u64, heads: &[Head]) -> io::Result<()> {
    let mut out = Vec::with_capacity(START + heads.len() * (ENTRY + 64));
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(&end.to_le_bytes());
    for Head { place, record } in heads {
        for number in [place.at.raw(), record.create_revision, record.version, record.lease] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [place.offset, place.length, record.key.len() as u32] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&record.key);
    }
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    let name = file_name(header.number);
    let unfinished = format!("{name}.tmp");
    let file = disk.create(&unfinished)?;
    file.write(&out, 0)?;
    file.sync()?;
    disk.rename(&unfinished, &name)
}

/// Reads the hint of a segment and where its frames end; `None`: there is none to be believed.
pub(super) fn load(disk: &dyn Disk, header: &SegmentHeader) -> Option<(u64, Vec<Head>)> {
    let file = disk.open(&file_name(header.number)).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().ok()?).ok()?];
    file.read(&mut bytes, 0).ok()?;
    let bytes = Bytes::from(bytes);
    let body = bytes.len().checked_sub(4)?;
    let right = body >= START
        && &bytes[..8] == MAGIC
        && bytes[8..8 + SEGMENT_HEADER] == header.encode()
        && crc32c::crc32c(&bytes[..body]) == u32_at(&bytes, body);
    if !right {
        return None;
    }
    let mut heads = Vec::new();
    let mut at = START;
    while at < body {
        let key_at = at + ENTRY;
        let entry = bytes.get(at..key_at)?;
        let end = key_at + u32_at(entry, 40) as usize;
        if end > body {
            return None;
        }
        heads.push(Head {
            place: Place {
                at: Revision::from_raw(i64_at(entry, 0)),
                offset: u32_at(entry, 32),
                length: u32_at(entry, 36),
            },
            record: Record {
                key: bytes.slice(key_at..end),
                create_revision: i64_at(entry, 8),
                version: i64_at(entry, 16),
                lease: i64_at(entry, 24),
                value: Bytes::new(),
            },
        });
        at = end;
    }
    Some((u64_at(&bytes, 8 + SEGMENT_HEADER), heads))
}
