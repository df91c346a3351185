//! What frames hold: records, and the changes of everything that is not a record.
//!
//! A record carries its own checksums, one over its head and key and one over its value, so that every read proves
//! what it returns.

use bytes::Bytes;

use super::frame::{END, i64_at, u32_at};
use crate::mvcc::{Record, Revision};

/// Bytes of a record before its key.
pub(super) const HEAD: usize = 52;

const RECORD: u8 = 1;
const REMOVED: u8 = 2;
const GRANTED: u8 = 3;
const REVOKED: u8 = 4;
const COMPACTED: u8 = 5;
const COMPACTION_FINISHED: u8 = 6;
const NUMBER: u8 = 7;

/// One item of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A record, and where in the payload it stands.
    Record {
        at: Revision,
        record: Record,
        place: std::ops::Range<usize>,
    },
    /// Nobody may ask for these revisions any more.
    Removed(Vec<Revision>),
    Granted {
        id: i64,
        ttl: i64,
    },
    Revoked {
        id: i64,
    },
    Compacted(i64),
    CompactionFinished(i64),
    Number {
        name: String,
        value: i64,
    },
}

/// Bytes a record takes.
pub(super) fn size_of(record: &Record) -> usize {
    HEAD + record.key.len() + record.value.len()
}

/// Writes a record.
pub(super) fn put_record(out: &mut Vec<u8>, at: Revision, record: &Record) {
    let start = out.len();
    out.extend_from_slice(&[RECORD, 0, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&crc32c::crc32c(&record.value).to_le_bytes());
    for length in [record.key.len(), record.value.len()] {
        out.extend_from_slice(&(length as u32).to_le_bytes());
    }
    for number in [at.raw(), record.create_revision, record.version, record.lease] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&record.key);
    let checksum = crc32c::crc32c(&out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&record.value);
}

/// Writes a list of revisions that are gone; nothing for none.
pub(super) fn put_removed(out: &mut Vec<u8>, revisions: &[Revision]) {
    for some in revisions.chunks(u32::MAX as usize) {
        out.push(REMOVED);
        out.extend_from_slice(&(some.len() as u32).to_le_bytes());
        some.iter()
            .for_each(|at| out.extend_from_slice(&at.raw().to_le_bytes()));
    }
}

/// Writes an item that is neither.
pub(super) fn put_small(out: &mut Vec<u8>, item: &Item) {
    let (kind, numbers): (u8, &[i64]) = match item {
        Item::Granted { id, ttl } => (GRANTED, &[*id, *ttl]),
        Item::Revoked { id } => (REVOKED, &[*id]),
        Item::Compacted(at) => (COMPACTED, &[*at]),
        Item::CompactionFinished(at) => (COMPACTION_FINISHED, &[*at]),
        Item::Number { name, value } => {
            out.push(NUMBER);
            out.push(name.len() as u8);
            out.extend_from_slice(name.as_bytes());
            return out.extend_from_slice(&value.to_le_bytes());
        }
        Item::Removed(revisions) => return put_removed(out, revisions),
        Item::Record { at, record, .. } => return put_record(out, *at, record),
    };
    out.push(kind);
    numbers
        .iter()
        .for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

/// The record at the start of `bytes` and how long it is; its head may be all there is when `values` are not wanted.
///
/// # Errors
/// When a checksum does not match, or the bytes end before the record does.
pub(super) fn record(bytes: &Bytes, values: bool) -> Result<(Revision, Record, usize), &'static str> {
    const SHORT: &str = "a record is longer than its place";
    let head = bytes.get(..HEAD).ok_or(SHORT)?;
    if head[0] != RECORD {
        return Err("no record here");
    }
    let (key, value) = (u32_at(head, 12) as usize, u32_at(head, 16) as usize);
    let value_at = HEAD + key;
    let checked = bytes.get(8..value_at).ok_or(SHORT)?;
    if crc32c::crc32c(checked) != u32_at(head, 4) {
        return Err("the checksum of a record's head does not match");
    }
    let end = value_at + value;
    let mut record = Record {
        key: bytes.slice(HEAD..value_at),
        create_revision: i64_at(head, 28),
        version: i64_at(head, 36),
        lease: i64_at(head, 44),
        value: Bytes::new(),
    };
    if values {
        if bytes.len() < end {
            return Err(SHORT);
        }
        record.value = bytes.slice(value_at..end);
        if crc32c::crc32c(&record.value) != u32_at(head, 8) {
            return Err("the checksum of a value does not match");
        }
    }
    Ok((Revision::from_raw(i64_at(head, 20)), record, end))
}

/// The items of a payload whose checksum was right.
///
/// # Errors
/// When it is none of this format's.
pub(super) fn parse(payload: &Bytes) -> Result<Vec<Item>, &'static str> {
    const SHORT: &str = "an item is longer than its frame";
    let mut items = Vec::new();
    let mut at = 0;
    loop {
        let rest = &payload[at..];
        let number = |from: usize| rest.get(from..from + 8).map(|eight| i64_at(eight, 0)).ok_or(SHORT);
        let (item, length) = match *rest.first().ok_or("a frame without an end")? {
            END if rest.len() == 1 => return Ok(items),
            RECORD => {
                let (revision, record, length) = record(&payload.slice(at..), true)?;
                let place = at..at + length;
                (
                    Item::Record {
                        at: revision,
                        record,
                        place,
                    },
                    length,
                )
            }
            REMOVED => {
                let count = rest.get(1..5).map(|four| u32_at(four, 0) as usize).ok_or(SHORT)?;
                let length = count
                    .checked_mul(8)
                    .and_then(|bytes| bytes.checked_add(5))
                    .ok_or(SHORT)?;
                let list = rest.get(5..length).ok_or(SHORT)?;
                let revisions = list.chunks_exact(8).map(|eight| Revision::from_raw(i64_at(eight, 0)));
                (Item::Removed(revisions.collect()), length)
            }
            GRANTED => (
                Item::Granted {
                    id: number(1)?,
                    ttl: number(9)?,
                },
                17,
            ),
            REVOKED => (Item::Revoked { id: number(1)? }, 9),
            COMPACTED => (Item::Compacted(number(1)?), 9),
            COMPACTION_FINISHED => (Item::CompactionFinished(number(1)?), 9),
            NUMBER => {
                let end = 2 + usize::from(*rest.get(1).ok_or(SHORT)?);
                let name = String::from_utf8_lossy(rest.get(2..end).ok_or(SHORT)?).into_owned();
                (
                    Item::Number {
                        name,
                        value: number(end)?,
                    },
                    end + 8,
                )
            }
            _ => return Err("an item of an unknown kind"),
        };
        items.push(item);
        at += length;
    }
}
