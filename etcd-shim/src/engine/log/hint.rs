//! The heads of a segment's records in a file of their own, so that opening a store need not read the values.
//!
//! A hint only: it is believed when its checksum matches and it is about just this segment, and made again otherwise.

use std::io;

use bytes::Bytes;

use super::disk::{self, Disk};
use super::frame::{SEGMENT_HEADER, SegmentHeader, i64_at, u32_at, u64_at};
use super::segment::Place;
use crate::mvcc::{Record, Revision};

const MAGIC: &[u8; 8] = b"CrtnIdx1";
/// Magic, the segment's header, where its frames end.
pub(super) const START: usize = 8 + SEGMENT_HEADER + 8;
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

/// The heads of a segment's records in the order of their revisions, as they stand in a hint.
#[derive(Clone, Default)]
pub(super) struct Heads(Bytes);

/// Heads that are being gathered.
#[derive(Default)]
pub(super) struct Gathered(Vec<u8>);

/// A hint that is believed.
pub(super) struct Hint {
    /// Where the segment's frames end.
    pub(super) end: u64,
    pub(super) places: Vec<Place>,
    pub(super) heads: Heads,
}

impl Gathered {
    /// Adds a record's.
    pub(super) fn push(&mut self, place: &Place, record: &Record) {
        let out = &mut self.0;
        for number in [place.at.raw(), record.create_revision, record.version, record.lease] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [place.offset, place.length, record.key.len() as u32] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&record.key);
    }

    /// As they are read.
    pub(super) fn done(self) -> Heads {
        Heads(self.0.into())
    }
}

impl Heads {
    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = Head> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (entry, key) = entry(&self.0, at)?;
            at = key.end;
            let record = Record {
                key: self.0.slice(key),
                create_revision: i64_at(entry, 8),
                version: i64_at(entry, 16),
                lease: i64_at(entry, 24),
                value: Bytes::new(),
            };
            Some(Head {
                place: place(entry),
                record,
            })
        })
    }

    /// Where the records stand; `None`: not in this order, or not all before `end`.
    fn places(&self, end: u64) -> Option<Vec<Place>> {
        // Most keys are longer than this: at most one more allocation.
        let mut places: Vec<Place> = Vec::with_capacity(self.0.len() / (ENTRY + 32));
        let mut at = 0;
        while at < self.0.len() {
            let (entry, key) = entry(&self.0, at)?;
            let place = place(entry);
            let follows = places.last().is_none_or(|last| last.at < place.at);
            if !follows || place.length == 0 || u64::from(place.offset) + u64::from(place.length) > end {
                return None;
            }
            places.push(place);
            at = key.end;
        }
        Some(places)
    }
}

/// The entry at `at` without its key, and where its key stands.
fn entry(bytes: &[u8], at: usize) -> Option<(&[u8], std::ops::Range<usize>)> {
    let key = at + ENTRY;
    let entry = bytes.get(at..key)?;
    let key = key..key + u32_at(entry, 40) as usize;
    (key.end <= bytes.len()).then_some((entry, key))
}

fn place(entry: &[u8]) -> Place {
    Place {
        at: Revision::from_raw(i64_at(entry, 0)),
        offset: u32_at(entry, 32),
        length: u32_at(entry, 36),
    }
}

/// Writes the hint of a segment that ends at `end`.
pub(super) fn store(disk: &dyn Disk, header: &SegmentHeader, end: u64, heads: &Heads) -> io::Result<()> {
    let mut out = Vec::with_capacity(START + heads.0.len() + 4);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(&end.to_le_bytes());
    out.extend_from_slice(&heads.0);
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    disk::replace(disk, &file_name(header.number), |file| file.write(&out, 0))
}

/// Reads the hint of a segment; `None`: there is none to be believed.
pub(super) fn load(disk: &dyn Disk, header: &SegmentHeader) -> Option<Hint> {
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
    let end = u64_at(&bytes, 8 + SEGMENT_HEADER);
    let heads = Heads(bytes.slice(START..body));
    Some(Hint {
        end,
        places: heads.places(end)?,
        heads,
    })
}
