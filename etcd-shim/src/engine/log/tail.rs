//! The end of the log: where frames are added, one flush each.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::{Disk, DiskFile};
use super::frame::{self, FRAME_HEADER, SEGMENT_HEADER, SegmentHeader};
use super::hint::Gathered;
use super::item::{self, Item};
use super::segment::{Place, Segment, file_name};
use super::state::{self, State};
use crate::mvcc::{Batch, Revision};

/// The segment that grows.
pub(super) struct Tail {
    pub(super) header: SegmentHeader,
    pub(super) file: Arc<dyn DiskFile>,
    /// Where the next frame goes.
    pub(super) end: u64,
    /// Of the last frame.
    pub(super) sequence: u64,
    pub(super) state: State,
    /// A write or a flush has failed: what is on disk is not known, nothing is added any more.
    pub(super) broken: bool,
}

/// A frame that is durable: what the index must learn.
pub(super) struct Added {
    pub(super) places: Vec<Place>,
    pub(super) end: u64,
}

impl Tail {
    /// Makes segment `number` with the whole small state as its first frame, durable under its name.
    pub(super) fn create(
        disk: &dyn Disk,
        header: SegmentHeader,
        state: State,
        dead: &[Revision],
        allocate: u64,
    ) -> io::Result<Tail> {
        let file = disk.create(&file_name(header.number))?;
        let mut first = frame::begin();
        state.encode(&mut first);
        item::put_removed(&mut first, dead);
        frame::finish(&mut first, header.first_sequence, true);
        let bytes = [&header.encode()[..], &first].concat();
        match file.allocate(allocate.max(bytes.len() as u64)) {
            // What room there is may do for long: it grows as it is written.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                file.truncate(0)?;
                file.truncate(bytes.len() as u64)?;
            }
            done => done?,
        }
        file.write(&bytes, 0)?;
        file.sync()?;
        disk.sync_names()?;
        Ok(Tail {
            header,
            file,
            end: bytes.len() as u64,
            sequence: header.first_sequence,
            state,
            broken: false,
        })
    }

    /// Adds what a batch changes as one frame. When it returns, a crash loses none of it.
    pub(super) fn commit(&mut self, batch: &Batch) -> io::Result<Added> {
        let mut frame = frame::begin();
        let mut places = Vec::with_capacity(batch.changes.len());
        for change in &batch.changes {
            let offset = self.end + frame.len() as u64;
            item::put_record(&mut frame, change.at, &change.record);
            places.push((change.at, offset, item::size_of(&change.record)));
        }
        let places = places.into_iter().map(|(at, offset, length)| {
            let (offset, length) = (u32::try_from(offset), u32::try_from(length));
            match (offset, length) {
                (Ok(offset), Ok(length)) => Ok(Place { at, offset, length }),
                _ => Err(io::Error::other("a batch of more than 4 GiB")),
            }
        });
        let places = places.collect::<io::Result<Vec<Place>>>()?;
        item::put_removed(&mut frame, &batch.removed);
        let leases = batch.leases.iter().map(|change| state::of_lease(*change));
        let small: Vec<Item> = leases.chain(state::of_meta(batch.meta)).collect();
        small.iter().for_each(|item| item::put_small(&mut frame, item));
        self.write(frame)?;
        small.iter().for_each(|item| self.state.apply(item));
        Ok(Added { places, end: self.end })
    }

    /// Adds one item as a frame.
    pub(super) fn add(&mut self, item: &Item) -> io::Result<()> {
        let mut frame = frame::begin();
        item::put_small(&mut frame, item);
        self.write(frame)?;
        self.state.apply(item);
        Ok(())
    }

    fn write(&mut self, mut frame: Vec<u8>) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write failed"));
        }
        frame::finish(&mut frame, self.sequence + 1, false);
        // Once a flush has failed the kernel may forget what it did not write: asking again would succeed and lie.
        self.broken = true;
        self.file.write(&frame, self.end)?;
        self.file.sync()?;
        self.broken = false;
        self.sequence += 1;
        self.end += frame.len() as u64;
        Ok(())
    }
}

/// A frame that was read.
pub(super) struct Frame {
    pub(super) sequence: u64,
    pub(super) is_state: bool,
    pub(super) items: Vec<Item>,
    /// Where its payload begins.
    pub(super) start: u64,
    /// Where the next frame begins.
    pub(super) next: u64,
}

/// The frame at `at` of a file of `length` bytes; `None`: none that is whole.
///
/// # Errors
/// When the file cannot be read, or a frame that is whole holds what it must not.
pub(super) fn read_frame(file: &dyn DiskFile, at: u64, length: u64) -> io::Result<Option<Frame>> {
    let start = at + FRAME_HEADER as u64;
    if start > length {
        return Ok(None);
    }
    let mut header = [0; FRAME_HEADER];
    file.read(&mut header, at)?;
    let Some(header) = frame::FrameHeader::decode(&header).filter(|header| header.length <= length - start) else {
        return Ok(None);
    };
    let mut payload = vec![0; header.length as usize];
    file.read(&mut payload, start)?;
    if !header.matches(&payload) {
        return Ok(None);
    }
    let items = item::parse(&Bytes::from(payload)).map_err(io::Error::other)?;
    Ok(Some(Frame {
        sequence: header.sequence,
        is_state: header.is_state,
        items,
        start,
        next: frame::aligned(start + header.length),
    }))
}

impl Segment {
    /// Adds a frame's records, and their heads to `heads`.
    ///
    /// # Errors
    /// When they are not in order, or lie beyond what an index can say.
    pub(super) fn take(&mut self, frame: &Frame, heads: &mut Gathered) -> Result<(), &'static str> {
        for item in &frame.items {
            let Item::Record { at, place, record } = item else {
                continue;
            };
            if self.places.last().is_some_and(|last| last.at >= *at) {
                return Err("its records are not in order");
            }
            let offset = u32::try_from(frame.start + place.start as u64);
            let (Ok(offset), Ok(length)) = (offset, u32::try_from(place.len())) else {
                return Err("a record beyond 4 GiB");
            };
            let place = Place {
                at: *at,
                offset,
                length,
            };
            heads.push(&place, record);
            self.push(place);
        }
        self.end = frame.next;
        Ok(())
    }
}

/// Where the first frame of a segment begins.
pub(super) const FIRST: u64 = SEGMENT_HEADER as u64;
