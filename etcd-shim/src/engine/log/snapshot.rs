//! A copy of everything as the one segment of a new log.

use std::fs::File;
use std::io;

use anyhow::{Context as _, ensure};

use super::disk::DiskFile as _;
use super::frame::{self, FRAME_HEADER, SEGMENT_HEADER, SegmentHeader};
use super::item::Item;
use super::segment::Found;
use super::state::State;
use super::tail::{FIRST, read_frame};
use super::{Log, proved};
use crate::mvcc::{LeaseChange, Revision};
use crate::snapshot::content::{Part, Sink};

/// Payload of a frame, about.
const FRAME: usize = 256 << 10;

/// What there is at one moment.
pub(super) struct Copy {
    start: Vec<u8>,
    frames: Vec<Vec<(Revision, Found)>>,
}

impl Copy {
    /// Of a log as it is now. The records are read later: nothing takes them away from whoever has their files open.
    pub(super) fn of(log: &Log) -> Self {
        let tail = log.tail.lock();
        let index = log.shared.index.read();
        let header = SegmentHeader {
            number: 1,
            store: tail.header.store,
            first_sequence: 1,
            cleaned: None,
        };
        let mut state = frame::begin();
        tail.state.encode(&mut state);
        frame::finish(&mut state, 1, true);
        let mut frames: Vec<Vec<(Revision, Found)>> = Vec::new();
        let mut room = 0;
        for segment in &index.0 {
            for place in segment.alive() {
                let length = place.length as usize;
                if room < length || frames.is_empty() {
                    frames.push(Vec::new());
                    room = FRAME.max(length);
                }
                room -= length;
                if let Some(frame) = frames.last_mut() {
                    frame.push((place.at, segment.found(place)));
                }
            }
        }
        Copy {
            start: [&header.encode()[..SEGMENT_HEADER], &state].concat(),
            frames,
        }
    }

    /// Hands it over piece by piece, each with the number of bytes that follow, until `sink` wants no more.
    ///
    /// # Errors
    /// When a record cannot be read, or is damaged.
    pub(super) fn send(self, sink: &mut dyn FnMut(u64, Vec<u8>) -> bool) -> io::Result<()> {
        let size = |frame: &Vec<(Revision, Found)>| {
            let records: usize = frame.iter().map(|(_, place)| place.length).sum();
            frame::aligned((FRAME_HEADER + records + 1) as u64)
        };
        let mut left: u64 = self.frames.iter().map(size).sum();
        if !sink(left, self.start) {
            return Ok(());
        }
        for (number, records) in self.frames.iter().enumerate() {
            let mut bytes = frame::begin();
            for (at, place) in records {
                let record = place.read()?;
                proved(&record, *at, true).map_err(|why| place.damage(why))?;
                bytes.extend_from_slice(&record);
            }
            frame::finish(&mut bytes, number as u64 + 2, false);
            left -= bytes.len() as u64;
            if !sink(left, bytes) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Whether a file begins as a segment does.
pub(crate) fn is_segment(start: &[u8]) -> bool {
    start.starts_with(frame::SEGMENT_MAGIC)
}

/// Hands over what is in a snapshot of `length` bytes.
///
/// # Errors
/// When it is damaged, with the place; or the sink's.
pub(crate) fn read_snapshot(file: &File, length: u64, sink: Sink<'_>) -> anyhow::Result<()> {
    ensure!(length >= SEGMENT_HEADER as u64, "is too short");
    let mut header = [0; SEGMENT_HEADER];
    file.read(&mut header, 0)?;
    let header = SegmentHeader::decode(&header).map_err(anyhow::Error::msg)?;
    let whole = SegmentHeader {
        number: 1,
        first_sequence: 1,
        cleaned: None,
        ..header
    };
    ensure!(header == whole, "is a segment of a log, but no snapshot");
    let (mut at, mut sequence) = (FIRST, 1);
    let mut state = State::default();
    while at < length {
        let frame = read_frame(file, at, length).with_context(|| format!("frame at byte {at}"))?;
        if frame.is_none() && sequence > 1 && is_padding(file, at, length)? {
            break;
        }
        let frame = frame.with_context(|| format!("a damaged frame at byte {at}"))?;
        let is_first = at == FIRST;
        ensure!(
            frame.sequence == sequence && frame.is_state == is_first,
            "a frame out of order at byte {at}"
        );
        for item in frame.items {
            match item {
                Item::Record { at, record, .. } if !is_first => sink(Part::Record(at, record))?,
                Item::Record { .. } | Item::Removed(_) | Item::Revoked { .. } => {
                    anyhow::bail!("an item that belongs in no snapshot in the frame at byte {at}")
                }
                item if is_first => state.apply(&item),
                _ => anyhow::bail!("an item that belongs in the first frame in that at byte {at}"),
            }
        }
        (at, sequence) = (frame.next, sequence + 1);
    }
    ensure!(sequence > 1, "has no frame");
    let found = state.found();
    for lease in found.leases {
        if let LeaseChange::Granted { id, ttl } = lease {
            sink(Part::Lease { id, ttl })?;
        }
    }
    sink(Part::Meta(found.meta))
}

/// Whether nothing but a few zeros follows: a snapshot is filled up to whole sectors.
fn is_padding(file: &File, at: u64, length: u64) -> io::Result<bool> {
    let mut rest = [0; 512];
    let rest = match usize::try_from(length - at) {
        Ok(few) if few < rest.len() => &mut rest[..few],
        _ => return Ok(false),
    };
    file.read(rest, at)?;
    Ok(rest.iter().all(|byte| *byte == 0))
}
